"""The held-out pictures as files.

``held_out/faces.json`` and its pictures are what ``evaluate detection`` and ``verdict`` take, with the faces that
``scenes report`` counts and no others. ``training/`` holds some of the other pictures, to calibrate on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from ...artifact import atomic
from .holdout import held_out
from .judge import counted
from .scenes import Scene
from .sources import PORTRAITS

#: Pictures of the training part that are written.
TO_CALIBRATE = 256


def write_parts(scenes: Iterable[Scene], folder: Path, *, to_calibrate: int = TO_CALIBRATE) -> Counter[str]:
    """Write both parts, each whole or not at all.

    Args:
        scenes: of data sets with boxes; marked portraits are passed over, as the precision of the report does.
        folder: gets ``held_out`` and ``training``.
        to_calibrate: pictures of the training part, at most; as many of the first ones of every source.

    Returns:
        How many pictures and faces were written.
    """
    told, listed, seen = Counter[str](), list[dict[str, Any]](), Counter[str]()
    with atomic(folder / "held_out") as held, atomic(folder / "training") as training:
        held.mkdir()
        training.mkdir()
        for number, one in enumerate(one for one in scenes if one.source != PORTRAITS):
            name = f"{one.source}_{number:05d}.png"
            if held_out(one.name):
                _save(one, held / name)
                listed.append({"file": name, "faces": _faces(one)})
                told["held-out pictures"] += 1
            elif seen[one.source] < to_calibrate // 3:
                _save(one, training / name)
                seen[one.source] += 1
        told["faces to be found"] = sum(not face["ignore"] for picture in listed for face in picture["faces"])
        told["training pictures"] = seen.total()
        (held / "faces.json").write_text(json.dumps(listed, indent=1))
    return told


def _faces(one: Scene) -> list[dict[str, Any]]:
    return [
        {"box": box, "ignore": not wanted}
        for box, wanted in zip(one.boxes.astype(float).tolist(), counted(one).tolist(), strict=True)
    ]


def _save(one: Scene, path: Path) -> None:
    """Without loss, so that the figures are those of the scenes."""
    Image.fromarray(one.image).save(path, compress_level=1)
