"""What the Python runtime says of the committed pictures, and of broken contracts, for the web package to be held to.

    python -P bindings/web/test/models/answers.py MODELS

MODELS is a folder with exports of a detector and a recogniser (`pocketface export mos_xs facelivtv2_xs_ri`), each as
ONNX and as TFLite. Written into it: answers.json, the pictures as PNG that needs no decoder, and in calibrated/ the
ONNX recogniser with thresholds. Those are made up, to see that the page obeys them; they say nothing of the model.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pocketface.artifact import atomic, load_artifact, replace_contract
from pocketface.contract import Calibration, ModelContract, Recognition, Threshold
from pocketface.errors import InvalidContract
from pocketface.evaluate.golden.pictures import encode_png
from pocketface.runtime.analyzer import Face, FaceAnalyzer
from pocketface.runtime.images import load_image

PEOPLE = Path(__file__).resolve().parents[4] / "evaluate" / "people"


def main(folder: Path) -> None:
    """Write the answers beside the models."""
    pictures = {path.stem: load_image(path) for path in sorted(PEOPLE.glob("*.jpg"))}
    answers: dict[str, Any] = {"engines": {}}
    for suffix in ("onnx", "tflite"):
        paths = {load_artifact(path).contract.task_name: path for path in sorted(folder.glob(f"*.{suffix}"))}
        analyzer = FaceAnalyzer(paths["detection"], paths["recognition"])
        faces = {name: analyzer.analyze(picture) for name, picture in pictures.items()}
        first = [found[0] for found in faces.values() if found]
        answers["engines"][suffix] = {
            "detector": paths["detection"].name,
            "embedder": paths["recognition"].name,
            "faces": {name: [told(face) for face in found] for name, found in faces.items()},
            "decisions": [str(analyzer.decide(first[0], other)) for other in first],
        }
    with atomic(folder / "pictures") as temporary:
        temporary.mkdir()
        for name, picture in pictures.items():
            (temporary / f"{name}.png").write_bytes(encode_png(picture))
    recogniser = folder / answers["engines"]["onnx"]["embedder"]
    answers["contracts"] = list(refused(recogniser))
    calibrate(recogniser, folder / "calibrated")
    with atomic(folder / "answers.json") as temporary:
        temporary.write_text(json.dumps(answers))


def calibrate(model: Path, folder: Path) -> None:
    """Write a copy of the model whose contract has thresholds into a folder of its own."""
    task = load_artifact(model).contract.task
    assert isinstance(task, Recognition)
    thresholds = tuple(
        Threshold(far=far, score=score, score_interval=(score, score), tar=1.0)
        for far, score in ((1e-2, 0.3125), (1e-3, 0.4375))
    )
    calibration = Calibration(
        thresholds=thresholds,
        data="made up for a test",
        data_fingerprint="0" * 64,
        genuine=1,
        impostors=1,
        identities=0,
        backend="onnxruntime",
    )
    task = msgspec.structs.replace(task, calibration=calibration)
    with atomic(folder) as temporary:
        temporary.mkdir()
        artifact = load_artifact(shutil.copy(model, temporary))
        replace_contract(artifact, msgspec.structs.replace(artifact.contract, task=task))


def told(face: Face) -> dict[str, Any]:
    """A face as JSON."""
    return {
        "box": face.box.tolist(),
        "score": face.score,
        "landmarks": face.landmarks.tolist(),
        "pose": face.pose and list(face.pose),
        "quality": face.quality,
        "vector": face.embedding.vector.tolist(),
    }


def refused(recogniser: Path) -> Iterator[dict[str, str]]:
    """A recogniser's contract, broken in one place after another, each with what is said of it."""
    sound = load_artifact(recogniser).contract.to_json()
    broken = ["", "[]", "null", "{", '"text"']
    for where, value in (
        (("schema",), 2),
        (("schema",), "1"),
        (("unknown",), 1),
        (("model",), "a/b"),
        (("model",), None),
        (("fingerprint",), "0"),
        (("trained",), 1),
        (("macs",), -1),
        (("macs",), 1.5),
        (("outputs",), {}),
        (("outputs",), []),
        (("outputs",), {"scores": 1}),
        (("input", "height"), 0),
        (("input", "height"), 8193),
        (("input", "width"), "320"),
        (("input", "layout"), "NCWH"),
        (("input", "mean"), [0, 0]),
        (("input", "std"), [1, 1, None]),
        (("task",), {}),
        (("task",), []),
        (("task", "type"), "segmentation"),
        (("task", "type"), "detection"),
    ):
        contract = json.loads(sound)
        inner = contract
        for key in where[:-1]:
            inner = inner[key]
        inner[where[-1]] = value
        broken.append(json.dumps(contract))
    for text in broken:
        try:
            ModelContract.from_json(text)
        except InvalidContract as e:
            yield {"text": text, "error": str(e)}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -P bindings/web/test/models/answers.py MODELS")
    main(Path(sys.argv[1]))
