"""The rules for numbers, written a second time from the words of bindings/golden/README.md, and wrong ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Given = dict[str, Any]
Failures = Callable[..., list[str]]


def overlap(a: list[float], b: list[float], extra: float = 0) -> tuple[float, float]:
    """Areas of intersection and union; ``extra`` is the pixel that some add to a side."""
    area = [max(x2 - x1 + extra, 0) * max(y2 - y1 + extra, 0) for x1, y1, x2, y2 in (a, b)]
    shared = max(min(a[2], b[2]) - max(a[0], b[0]) + extra, 0) * max(min(a[3], b[3]) - max(a[1], b[1]) + extra, 0)
    return shared, area[0] + area[1] - shared


def nms(given: Given, extra: float = 0, inclusive: bool = False, last: bool = False, chain: bool = False) -> Given:
    boxes, scores = [list(map(float, box)) for box in given["boxes"]], list(map(float, given["scores"]))
    limit = given["iou_threshold"]
    if not 0 <= limit <= 1:
        raise ValueError("InvalidGeometry")
    usable = [i for i in range(len(boxes)) if not math.isnan(scores[i]) and all(map(math.isfinite, boxes[i]))]
    kept: list[int] = []
    before: list[int] = []
    for i in sorted(usable, key=lambda i: (-scores[i], -i if last else i)):
        against = [overlap(boxes[j], boxes[i], extra) for j in (before if chain else kept)]
        if not any(s > limit * u or (inclusive and s == limit * u) for s, u in against):
            kept.append(i)
        before.append(i)
    return {"kept": kept}


def pose(given: Given, sign: int = 1, swapped: bool = False, locks: bool = True) -> Given:
    r = [[float(v) for v in row] for row in given["rotation"]]
    r = [list(column) for column in zip(*r, strict=True)] if swapped else r
    c = math.hypot(r[0][0], r[1][0])
    yaw = math.atan2(-sign * r[2][0], c)
    pitch, roll = math.atan2(r[2][1], r[2][2]), math.atan2(r[1][0], r[0][0])
    if locks and c < 1e-6:
        pitch, roll = math.atan2(-r[1][2], r[1][1]), 0.0
    angles = [math.degrees(v) for v in (yaw, pitch, roll)]
    return dict(zip(("yaw_deg", "pitch_deg", "roll_deg"), ("NaN" if math.isnan(v) else v for v in angles), strict=True))


def to_source(given: Given, half: float = 0.5) -> Given:
    scale = float(given["scale"])
    if not 0 < scale < math.inf:
        raise ValueError("InvalidGeometry")
    return {"points": [[(c + half) / scale - half for c in point] for point in given["points"]]}


def decode(given: Given, turned: bool = False, centre: float = 0, geometric: bool = True, clips: bool = True) -> Given:
    outputs = {k: np.array(v["data"]).reshape(v["shape"])[0] for k, v in given["outputs"].items()}
    if given["decoder"] == "pixels":
        rotations = outputs["rotation"].tolist() if "rotation" in outputs else None
        return {"scores": outputs["scores"].tolist(), "boxes": outputs["boxes"].tolist(),
                "landmarks": outputs["landmarks"].tolist(), "rotations": rotations}  # fmt: skip
    found: Given = {"scores": [], "boxes": [], "landmarks": [], "rotations": None}
    for stride in (8, 16, 32):
        cls, obj, bbox, kps = (outputs[f"{kind}_{stride}"] for kind in ("cls", "obj", "bbox", "kps"))
        rows, columns = (n // stride for n in given["size"])
        for i in range(rows * columns):
            row, column = (i % rows, i // rows) if turned else divmod(i, columns)
            row, column = row + centre, column + centre
            c, o = (min(max(float(v[i, 0]), 0), 1) if clips else float(v[i, 0]) for v in (cls, obj))
            found["scores"].append(math.sqrt(max(c * o, 0)) if geometric else c * o)
            dx, dy, *sides = bbox[i].tolist()
            x, y = (column + dx) * stride, (row + dy) * stride
            w, h = (math.exp(v) * stride for v in sides)
            found["boxes"].append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
            found["landmarks"].append(
                [[(column + u) * stride, (row + v) * stride] for u, v in kps[i].reshape(5, 2).tolist()]
            )
    return found


def detect(
    given: Given, half: float = 0.5, in_float64: bool = False, inclusive: bool = True, keeps: bool = True
) -> Given:
    task = given["task"]
    every = decode({"decoder": task["decoder"], "size": given["size"], "outputs": _plain(given["outputs"])})
    if any(math.isnan(s) for s in every["scores"]):
        raise ValueError("UnsupportedModel")
    limit = task["score_threshold"] if given["score_threshold"] is None else given["score_threshold"]
    limit = limit if in_float64 else float(np.float32(limit))
    likely = [i for i, s in enumerate(every["scores"]) if s > limit or (inclusive and s == limit)]
    chosen = {k: [v[i] for i in likely] for k, v in every.items() if v is not None}
    if not all(np.isfinite(np.array(v, float)).all() for v in chosen.values()):
        raise ValueError("UnsupportedModel")
    kept = range(len(likely)) if not keeps else nms({**chosen, "iou_threshold": task["nms_iou"]})["kept"]
    (h, w), (height, width) = given["size"], given["picture_size"]
    scale = h / height if h * width <= w * height else w / width
    faces = [_found(chosen, i, lambda c: (c + half) / scale - half) for i in kept]
    return {"faces": faces[: given["max_faces"]]}


def _plain(outputs: Given) -> Given:
    return {k: {**v, "data": [float(n) for n in v["data"]]} for k, v in outputs.items()}


def _found(chosen: Given, i: int, back: Callable[[float], float]) -> Given:
    rotation = chosen["rotations"][i] if "rotations" in chosen else None
    landmarks = [[back(c) for c in point] for point in chosen["landmarks"][i]]
    head = {"box": [back(c) for c in chosen["boxes"][i]], "score": chosen["scores"][i], "landmarks": landmarks}
    return {**head, "rotation": rotation, "pose": rotation and pose({"rotation": rotation})}


def quantize(given: Given, up: bool = False, zero_first: bool = False) -> Given:
    low, high = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}[given["dtype"]]
    scale, zero, found = np.float32(given["scale"]), given["zero_point"], []
    for x in given["numbers"]:
        steps = float(np.float32(x) / scale) + (zero if zero_first else 0)
        nearest = math.floor(steps + 0.5) if up else round(steps)
        found.append(min(max(nearest + (0 if zero_first else zero), low), high))
    return {"integers": found}


def dequantize(given: Given, float64: bool = False, adds: bool = False) -> Given:
    scale, sign = given["scale"] if float64 else np.float32(given["scale"]), 1 if adds else -1
    steps = [np.float32(q + sign * given["zero_point"]) for q in given["integers"]]
    return {"numbers": [float(q) * scale if float64 else float(q * scale) for q in steps]}


def decision(given: Given, strict: bool = False, last: bool = True) -> Given:
    levels, cosine = given["task"].get("calibration", {}).get("thresholds", []), given["cosine"]
    passed = [t for t in levels if cosine > t["score"] or (not strict and cosine == t["score"])]
    reached = passed[-1 if last else 0] if passed else levels[0] if levels else {"score": None}
    far, lenient = reached["far"] if passed else None, levels[0]["far"] if levels else None
    told = {"calibrated": bool(levels), "far": far, "threshold": reached["score"], "lenient": lenient}
    return {**told, "same": far is not None and far <= given["far"], "text": sentence(cosine, told)}


def sentence(cosine: float, told: Given) -> str:
    if not told["calibrated"]:
        why = "the model is not calibrated, so no threshold says whether that is one person: run `pocketface calibrate`"
        return f"cosine {cosine:.4f}; {why}"
    rate = f"1e-{round(-math.log10(told['far'] or told['lenient']))}"
    if told["far"] is None:
        return f"not the same person: cosine {cosine:.4f} < {told['threshold']:.4f}, at FAR {rate}"
    return f"same person at FAR {rate}: cosine {cosine:.4f} >= {told['threshold']:.4f}"


def cosine(given: Given, clips: bool = True, checks: bool = True) -> Given:
    a, b = given["a"], given["b"]
    alike = a["precision"] == b["precision"] or a["precision"] in b["compatible"] or b["precision"] in a["compatible"]
    if checks and (a["fingerprint"] != b["fingerprint"] or not alike):
        raise ValueError("EmbeddingMismatch")
    dot = sum(x * y for x, y in zip(a["vector"], b["vector"], strict=True))
    return {"cosine": min(max(dot, -1), 1) if clips else dot}


def embedding(given: Given, divides: bool = True) -> Given:
    vector = [float(v) for v in given["embedding"]]
    length = math.sqrt(sum(v * v for v in vector)) if divides else 1.0
    if not 0 < length < math.inf:
        raise ValueError("UnsupportedModel")
    return {"embedding": [v / length for v in vector]}


def gate(given: Given, strict: bool = False, longer: bool = False) -> Given:
    x1, y1, x2, y2 = map(float, given["box"])
    side, quality = (max if longer else min)(x2 - x1, y2 - y1), given["face_quality"]
    side = math.nan if math.isnan(x2 - x1 + y2 - y1) else side
    if not (side > given["side_px"] if strict else side >= given["side_px"]):
        return {"refused": "size", "text": f"too small: {side:.1f} px, expected at least {given['side_px']:g} px"}
    good = math.inf if quality is None else float(quality)
    if not (good > given["quality"] if strict else good >= given["quality"]):
        told = f"quality {good:.2f}, expected at least {given['quality']:g}"
        return {"refused": "quality", "text": f"too hard to recognise: {told}"}
    return {"refused": None, "text": None}


BOOK: dict[str, Callable[..., Given]] = {
    "nms": nms, "pose": pose, "to_source": to_source, "decode": decode, "detect": detect,
    "quantize": quantize, "dequantize": dequantize, "decision": decision, "cosine": cosine,
    "embedding": embedding, "gate": gate,
    "iou": lambda given, extra=0.0: {"iou": [[_iou(a, b, extra) for b in given["b"]] for a in given["a"]]},
}  # fmt: skip


def _iou(a: list[Any], b: list[Any], extra: float) -> float:
    shared, union = overlap(list(map(float, a)), list(map(float, b)), extra)
    return shared / union if 0 < union < math.inf else 0.0


@pytest.mark.parametrize("operation", BOOK)
def test_numbers_by_the_book(operation: str, failures: Failures) -> None:
    assert failures(operation, lambda given, _: BOOK[operation](given)) == []


@pytest.mark.parametrize(
    ("operation", "wrong", "found_by"),
    [
        ("iou", {"extra": 1.0}, "known"),
        ("nms", {"extra": 1.0}, "many"),
        ("nms", {"inclusive": True}, "just_the_threshold"),
        ("nms", {"last": True}, "ties"),
        ("nms", {"chain": True}, "chain"),
        ("pose", {"sign": -1}, "yaw"),
        ("pose", {"swapped": True}, "all"),
        ("pose", {"locks": False}, "sideways"),
        ("to_source", {"half": 0.0}, "down"),
        ("decode", {"turned": True}, "yunet"),
        ("decode", {"centre": 0.5}, "yunet"),
        ("decode", {"geometric": False}, "yunet"),
        ("decode", {"clips": False}, "yunet_clipped"),
        ("detect", {"half": 0.0}, "pixels"),
        ("detect", {"in_float64": True}, "float32_threshold"),
        ("detect", {"inclusive": False}, "pixels"),
        ("detect", {"keeps": False}, "pixels"),
        ("quantize", {"up": True}, "halves_to_even"),
        ("quantize", {"zero_first": True}, "odd_zero_point"),
        ("dequantize", {"float64": True}, "int8_decimal"),
        ("dequantize", {"adds": True}, "int8"),
        ("decision", {"strict": True}, "just_reached"),
        ("decision", {"last": False}, "strictest"),
        ("cosine", {"clips": False}, "same"),
        ("cosine", {"checks": False}, "other_precision"),
        ("embedding", {"divides": False}, "nearly_one"),
        ("gate", {"strict": True}, "just_good_enough"),
        ("gate", {"longer": True}, "too_small"),
    ],
    ids=str,
)
def test_a_wrong_rule_for_numbers_is_found(
    operation: str, wrong: dict[str, Any], found_by: str, failures: Failures
) -> None:
    assert found_by in failures(operation, lambda given, _: BOOK[operation](given, **wrong))
