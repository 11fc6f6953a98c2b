"""How frontal crops are, for SymFace: crops carry no landmarks, so a detector looks at each of them once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..artifact import atomic, content_digest
from ..errors import InvalidData
from ..runtime.detector import Detector
from .crops import CropStore, Progress
from .symface import frontness


def look(store: CropStore, detector: Detector, *, progress: Progress = lambda done, total: None) -> NDArray[np.float32]:
    """The frontness of all crops of a store by a detector's landmarks, kept beside the pixels.

    Each crop is shown with a black border of half its side around it, for a face that fills the picture is none that
    a detector has learnt to find.

    Args:
        store: the crops.
        detector: any; of several faces the surest counts.
        progress: told after each crop.

    Returns:
        ``(N,) float32`` in 0..1, see :func:`~.symface.frontness`; 0, no frontal face, where none is found.

    Raises:
        InvalidData: the detector finds no face in any crop.
        UnsupportedModel: its engine fails.
        OutputError: the store's folder cannot be written to.
    """
    file = store.folder / f"frontness_{content_digest(detector.artifact)[:16]}.npy"
    if file.is_file():
        kept: NDArray[np.float32] = np.load(file, allow_pickle=False)
        if kept.shape == (len(store),) and kept.dtype == np.float32:
            return kept
    found = np.zeros(len(store), np.float32)
    border = store.pixels.shape[1] // 2
    seen = 0
    for i, crop in enumerate(store.pixels):
        faces = detector.detect(np.pad(crop, ((border, border), (border, border), (0, 0))))
        if faces:
            seen += 1
            found[i] = frontness(faces[0].landmarks[None])[0]
        progress(i + 1, len(store))
    if not seen:
        raise InvalidData(
            f"{store.folder.name}: {detector.artifact.path.name} finds no face in any of {len(store)} crops, so which "
            "of them are frontal is unknown; name another detector"
        )
    with atomic(file) as temporary, temporary.open("wb") as stream:
        np.save(stream, found)
    return found
