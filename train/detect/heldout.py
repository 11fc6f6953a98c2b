"""The held-out pictures as files: ``python -m pocketface.train.detect.heldout --data DIR --out DIR``.

``held_out/faces.json`` and its pictures are what ``evaluate detection`` and ``verdict`` take, with the faces that
``train.detect.report`` counts and no others. ``training/`` holds some of the other pictures, to calibrate on.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image

from ...artifact import atomic
from .holdout import held_out
from .judge import counted
from .labels import labelled
from .scenes import Scene

#: Pictures of the training part that are written.
TO_CALIBRATE = 256


def write_parts(scenes: Iterable[Scene], folder: Path, *, to_calibrate: int = TO_CALIBRATE) -> Counter[str]:
    """Write both parts, each whole or not at all.

    Args:
        scenes: of data sets with boxes.
        folder: gets ``held_out`` and ``training``.
        to_calibrate: pictures of the training part, at most; as many of the first ones of every source.

    Returns:
        How many pictures and faces were written.
    """
    told, listed, seen = Counter[str](), list[dict[str, Any]](), Counter[str]()
    with atomic(folder / "held_out") as held, atomic(folder / "training") as training:
        held.mkdir()
        training.mkdir()
        for number, one in zip(count(), scenes, strict=False):
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


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="pocketface.train.detect.heldout", description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of detection data")
    parser.add_argument("--out", type=Path, required=True, help="folder of the two parts")
    options = parser.parse_args(arguments)
    problems = list[str]()
    told = write_parts(labelled(options.data, None, problems, Counter()), options.out)
    print(json.dumps({**told, "problems": problems[:20], "left out": len(problems)}, indent=1))


if __name__ == "__main__":
    main()
