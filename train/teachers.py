"""Teachers: recognisers whose embeddings a student learns to give. What they say of each crop is computed once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..artifact import atomic
from ..errors import InvalidData
from ..evaluate.data import ImageSet, Sample
from ..evaluate.embeddings import Progress, embed_images
from ..runtime.embedder import Embedder
from .crops import CropStore

#: Seed of the rotation.
_ROTATION = 0


def teach(store: CropStore, teacher: Embedder, *, progress: Progress = lambda done, total: None) -> NDArray[np.float32]:
    """A teacher's embeddings of all crops of a store, kept beside the pixels.

    Returns:
        ``(N, D) float32``, rows of length 1.

    Raises:
        InvalidData: crops that it gives no embedding for.
        UnsupportedModel: its engine fails.
    """
    file = store.folder / f"teacher_{teacher.artifact.sha256[:16]}.npy"
    if file.is_file():
        kept: NDArray[np.float32] = np.load(file, allow_pickle=False)
        if kept.shape == (len(store), teacher.task.embedding_size) and kept.dtype == np.float32:
            return kept
    samples = tuple(
        Sample(name=name, read=lambda i=i: store.pixels[i], aligned=True)  # type: ignore[misc]
        for i, name in enumerate(store.names)
    )
    images = ImageSet(store.folder.name, samples, store.fingerprint)
    embedded = embed_images(images, teacher, progress=progress)
    if embedded.problems:
        raise InvalidData(f"{teacher.artifact.path.name} as a teacher: {'; '.join(embedded.problems)}")
    with atomic(file) as temporary, temporary.open("wb") as stream:
        np.save(stream, embedded.vectors)
    return embedded.vectors


def combine(said: Sequence[NDArray[np.float32]], width: int) -> NDArray[np.float32]:
    """One target for what several teachers say of the same crops.

    Embeddings of length 1 side by side have the mean of their cosines as cosine; a random rotation into ``width``
    dimensions keeps that and spreads it over all of them, which an embedding of int8 numbers needs. It is always the
    same one, so that a run with another seed can go on from weights that learnt it.

    Args:
        said: per teacher ``(N, D_t) float32``, rows of length 1.
        width: of the student's embedding; at least the sum of the D_t.

    Returns:
        ``(N, width) float32``, rows of length 1.

    Raises:
        InvalidData: more dimensions than fit.
    """
    together = np.concatenate(said, axis=1) / np.float32(np.sqrt(len(said)))
    if together.shape[1] > width:
        raise InvalidData(f"the teachers give {together.shape[1]} numbers together, the student only {width}")
    random = np.random.default_rng(_ROTATION).normal(size=(width, together.shape[1]))
    rotation = np.linalg.qr(random)[0].T.astype(np.float32)  # (sum D_t, width), rows orthonormal
    target: NDArray[np.float32] = together @ rotation
    return target
