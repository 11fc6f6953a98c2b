"""What is asked of a detector's outputs: ties, chains, edges of thresholds, and numbers that are none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...contract import Detection
from .faces import Decoding, Detecting, Overlapping, Returning, SixNumbers, Suppressing, Turned
from .pictures import Pictures
from .vectors import XYXY, Array, Number, Question, Tensor, numbers, tensor

_INVERTED, _EMPTY = (9.0, 9.0, 8.0, 8.0), (5.0, 5.0, 5.0, 5.0)
_BOXES = ((0.0, 0.0, 2.0, 2.0), (1.0, 0.0, 3.0, 2.0), (2.0, 0.0, 4.0, 2.0), (0.25, 0.0, 1.0, 7.0), _INVERTED, _EMPTY)
_SAME = (0.0, 0.0, 10.0, 10.0)


def overlappings(_: Pictures) -> Iterator[Question]:
    """For ``faces.overlap``."""
    yield Question("known", "areas without an extra pixel; none where there is no area", Overlapping(_BOXES, _BOXES))
    endless: tuple[XYXY, ...] = (("NaN", 0.0, 2.0, 2.0), (0.0, 0.0, "Infinity", 2.0))
    yield Question("not_finite", "overlap with what is not finite is 0", Overlapping(endless, (*endless, _BOXES[0])))


def suppressings(_: Pictures) -> Iterator[Question]:
    """For ``faces.suppress``."""
    ties = Suppressing((_SAME,) * 4, (0.5, 0.75, 0.75, 0.5), 0.5)
    yield Question("ties", "equal scores: the lower index first", ties)
    apart = tuple((100.0 * i, 0.0, 100.0 * i + 10, 10.0) for i in (2, 0, 1, 3))
    yield Question("order", "by falling score, then by rising index", Suppressing(apart, (0.5, 0.25, 0.75, 0.5), 0.5))
    chain = tuple((4.0 * i, 0.0, 4.0 * i + 10, 10.0) for i in range(5))
    why = "one that was removed removes none: each overlaps only its neighbours"
    yield Question("chain", why, Suppressing(chain, (0.9, 0.8, 0.7, 0.6, 0.5), 0.4))
    yield Question("chain_from_the_middle", why, Suppressing(chain, (0.5, 0.6, 0.9, 0.8, 0.7), 0.4))
    half = ((0.0, 0.0, 2.0, 2.0), (0.0, 0.0, 2.0, 1.0))
    yield Question("just_the_threshold", "an overlap of just the threshold stays", Suppressing(half, (0.9, 0.8), 0.5))
    yield Question("above_the_threshold", "one above goes", Suppressing(half, (0.9, 0.8), 0.49))
    bad: tuple[XYXY, ...] = (("NaN", 0.0, 10.0, 10.0), (0.0, 0.0, "Infinity", 10.0))
    spoiled = (_SAME, _SAME, *bad, (50.0, 50.0, 60.0, 60.0))
    scores: tuple[Number, ...] = ("NaN", 0.5, 0.9, 0.9, "Infinity")
    yield Question("not_finite", "NaN is never kept and removes nothing", Suppressing(spoiled, scores, 0.4))
    yield Question("zero", "at 0 boxes that touch stay", Suppressing(_BOXES[:4], (0.5, 0.9, 0.4, 0.3), 0.0))
    yield Question("none", "no candidates", Suppressing((), (), 0.4))
    many = _grid(60, 4, 64)
    corners = tuple((x, y, x + 4 + w, y + 4 + h) for x, y, w, h in numbers(8 * many))
    steps = tuple(i * 7 % 11 / 16 for i in range(60))
    yield Question("many", "sixty boxes with eleven different scores", Suppressing(corners, steps, 0.4))
    yield Question("bad_threshold", "an IoU in per cent", Suppressing((_SAME,), (0.5,), 40.0))


def decodings(_: Pictures) -> Iterator[Question]:
    """For ``faces.decode``."""
    yield Question("pixels", "our exports: nothing is left to do", Decoding("pixels", (64, 96), pixel_outputs()))
    bare = {k: v for k, v in pixel_outputs().items() if k != "rotation"}
    yield Question("pixels_without_pose", "a detector that knows no pose", Decoding("pixels", (64, 96), bare))
    why = "rows first, three strides, offsets from a cell's top-left, logarithms of sides"
    yield Question("yunet", why, Decoding("yunet", (32, 64), yunet_outputs((32, 64))))
    wild = yunet_outputs((32, 32))
    low, high = Tensor((1, 1, 1), (-0.25,)), Tensor((1, 1, 1), (1.5,))
    why = "class and object score count as 0..1 before their geometric mean"
    yield Question("yunet_clipped", why, Decoding("yunet", (32, 32), {**wild, "cls_32": high, "obj_32": high}))
    yield Question("yunet_negative", why, Decoding("yunet", (32, 32), {**wild, "cls_32": low, "obj_32": low}))


def turns(_: Pictures) -> Iterator[Question]:
    """For ``faces.pose``."""
    for name, yaw, pitch, roll, why in (
        ("straight", 0, 0, 0, "straight into the camera"),
        ("yaw", 30, 0, 0, "the nose to the left of the picture"),
        ("pitch", 0, 20, 0, "the nose up"),
        ("roll", 0, 0, -15, "the head to the person's own right shoulder"),
        ("all", -50, 35, 160, "the order Rz(roll) Ry(yaw) Rx(pitch)"),
        ("nearly_sideways", 89.9, -40, 25, "just not locked"),
    ):
        yield Question(name, why, Turned(numbers(_rotation(yaw, pitch, roll))))
    side = ((0.0, 0.5, 0.75), (0.0, 0.75, -0.5), (-1.0, 0.0, 0.0))
    yield Question("sideways", "looking straight to a side, roll is 0 and all is pitch", Turned(side))
    yield Question("not_finite", "NaN stays NaN", Turned((("NaN",) * 3,) * 3))


def six_numbers(_: Pictures) -> Iterator[Question]:
    """For ``faces.rotation``."""
    yield Question("axes", "already orthonormal", SixNumbers((1.0, 0.0, 0.0, 0.0, 1.0, 0.0)))
    skew = SixNumbers((2.0, 1.0, -0.5, 0.5, 3.0, 1.0))
    yield Question("skew", "a gives the direction, b what of it is across a", skew)
    yield Question("parallel", "no rotation: all NaN", SixNumbers((1.0, 2.0, 3.0, 2.0, 4.0, 6.0)))
    yield Question("zero", "no rotation: all NaN", SixNumbers((0.0, 0.0, 0.0, 0.0, 1.0, 0.0)))


def returnings(_: Pictures) -> Iterator[Question]:
    """For ``faces.give_back``."""
    points = ((-0.5, -0.5), (0.0, 0.0), (31.5, 7.25), (319.0, 200.0))
    yield Question("down", "(x + 1/2) / scale - 1/2", Returning(points, 0.25))
    yield Question("up", "(x + 1/2) / scale - 1/2", Returning(points, 4 / 3))
    yield Question("zero", "no scale", Returning(points, 0.0))
    yield Question("not_finite", "no scale", Returning(points, "NaN"))


def detectings(_: Pictures) -> Iterator[Question]:
    """For ``faces.detect``."""
    task, outputs = Detection(score_threshold=0.5, nms_iou=0.4), pixel_outputs()
    base = ((135, 240), (64, 96), task, outputs)
    yield Question("pixels", "threshold, suppression, the picture's own pixels, pose", Detecting(*base))
    yield Question("all", "the caller's threshold", Detecting(*base, score_threshold=0.0))
    yield Question("two", "the best two", Detecting(*base, max_faces=2))
    yield Question("none", "no face is an empty list, not an error", Detecting(*base, score_threshold=1.0))
    why = "a threshold counts as float32, as scores are: float32(0.7) < 0.7 in float64, and yet it is a face"
    yield Question("float32_threshold", why, Detecting(*base, score_threshold=0.7))
    bare = {k: v for k, v in outputs.items() if k != "rotation"}
    yield Question("no_pose", "a detector that knows no pose", Detecting((500, 40), (64, 96), task, bare))
    yunet = Detection(decoder="yunet", score_threshold=0.625, nms_iou=0.3)
    why = "decode, threshold, suppress, back to a picture that was made larger"
    yield Question("yunet", why, Detecting((20, 30), (32, 64), yunet, yunet_outputs((32, 64))))
    spoiled = _with(outputs, "scores", 0, "NaN")
    why = "NaN is an error of the model, not a picture without faces"
    yield Question("score_not_finite", why, Detecting(*base[:3], spoiled))
    yield Question("box_not_finite", why, Detecting(*base[:3], _with(outputs, "boxes", 0, "Infinity")))
    why = "what the background says of its place does not matter"
    yield Question("background_not_finite", why, Detecting(*base[:3], _with(outputs, "boxes", 4 * 5, "NaN")))


def pixel_outputs() -> dict[str, Tensor]:
    """Our own exports' answer: six candidates, the last a background; the first two overlap, two have one score."""
    boxes = [(8, 8, 24, 28), (10, 9, 26, 30), (40, 4, 60, 30), (-4, 30, 12, 50), (70, 20, 99.5, 60.25), (1, 1, 2, 2)]
    shares = np.array([(0.3, 0.4), (0.7, 0.38), (0.52, 0.6), (0.33, 0.8), (0.66, 0.79)])
    corners = np.array(boxes, np.float32)
    landmarks = corners[:, None, :2] + shares * (corners[:, None, 2:] - corners[:, None, :2])
    poses = [(0, 0, 0), (5, 0, 0), (-35, 10, 4), (20, -15, -30), (80, 5, 2), (0, 0, 90)]
    arrays = {
        "scores": np.array([0.75, 0.875, 0.7, 0.7, 0.5, 0.125]),
        "boxes": corners,
        "landmarks": landmarks,
        "rotation": np.array([_rotation(*p) for p in poses]),
    }
    return {meaning: tensor(values.astype(np.float32)[None]) for meaning, values in arrays.items()}


def yunet_outputs(size: tuple[int, int]) -> dict[str, Tensor]:
    """Twelve maps of numbers that float32 and a few digits hold exactly."""
    outputs: dict[str, Tensor] = {}
    for kind, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
        for stride in (8, 16, 32):
            values = _grid(size[0] // stride * (size[1] // stride), width, 64)
            outputs[f"{kind}_{stride}"] = tensor((values if width == 1 else values - 0.25)[None])
    return outputs


def _grid(rows: int, columns: int, steps: int) -> Array:
    """Numbers in 0..1, multiples of 1 / steps, without a visible order."""
    at = np.arange(rows * columns)
    values: Array = ((at * at * 29 + at * 53 + columns * 17) % 1009 % (steps + 1) / steps).reshape(rows, columns)
    return values


def _with(outputs: dict[str, Tensor], meaning: str, at: int, value: Number) -> dict[str, Tensor]:
    data = [*outputs[meaning].data]
    data[at] = value
    return {**outputs, meaning: Tensor(outputs[meaning].shape, tuple(data))}


def _rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> Array:
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in np.radians([yaw_deg, pitch_deg, roll_deg]))
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    rotation: Array = roll @ yaw @ pitch
    return rotation
