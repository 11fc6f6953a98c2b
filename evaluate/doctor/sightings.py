"""Examine lists of faces: which fault before the model, and which after it, makes an app report just these."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...contract import Detection
from ...runtime.boxes import iou
from .changes import Changes, input_changes
from .observed import Observed
from .readings import READINGS, RIGHT, Reading, Seen, select, undecoded_yunet
from .rehearsal import Rehearsal
from .verdict import LEFT, Diagnosis, Hypothesis, choose, conclude, inconclusive

Floats = NDArray[np.float64]

SCREEN = 16
#: Two faces agree not at all when they are so far apart: corners and landmarks in sides of the box, scores as they are.
REACH = 0.25
#: Faces of one picture that are compared; an app that reports more is compared on its best.
MOST = 400
#: Share of a box that must lie on the face for the app to have found it.
ON_FACE = 0.3

#: Share of the pictures with the face found, from which the app runs some face detector, only not this one.
FOUND = 0.5

Key = tuple[Changes, Reading, float | None]


class Inspection:
    """An app's faces beside the rehearsal's.

    Args:
        rehearsal: the model.
        faces: ``(n, 15)`` for each picture: box, score, landmarks, NaN where not given.
        pictures: which golden picture each is of.
    """

    def __init__(self, rehearsal: Rehearsal, faces: Sequence[Floats], pictures: Sequence[int]) -> None:
        assert isinstance(rehearsal.contract.task, Detection)
        self.rehearsal, self.faces, self.pictures, self.task = rehearsal, faces, pictures, rehearsal.contract.task
        scores = np.concatenate([f[:, 4] for f in faces])
        self.lowest = float(np.nanmin(scores)) if np.isfinite(scores).any() else None

    def judge(self, key: Key, which: Sequence[int]) -> Hypothesis:
        """How well these changes, this reading and this threshold explain the pictures ``which``."""
        changes, reading, threshold = key
        expected = self.expected(key, which)
        left = np.array([1 - agreement(self.faces[i], rows) for i, rows in zip(which, expected, strict=True)])
        told = [(c.fault, c.detail) for c in changes] + ([(reading.fault, reading.detail)] if reading.fault else [])
        told += [("wrong threshold", f"{threshold:.3g}")] if threshold is not None else []
        return Hypothesis(tuple(f for f, _ in told), "; ".join(d for _, d in told), left, "mean")

    def expected(self, key: Key, which: Sequence[int]) -> list[Floats]:
        """The faces that an app with these faults would report."""
        changes, reading, threshold = key
        pictures = [self.pictures[i] for i in which]
        spec = self.rehearsal.contract.input
        limit = self.task.score_threshold if threshold is None else threshold
        raw = self.rehearsal.answers(changes, pictures)
        rows = []
        for i, (outputs, _), (candidates, scale) in zip(
            pictures, raw, self.rehearsal.candidates(changes, pictures), strict=True
        ):
            if reading.fault == "not decoded":
                candidates = undecoded_yunet(outputs, candidates)
            height, width = self.rehearsal.portraits[i].image.shape[:2]
            best = select(candidates, self.task, limit, reading.suppress)
            best = best.take(np.arange(min(MOST, len(best.scores))))
            rows.append(reading.report(Seen(best, scale, (width, height), (spec.width, spec.height))))
        return rows


def examine_faces(rehearsal: Rehearsal, observed: Observed, pictures: Sequence[int], notes: Sequence[str]) -> Diagnosis:
    """Try every fault before and after the model, then pairs of the best, and conclude."""
    faces, extra = _scores_checked([np.asarray(v, np.float64) for v in observed.values])
    inspection = Inspection(rehearsal, [_best(f) for f in faces], pictures)
    everything = range(len(faces))
    screen = everything[:: -(-len(faces) // SCREEN)]
    before = [(change,) for change in input_changes(rehearsal.contract)]
    after = [*READINGS, *_undecoded(inspection.task)]
    keys: list[Key] = [((), RIGHT, None), *((c, RIGHT, None) for c in before), *(((), r, None) for r in after)]
    if inspection.lowest is not None:
        keys.append(((), RIGHT, min(1.0, max(0.0, inspection.lowest))))
    tried = {key: inspection.judge(key, screen) for key in keys}
    if choose(list(tried.values())).unexplained > 0.05:
        tried |= {key: inspection.judge(key, screen) for key in _pairs(tried)}
    hypotheses = list(tried.values())
    chosen = choose(hypotheses)
    on_all = inspection.judge(next(k for k, h in tried.items() if h is chosen), everything)
    told = [*notes, *_counts(faces)]
    if chosen.unexplained <= LEFT:
        return conclude(chosen, hypotheses, on_all, extra, told)
    found = _on_faces(inspection)
    told.append(f"in {found:.0%} of the pictures its best box lies on the face")
    return inconclusive(on_all, hypotheses, found >= FOUND, extra, told)


def agreement(a: Floats, b: Floats) -> float:
    """How two lists of faces ``(n, 15)`` agree, 0..1: matched faces, each by how near it is, over their mean number.

    This is the panoptic quality of Kirillov et al. (2019) with nearness in place of IoU, because boxes that an app
    read wrongly may have no area.
    """
    if not len(a) and not len(b):
        return 1.0
    if not len(a) or not len(b):
        return 0.0
    near = _nearness(a, b)
    partner = near.argmax(1)
    mutual = near.argmax(0)[partner] == np.arange(len(a))
    return float(near.max(1)[mutual].sum() / ((len(a) + len(b)) / 2))


def _nearness(a: Floats, b: Floats) -> Floats:
    """``(n, m)`` in 0..1: the mean over box, score and landmarks, of those that both give."""
    side = np.maximum(np.ptp(b[:, :4], axis=1), 1e-9) * REACH
    total, parts = np.zeros((len(a), len(b))), np.zeros((len(a), len(b)))
    for part, reach in ((slice(0, 4), side), (slice(4, 5), np.full(len(b), REACH)), (slice(5, 15), side)):
        apart = np.max([np.abs(a[:, None, k] - b[None, :, k]) for k in range(part.start, part.stop)], axis=0)
        given = np.isfinite(apart)
        total += np.where(given, np.clip(1 - np.nan_to_num(apart) / reach, 0, 1), 0)
        parts += given
    near: Floats = total / np.maximum(parts, 1)
    return near


def _pairs(tried: dict[Key, Hypothesis]) -> list[Key]:
    """Each of the three best faults before the model with every one after it, and the other way round."""
    order = sorted(tried, key=lambda key: tried[key].unexplained)
    before = [key[0] for key in order if key[0]]
    after = [(key[1], key[2]) for key in order if key[1].fault or key[2] is not None]
    pairs = [(c, *r) for c in before[:3] for r in after] + [(c, *r) for c in before for r in after[:3]]
    return list(dict.fromkeys(pairs))


def _undecoded(task: Detection) -> list[Reading]:
    return [Reading("not decoded", "raw maps as pixels", _raw)] if task.decoder == "yunet" else []


def _raw(seen: Seen) -> Floats:
    c = seen.candidates
    return seen.rows(c.boxes.astype(np.float64), c.landmarks.astype(np.float64))


def _best(faces: Floats) -> Floats:
    """At most ``MOST``, by score where there are scores."""
    best: Floats = faces[np.argsort(-np.nan_to_num(faces[:, 4]), kind="stable")[:MOST]]
    return best


def _scores_checked(faces: list[Floats]) -> tuple[list[Floats], list[str]]:
    """Scores beyond 0..1 are integers that were not dequantized; they are then left out of the comparison."""
    scores = np.concatenate([f[:, 4] for f in faces])
    if not len(scores) or not np.nanmax(np.abs(np.nan_to_num(scores)), initial=0) > 1.5:
        return faces, []
    for rows in faces:
        rows[:, 4] = np.nan
    return faces, ["not dequantized"]


def _counts(faces: Sequence[Floats]) -> list[str]:
    counts = [len(f) for f in faces]
    notes = [f"the app reports {sum(counts)} faces in {len(counts)} pictures, {counts.count(0)} have none"]
    if not any(counts):
        notes.append("no faces tell little: dump the output tensors and run this again")
    return notes


def _on_faces(inspection: Inspection) -> float:
    """Share of the pictures where the app's best box lies on the face, if its boxes are pixels of the picture."""
    found = [
        len(rows) > 0 and iou(rows[:1, :4], inspection.rehearsal.portraits[i].box[None])[0, 0] >= ON_FACE
        for rows, i in zip(inspection.faces, inspection.pictures, strict=True)
    ]
    return float(np.mean(found))
