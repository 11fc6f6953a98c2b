"""Pictures of one colour, which is how a fake detector knows them again, and detectors whose answers are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from pocketface.artifact import Artifact, write_sidecar
from pocketface.contract import Detection, InputSpec, ModelContract
from pocketface.evaluate.detection.annotations import AnnotatedPicture
from pocketface.evaluate.detection.searched import Search
from pocketface.runtime.backends import FakeBackend

SIDE = 64


def contract_of(**changes: object) -> ModelContract:
    spec = {"name": "image", "layout": "NCHW", "height": SIDE, "width": SIDE, **changes}
    return ModelContract(
        model="fake",
        task=Detection(score_threshold=0.5, nms_iou=0.9),
        input=InputSpec(**spec),
        outputs={name: name for name in ("scores", "boxes", "landmarks")},
        fingerprint="ab" * 32,
        weights="by hand",
        trained=False,
    )


@pytest.fixture
def paint(tmp_path: Path) -> Callable[..., Path]:
    """``paint(name, shade, size)`` writes a PNG of one shade of grey."""

    def make(name: str, shade: int, size: tuple[int, int] = (SIDE, SIDE)) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((*size, 3), shade, np.uint8)).save(path, "PNG")
        return path

    return make


@pytest.fixture
def artifact_of(tmp_path: Path) -> Callable[..., Artifact]:
    """An artifact without a file, for fake backends."""

    def make(**changes: object) -> Artifact:
        return Artifact(tmp_path / "fake.onnx", contract_of(**changes), "0" * 64, 0)

    return make


@pytest.fixture
def knows() -> Callable[..., FakeBackend]:
    """``knows({shade: [(score, box), ...]})``: the faces of a picture of that shade, in pixels of the input.

    The landmarks are the box's four corners and its centre, moved to the right by ``shift`` pixels.
    """

    def make(faces: Mapping[int, Sequence[tuple[float, Sequence[float]]]], shift: float = 0) -> FakeBackend:
        def answer(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            found = faces[int(feeds["image"][0, 0, 0, 0])]
            boxes = np.array([box for _, box in found], np.float32).reshape(1, -1, 4)
            return {
                "scores": np.array([[score for score, _ in found]], np.float32),
                "boxes": boxes,
                "landmarks": points_of(boxes) + np.float32([shift, 0]),
            }

        return FakeBackend(answer)

    return make


def points_of(boxes: np.ndarray) -> np.ndarray:
    """Top left, top right, centre, bottom left, bottom right of boxes (..., 4): (..., 5, 2)."""
    x1, y1, x2, y2 = np.moveaxis(boxes, -1, 0)
    middle = (x1 + x2) / 2, (y1 + y2) / 2
    return np.stack([np.stack(p, -1) for p in ((x1, y1), (x2, y1), middle, (x1, y2), (x2, y2))], -2)


@pytest.fixture
def searched() -> Callable[..., Search]:
    """``searched(faces, detections, keep)``: what was found in a picture, with a subset ``s`` of its faces."""

    def make(
        faces: Sequence[Sequence[float]],
        detections: Sequence[tuple[float, Sequence[float]]],
        keep: Sequence[bool] | None = None,
    ) -> Search:
        boxes = np.array(faces, float).reshape(-1, 4)
        kept = np.ones(len(boxes), bool) if keep is None else np.array(keep, bool)
        ranked = sorted(detections, key=lambda one: -one[0])
        found = np.array([box for _, box in ranked], float).reshape(-1, 4)
        picture = AnnotatedPicture("a", Path("a.png"), boxes, ~kept, subsets={"s": kept})
        return Search(picture, found, np.array([score for score, _ in ranked], float), points_of(found), 1.0)

    return make


@pytest.fixture
def crowds(searched: Callable[..., Search]) -> Callable[[int], list[Search]]:
    """``crowds(seed)``: faces that overlap each other, detections near them or anywhere, scores with ties."""

    def make(seed: int) -> list[Search]:
        rng, out = np.random.default_rng(seed), []
        for _ in range(30):
            corner = rng.integers(0, 40, (rng.integers(0, 6), 2))
            faces = np.concatenate([corner, corner + rng.integers(5, 20, corner.shape)], 1)
            near = faces[rng.integers(0, len(faces), rng.integers(0, 10))] if len(faces) else np.empty((0, 4))
            far = np.cumsum(rng.integers(1, 30, (rng.integers(0, 4), 2, 2)), axis=1).reshape(-1, 4)
            boxes = np.concatenate([near + rng.integers(-3, 4, near.shape), far])
            scores = rng.integers(1, 30, len(boxes)) / 30
            out.append(searched(faces, list(zip(scores, boxes, strict=True)), rng.uniform(size=len(faces)) < 0.7))
        return out

    return make


@pytest.fixture(scope="session")
def bright_square(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX detector of 32 x 32: one face at 4..28 x 6..30 whose score is the mean brightness."""
    path = tmp_path_factory.mktemp("detector") / "detector.onnx"
    constants = {
        "axes": np.array([1, 2, 3]),
        "shape": np.array([1, 1]),
        "white": np.float32(255),
        "box": np.array([[[4, 6, 28, 30]]], np.float32),
        "points": np.zeros((1, 1, 5, 2), np.float32),
    }
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "white"], ["share"]),
        helper.make_node("Reshape", ["share", "shape"], ["scores"]),
        *(helper.make_node("Identity", [a], [b]) for a, b in (("box", "boxes"), ("points", "landmarks"))),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 32, 32])
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("scores", "boxes", "landmarks")]
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "square", [image], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    write_sidecar(path, contract_of(height=32, width=32))
    return path
