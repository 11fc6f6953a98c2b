"""From raw outputs to faces in the caller's pixels, against formulas written a second time, one cell after another."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pocketface.artifact import Artifact, sidecar_path
from pocketface.contract import Detection, ModelContract
from pocketface.errors import InvalidContract, InvalidImage, InvalidModel, PocketfaceError, UnsupportedModel
from pocketface.runtime.backends import FakeBackend
from pocketface.runtime.decode import DECODERS, decode_yunet
from pocketface.runtime.detector import Detector

Outputs = dict[str, np.ndarray]
KINDS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}


def yunet_outputs(size: tuple[int, int], seed: int = 0) -> Outputs:
    rng = np.random.default_rng(seed)
    cells = {s: (size[0] // s) * (size[1] // s) for s in (8, 16, 32)}
    shape = {f"{kind}_{s}": (1, n, width) for kind, width in KINDS.items() for s, n in cells.items()}
    return {
        k: (rng.uniform(0, 1, v) if k[:3] in ("cls", "obj") else rng.normal(0, 1, v)).astype(np.float32)
        for k, v in shape.items()
    }


def pixels(scores: list[float], boxes: list[list[float]]) -> Outputs:
    points = np.array([[[(x1 + x2) / 2, (y1 + y2) / 2]] * 5 for x1, y1, x2, y2 in boxes], np.float32).reshape(
        1, -1, 5, 2
    )
    return {
        "scores": np.array([scores], np.float32),
        "boxes": np.array([boxes], np.float32).reshape(1, -1, 4),
        "landmarks": points,
        "rotation": np.broadcast_to(np.eye(3, dtype=np.float32), (1, len(scores), 3, 3)),
    }


@pytest.fixture
def detector_of(
    contract_of: Callable[..., ModelContract], artifact_of: Callable[..., Artifact]
) -> Callable[..., Detector]:
    def make(outputs: Outputs, task: Detection | None = None, /, **changes: object) -> Detector:
        size = changes.pop("size", None)
        task = task or Detection(score_threshold=0.5, nms_iou=0.4)
        contract = contract_of(task, **{"outputs": {n: n for n in outputs}, **changes})
        return Detector(artifact_of(contract), backend=FakeBackend(outputs), size=size)

    return make


@pytest.fixture
def image() -> np.ndarray:
    """24 x 16: on a canvas of 32 x 32 it is scaled by 4/3 and leaves a margin on the right."""
    return np.random.default_rng(0).integers(0, 256, (24, 16, 3), np.uint8)


class TestYuNet:
    @pytest.mark.parametrize("size", [(32, 32), (64, 96)])
    def test_every_cell_is_decoded_by_the_formula(self, size: tuple[int, int]) -> None:
        outputs = yunet_outputs(size)
        found = decode_yunet(outputs, size)
        i = 0
        for stride in (8, 16, 32):
            cls, obj, bbox, kps = (outputs[f"{kind}_{stride}"][0].astype(float) for kind in KINDS)
            for cell in range(len(cls)):
                row, column = divmod(cell, size[1] // stride)
                x, y = (column + bbox[cell, 0]) * stride, (row + bbox[cell, 1]) * stride
                w, h = math.exp(bbox[cell, 2]) * stride, math.exp(bbox[cell, 3]) * stride
                points = [((column + kx) * stride, (row + ky) * stride) for kx, ky in kps[cell].reshape(5, 2)]
                assert found.scores[i] == pytest.approx(math.sqrt(cls[cell, 0] * obj[cell, 0]), abs=1e-6)
                np.testing.assert_allclose(found.boxes[i], [x - w / 2, y - h / 2, x + w / 2, y + h / 2], atol=1e-3)
                np.testing.assert_allclose(found.landmarks[i], points, atol=1e-4)
                i += 1
        assert i == len(found.scores) == len(found.boxes) == len(found.landmarks)
        assert found.rotations is None

    def test_it_knows_no_pose(self, detector_of: Callable[..., Detector], image: np.ndarray) -> None:
        faces = detector_of(yunet_outputs((32, 32)), Detection(decoder="yunet", score_threshold=0.1)).detect(image)
        assert faces
        assert all(face.rotation is None and face.pose is None for face in faces)


def test_every_decoder_of_the_contract_exists() -> None:
    field = next(f for f in msgspec.structs.fields(Detection) if f.name == "decoder")
    assert DECODERS.keys() == set(field.type.__args__)


def test_faces_come_in_the_pixels_of_the_picture(detector_of: Callable[..., Detector], image: np.ndarray) -> None:
    """x' = (x + 1/2) / scale - 1/2, and the scale is 4/3 in both directions."""
    face = detector_of(pixels([0.9], [[3.5, 7.5, 11.5, 15.5]])).detect(image)[0]
    np.testing.assert_allclose(face.box, [2.5, 5.5, 8.5, 11.5])
    np.testing.assert_allclose(face.landmarks, [[5.5, 8.5]] * 5)
    assert face.score == pytest.approx(0.9)
    assert (face.box.dtype, face.landmarks.dtype) == (np.float32, np.float32)


