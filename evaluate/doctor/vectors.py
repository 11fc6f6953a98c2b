"""Examine embeddings, or a detector's raw tensors: both are rows of numbers that a rehearsal can predict."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .changes import Change, Changes, combine
from .verdict import LEFT, Diagnosis, Hypothesis, choose, conclude, distances, inconclusive, related

Floats = NDArray[np.float64]

#: Pictures that all hypotheses are compared on; the best is then judged on all.
SCREEN = 16
#: If a single fault leaves more than this, pairs are tried.
PAIRS_FROM = 0.05
#: Cuts that are tried in pairs: the best of them.
CUTS = 3


class Exam:
    """An app's answers beside the rehearsal, as rows of numbers.

    Args:
        rehearsal: the model.
        rows: ``(n, D)`` the app's answers, finite.
        blocks: slices of a row that were quantized together.
        integers: which of the blocks hold integers.
        predict: changes, pictures -> ``(k, D)`` the model's answers.
        pictures: ``(n,)`` which golden picture each row is of.
        unit: whether rows are directions, to be compared at length 1.
    """

    def __init__(
        self,
        rows: Floats,
        blocks: Sequence[slice],
        integers: Sequence[bool],
        predict: Callable[[Changes, Sequence[int]], Floats],
        pictures: Sequence[int],
        unit: bool,
    ) -> None:
        self.rows, self.blocks, self.integers = rows, blocks, integers
        self.predict, self.pictures, self.unit = predict, pictures, unit
        right = predict((), pictures)
        self.average = right.mean(0)
        spread = np.concatenate([np.full(b.stop - b.start, _spread(right[:, b] - self.average[b])) for b in blocks])
        self.weight = np.ones_like(spread) if unit else 1 / spread

    def judge(self, changes: Changes, which: Sequence[int]) -> Hypothesis:
        """How well the changes explain the rows ``which``."""
        predicted = self.predict(changes, [self.pictures[i] for i in which])
        observed = self.fitted(predicted, which)
        rounding = self.rounding(predicted, which)
        apart = np.maximum(_square(observed - predicted, self.weight) - rounding, 0)
        left = apart / (np.maximum(_square(observed - self.average, self.weight) - rounding, apart) + 1e-12)
        detail = "; ".join(c.detail for c in changes)
        return Hypothesis(tuple(c.fault for c in changes), detail, left)

    def fitted(self, predicted: Floats, which: Sequence[int]) -> Floats:
        """The rows, integers taken to numbers by the scale and zero point that suit the prediction best."""
        observed = self.rows[list(which)].copy()
        for block, integer in zip(self.blocks, self.integers, strict=True):
            if integer:
                q, p = observed[:, block], predicted[:, block]
                scale = _scale(q, p)
                observed[:, block] = scale * (q - q.mean()) + p.mean()
        if not self.unit:
            return observed
        lengths = np.linalg.norm(observed, axis=1, keepdims=True)
        return np.divide(observed, lengths, out=np.zeros_like(observed), where=lengths > 0)

    def rounding(self, predicted: Floats, which: Sequence[int]) -> float:
        """What integers leave unexplained of a row for being whole: a twelfth of a squared step for each number."""
        total = 0.0
        for block, integer in zip(self.blocks, self.integers, strict=True):
            if integer:
                step = _scale(self.rows[list(which)][:, block], predicted[:, block])
                total += float((self.weight[block] ** 2).sum()) * step**2 / 12
        return total

    def order(self, changes: Changes) -> tuple[Hypothesis, list[int]]:
        """The changes with each answer held against the picture that it is nearest to, and which that is."""
        everything = range(len(self.rows))
        predicted = self.predict(changes, self.pictures)
        observed = self.fitted(predicted, everything)
        between = distances(observed * self.weight, predicted * self.weight)
        nearest = between.argmin(1)
        left = between.min(1) / (_square(observed - self.average, self.weight) + 1e-12)
        faults = ("wrong order", *(c.fault for c in changes))
        return Hypothesis(faults, "; ".join(c.detail for c in changes), left), [int(i) for i in nearest]


def examine(exam: Exam, changes: Sequence[Change], extra: Sequence[str], notes: Sequence[str]) -> Diagnosis:
    """Try all changes, pairs of them where none will do, then the order of the pictures, and conclude."""
    everything = range(len(exam.rows))
    screen = everything[:: -(-len(exam.rows) // SCREEN)]
    tried: dict[Changes, Hypothesis] = {
        changed: exam.judge(changed, screen) for changed in [(), *((change,) for change in changes)]
    }
    if choose(list(tried.values())).unexplained > PAIRS_FROM:
        tried |= {pair: exam.judge(pair, screen) for pair in _pairs(exam, tried, screen)}
    hypotheses = list(tried.values())
    chosen = choose(hypotheses)
    changed = next(c for c, h in tried.items() if h is chosen)
    on_all = exam.judge(changed, everything)
    if chosen.unexplained <= LEFT:
        return conclude(chosen, hypotheses, on_all, extra, [*notes, *_outliers(exam, on_all, changed)])
    for changed in ((), *((change,) for change in changes if change.step != "cut")):
        if found := _misplaced(exam, changed):
            return conclude(found[0], [*hypotheses, found[0]], found[0], extra, [*notes, found[1]])
    right = exam.predict((), exam.pictures)
    alike, stale = related(exam.fitted(right, everything) * exam.weight, right * exam.weight)
    told = (
        f"the answers relate to each other {'as' if stale else 'not as'} the model's do, rank correlation {alike:.2f}"
    )
    return inconclusive(on_all, hypotheses, stale, extra, [*notes, told])


def _pairs(exam: Exam, tried: dict[Changes, Hypothesis], screen: Sequence[int]) -> list[Changes]:
    """The most promising pairs: all that are compatible, screened on half of the pictures."""
    singles = sorted((c for c in tried if c and c[0].fault != "blank input"), key=lambda c: tried[c].unexplained)
    cuts = [c[0] for c in singles if c[0].step == "cut"][:CUTS]
    usable = [*cuts, *(c[0] for c in singles if c[0].step != "cut")]
    pairs = [p for i, a in enumerate(usable) for b in usable[i + 1 :] if (p := combine((a,), b))]
    half = screen[::2]
    return sorted(pairs, key=lambda pair: exam.judge(pair, half).unexplained)[:4]


def _outliers(exam: Exam, on_all: Hypothesis, changes: Changes) -> list[str]:
    """What to say of the pictures that the verdict does not explain."""
    odd = np.flatnonzero(on_all.left > LEFT)
    if not len(odd):
        return []
    _, nearest = exam.order(changes)
    moved = sum(nearest[i] != i for i in odd)
    hint = f", {moved} of them have another picture's answer" if moved else ""
    return [f"{len(odd)} of {len(exam.rows)} pictures are not explained by it{hint}: rows {odd[:5].tolist()}"]


def _misplaced(exam: Exam, changes: Changes) -> tuple[Hypothesis, str] | None:
    """The answers are right under these changes, but another picture's: all of one picture, late, or shuffled."""
    found, nearest = exam.order(changes)
    count = len(nearest)
    moved = sum(i != n for i, n in enumerate(nearest))
    if found.unexplained > LEFT or moved < count / 2:
        return None
    if len(set(nearest)) == 1:
        faults = ("stuck picture", *found.faults[1:])
        return Hypothesis(faults, found.detail, found.left), f"every answer is that of picture {nearest[0]}"
    if len(set(nearest)) < 0.8 * count:
        return None
    late = [(i - n) % count for i, n in enumerate(nearest)]
    most = max(set(late), key=late.count)
    if late.count(most) >= 0.9 * count:
        how = f"late by {most}" if most <= count / 2 else f"early by {count - most}"
        return found, f"the answers are {how} of {count} pictures"
    return found, "the answers are shuffled among the pictures"


def _scale(q: Floats, p: Floats) -> float:
    """The step that takes integers closest to numbers, whatever the zero point; 0 if they go the other way."""
    return max(0.0, float(np.mean((q - q.mean()) * (p - p.mean())) / max(float(q.var()), 1e-12)))


def _spread(centred: Floats) -> float:
    return float(np.sqrt(np.mean(centred**2))) or 1.0


def _square(rows: Floats, weight: Floats) -> Floats:
    squares: Floats = ((rows * weight) ** 2).sum(1)
    return squares
