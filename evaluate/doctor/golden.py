"""The golden pictures: what an app is to run, and what it should then find.

For a recogniser they are the bundled portraits. For a detector each of them is set off-centre into a wider or a
taller picture: in a square one, a centred or stretched picture could not be told from a letterboxed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ...artifact import Artifact, atomic
from ...contract import ModelContract, Recognition
from ...draw import encode
from ...runtime.detector import Detector
from ...runtime.embedder import Embedder
from ..faces import Portrait, bundled_portraits
from .cuts import right_cut

#: Pixels added before and after the short and the long side of a scene.
_BEFORE, _AFTER = 96, 32

_README = """Golden pictures for {model}

pictures/   feed these through the app's whole way: decode, {way}, model.
inputs/     the same pictures as the model must see them, RGB: feed these to test the model call alone.
pictures/landmarks.json   box (x1, y1, x2, y2) and five landmarks of each face, in pixels.
expected.json   what comes out when all is right, in the form in which the app is to write its own answers.

Write the app's answers in the form of expected.json, then:
    pocketface doctor MODEL --observed answers.json
Also read: .csv ({csv}) and .npz ({npz}).
"""


def golden_portraits(contract: ModelContract) -> tuple[Portrait, ...]:
    """The bundled pictures that a model of this task is examined with."""
    portraits = bundled_portraits()
    if isinstance(contract.task, Recognition):
        return portraits
    return tuple(_scene(portrait, i) for i, portrait in enumerate(portraits))


def _scene(portrait: Portrait, i: int) -> Portrait:
    """A picture 4:3 or 3:4 around a portrait; its edges go on."""
    pads = ((0, 0), (_BEFORE, _AFTER)) if i % 2 else ((_BEFORE, _AFTER), (0, 0))
    shift = np.array([pads[1][0], pads[0][0]])
    image = np.pad(portrait.image, (*pads, (0, 0)), mode="edge")
    return Portrait(portrait.name, image, portrait.landmarks + shift, portrait.box + np.tile(shift, 2))


def write_golden(artifact: Artifact, folder: Path, portraits: Sequence[Portrait] | None = None) -> int:
    """Write pictures, the model's inputs and the expected answers to a folder; whole or not at all.

    Returns:
        The number of pictures.

    Raises:
        OutputError: the folder cannot be written to.
        UnsupportedModel, MissingExtra: no engine can run the model here.
    """
    contract = artifact.contract
    portraits = golden_portraits(contract) if portraits is None else portraits
    expected = expected_answers(artifact, portraits)
    with atomic(folder) as temporary:
        for name in ("pictures", "inputs"):
            (temporary / name).mkdir(parents=True)
        for portrait in portraits:
            file = f"{stem(portrait.name)}.png"
            (temporary / "pictures" / file).write_bytes(encode(portrait.image))
            (temporary / "inputs" / file).write_bytes(encode(right_cut(portrait, contract)[0]))
        found = {f"{stem(p.name)}.png": {"box": p.box.tolist(), "landmarks": p.landmarks.tolist()} for p in portraits}
        (temporary / "pictures" / "landmarks.json").write_bytes(msgspec.json.encode(found))
        (temporary / "expected.json").write_bytes(msgspec.json.encode(expected))
        (temporary / "README.txt").write_text(_readme(contract), "utf-8")
    return len(portraits)


def expected_answers(artifact: Artifact, portraits: Sequence[Portrait]) -> dict[str, Any]:
    """What an app should write, in the form of its JSON file."""
    names = [stem(p.name) for p in portraits]
    if isinstance(artifact.contract.task, Recognition):
        embedder = Embedder(artifact)
        vectors = embedder.embed([right_cut(p, artifact.contract)[0] for p in portraits])
        return {"embeddings": {name: vector.tolist() for name, vector in zip(names, vectors, strict=True)}}
    detector = Detector(artifact)
    faces = [
        [{"box": f.box.tolist(), "score": f.score, "landmarks": f.landmarks.tolist()} for f in detector.detect(p.image)]
        for p in portraits
    ]
    return {"faces": dict(zip(names, faces, strict=True))}


def stem(name: str) -> str:
    """A picture's name without its suffix, by which answers are matched."""
    return name.rpartition(".")[0] or name


def _readme(contract: ModelContract) -> str:
    recognises = isinstance(contract.task, Recognition)
    return _README.format(
        model=contract.model,
        way="align by the five landmarks" if recognises else "letterbox",
        csv="name, then the numbers of the embedding" if recognises else "name, x1, y1, x2, y2, score, 10 landmarks",
        npz="names, embeddings" if recognises else "names, and the model's output tensors",
    )