def test_the_canvas_goes_in_as_the_contract_wants_it(
    contract_of: Callable[..., ModelContract], artifact_of: Callable[..., Artifact]
) -> None:
    fake = FakeBackend(pixels([], []))
    contract = contract_of(Detection(), layout="NHWC", dtype="uint8", color="BGR", height=24, width=16)
    image = np.random.default_rng(0).integers(0, 256, (24, 16, 3), np.uint8)
    assert Detector(artifact_of(contract), backend=fake).detect(image) == []
    np.testing.assert_array_equal(fake.feeds[0]["image"], image[None, :, :, ::-1])


def test_outputs_are_found_by_meaning(detector_of: Callable[..., Detector], image: np.ndarray) -> None:
    outputs = pixels([0.9], [[1, 1, 9, 9]])
    renamed = {f"tensor_{i}": value for i, value in enumerate(outputs.values())}
    names = dict(zip(outputs, renamed, strict=True))
    assert len(detector_of(renamed, outputs=names).detect(image)) == 1
    with pytest.raises(InvalidContract, match=r"gave tensor_0, .* but its contract also names \['other'\]"):
        detector_of(renamed, outputs={**names, "boxes": "other"}).detect(image)


def test_threshold_suppression_order_and_limit(detector_of: Callable[..., Detector], image: np.ndarray) -> None:
    first, second, far = [0, 0, 10, 10], [0, 3, 10, 13], [20, 20, 30, 30]  # IoU of the first two: 7 / 13
    detector = detector_of(pixels([0.6, 0.8, 0.7, 0.4, 0.5], [first, second, far, [40, 0, 50, 10], [60, 0, 70, 10]]))

    def scores(**options: object) -> list[float]:
        return [round(face.score, 4) for face in detector.detect(image, **options)]

    assert scores() == [0.8, 0.7, 0.5]
    assert scores(score_threshold=0.0) == [0.8, 0.7, 0.5, 0.4]
    assert scores(score_threshold=0.75) == [0.8]
    assert scores(score_threshold=1.0) == []
    assert scores(max_faces=2) == [0.8, 0.7]
    assert scores(max_faces=0) == []
    kept = detector_of(pixels([0.6, 0.8], [first, second]), Detection(nms_iou=0.6)).detect(image)
    assert len(kept) == 2


@pytest.mark.parametrize(
    "options",
    [{"score_threshold": float("nan")}, {"score_threshold": 1.1}, {"score_threshold": -0.1}, {"max_faces": -1}],
)
def test_options_out_of_range_are_refused(
    detector_of: Callable[..., Detector], image: np.ndarray, options: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        detector_of(pixels([], [])).detect(image, **options)


def test_no_face_is_an_empty_list(detector_of: Callable[..., Detector], image: np.ndarray) -> None:
    assert detector_of(pixels([], [])).detect(image) == []
    assert detector_of(pixels([0.1], [[0, 0, 9, 9]])).detect(image) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("meaning", ["scores", "boxes", "landmarks", "rotation"])
def test_an_answer_that_is_no_number_is_an_error(
    detector_of: Callable[..., Detector], image: np.ndarray, meaning: str, bad: float
) -> None:
    outputs = pixels([0.9, 0.1], [[0, 0, 9, 9], [9, 9, 19, 19]])
    spoiled = outputs[meaning].copy()
    spoiled.reshape(2, -1)[0, -1] = bad
    reason = f"NaN or infinity in its {meaning.rstrip('s')}s? on fake: its weights are damaged, or float32 overflows"
    with pytest.raises(UnsupportedModel, match=reason):
        detector_of({**outputs, meaning: spoiled}).detect(image)


def test_what_the_background_says_of_its_place_does_not_matter(
    detector_of: Callable[..., Detector], image: np.ndarray
) -> None:
    outputs = pixels([0.9, 0.1], [[0, 0, 9, 9], [9, 9, np.inf, np.nan]])
    assert len(detector_of(outputs).detect(image)) == 1
    wild = yunet_outputs((32, 32))
    wild["bbox_32"][0, 0] = 1e4  # whose exponential is infinite
    wild["cls_32"][0, 0] = 0
    assert detector_of(wild, Detection(decoder="yunet", score_threshold=0.2)).detect(image)


@pytest.mark.parametrize(("meaning", "shape"), [("scores", (1,)), ("boxes", (1, 1, 5)), ("landmarks", (1, 1, 10))])
def test_outputs_of_other_shapes_are_refused(
    detector_of: Callable[..., Detector], image: np.ndarray, meaning: str, shape: tuple[int, ...]
) -> None:
    outputs = {**pixels([0.9], [[0, 0, 9, 9]]), meaning: np.zeros(shape, np.float32)}
    with pytest.raises(InvalidContract, match=rf"gave .*{meaning} .*not outputs for the decoder 'pixels'"):
        detector_of(outputs).detect(image)


def test_maps_of_another_size_are_refused(detector_of: Callable[..., Detector], image: np.ndarray) -> None:
    with pytest.raises(InvalidContract, match=r"gave cls_8 \(1, 64, 1\).*not outputs for the decoder 'yunet'"):
        detector_of(yunet_outputs((64, 64)), Detection(decoder="yunet")).detect(image)


def test_pose_is_read_from_the_rotation(detector_onnx: Artifact) -> None:
    face = Detector(detector_onnx).detect(np.full((64, 64, 3), 255, np.uint8))[0]
    assert face.pose is not None
    np.testing.assert_allclose(face.pose, (20, 0, 0), atol=1e-4)
    assert face.pose.yaw_deg == pytest.approx(20, abs=1e-4)


def test_a_real_engine_sees_the_picture(detector_onnx: Artifact) -> None:
    """The tiny model's score is the brightness of its canvas; a picture half as wide as high fills half of it."""
    detector = Detector(str(detector_onnx.path), threads=1)
    for value, width, expected in ((255, 64, 1.0), (255, 32, 0.5), (102, 64, 0.4), (0, 64, 0.0)):
        image = np.full((64, width, 3), value, np.uint8)
        face = detector.detect(image, score_threshold=0.0)[0]
        assert face.score == pytest.approx(expected, abs=1e-5)
        np.testing.assert_allclose(face.box, [8.5, 12.5, 56.5, 60.5])
    assert detector.detect(np.zeros((64, 64, 3), np.uint8)) == []


class TestSize:
    def test_is_the_contracts_unless_it_allows_another(self, detector_of: Callable[..., Detector]) -> None:
        assert detector_of(pixels([], [])).size == (32, 32)
        assert detector_of(pixels([], []), size=(32, 32)).size == (32, 32)
        with pytest.raises(UnsupportedModel, match=r"takes 32 x 32 only, got 64 x 64"):
            detector_of(pixels([], []), size=(64, 64))

    def test_may_be_any_multiple_of_the_step(self, detector_of: Callable[..., Detector], image: np.ndarray) -> None:
        """At 48 x 16 the picture of 24 x 16 keeps its scale, and so do the boxes."""
        detector = detector_of(pixels([0.9], [[1, 2, 9, 12]]), size_step=16, size=(48, 16))
        np.testing.assert_allclose(detector.detect(image)[0].box, [1, 2, 9, 12])
        for wrong in ((40, 32), (0, 32), (-16, 32)):
            with pytest.raises(UnsupportedModel, match=r"takes multiples of 16"):
                detector_of(pixels([], []), size_step=16, size=wrong)


def test_only_a_detector_with_a_contract_is_opened(recognizer_onnx: Artifact, tmp_path: Path) -> None:
    with pytest.raises(InvalidContract, match="a model for recognition, expected one for detection"):
        Detector(recognizer_onnx)
    bare = tmp_path / "bare.onnx"
    bare.write_bytes(recognizer_onnx.path.read_bytes())
    with pytest.raises(InvalidModel, match=r"no contract inside it or beside it \(bare.onnx.json\)"):
        Detector(bare)
    sidecar_path(bare).write_bytes(sidecar_path(recognizer_onnx.path).read_bytes())
    bare.write_bytes(bare.read_bytes() + b"\0")
    with pytest.raises(InvalidModel, match="altered or truncated"):
        Detector(bare)


@pytest.mark.parametrize(
    "image", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8), "face.jpg"]
)
def test_what_is_not_a_picture_is_refused(detector_onnx: Artifact, image: object) -> None:
    with pytest.raises(InvalidImage):
        Detector(detector_onnx).detect(image)


def test_odd_pictures_are_looked_at(detector_onnx: Artifact) -> None:
    for shape in ((1, 1, 3), (1, 500, 3), (500, 1, 3), (33, 31, 3)):
        faces = Detector(detector_onnx).detect(np.full(shape, 255, np.uint8), score_threshold=0.0)
        assert len(faces) == 1
        assert np.isfinite(faces[0].box).all()


def test_a_contract_that_does_not_fit_its_file_is_found_out(detector_onnx: Artifact) -> None:
    spec = msgspec.structs.replace(detector_onnx.contract.input, layout="NHWC")
    wrong = replace(detector_onnx, contract=msgspec.structs.replace(detector_onnx.contract, input=spec))
    with pytest.raises(PocketfaceError, match=r"fed with image float32 \(1, 32, 32, 3\), but the file takes"):
        Detector(wrong).detect(np.zeros((32, 32, 3), np.uint8))


def test_a_face_is_frozen(detector_onnx: Artifact) -> None:
    face = Detector(detector_onnx).detect(np.full((64, 64, 3), 255, np.uint8))[0]
    with pytest.raises(FrozenInstanceError):
        face.score = 0.0  # type: ignore[misc]
