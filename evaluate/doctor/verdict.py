"""From how well each hypothesis explains an app's answers to the fault that it has.

What a hypothesis leaves unexplained of a picture is the squared distance of the app's answer to the predicted one, as a
share of its distance to the model's average right answer: 0 if it is predicted to the last bit, 1 if the average would
have done as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .faults import FAULTS, HEALTHY, STALE, UNKNOWN, Fault

Floats = NDArray[np.float64]

#: A picture counts as explained if no more than this is left.
LEFT = 0.2
#: A further fault must leave less than this share of what is left without it, or it is not believed.
GAIN = 0.6
#: The second-best fault must leave so many times more, or the two cannot be told apart.
CLEAR = 1.5
#: Two hypotheses that leave less than this are both perfect; noise decides between them, so the simpler one stands.
NOISE = 1e-3
_FLOOR = 1e-5  # what no one could tell from nothing, so that ratios stay finite


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """Faults that were tried, and what they leave unexplained.

    Attributes:
        faults: names; empty for a healthy app.
        detail: the variants.
        left: ``(n,)`` unexplained share per picture, from 0.
        typical: ``median`` over the pictures, so that a few that failed otherwise do not decide, or ``mean``, where a
            fault shows in a few pictures only.
    """

    faults: tuple[str, ...]
    detail: str
    left: Floats
    typical: Literal["median", "mean"] = "median"

    @property
    def name(self) -> str:
        """The faults in words."""
        return " + ".join(self.faults) or HEALTHY.name

    @property
    def unexplained(self) -> float:
        """Of the typical picture."""
        return float(np.median(self.left) if self.typical == "median" else np.mean(self.left))

    @property
    def explained(self) -> float:
        """Share that is explained, 0..1."""
        return max(0.0, 1.0 - self.unexplained)

    @property
    def pictures(self) -> float:
        """Share of the pictures that are explained."""
        return float(np.mean(self.left <= LEFT))


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What an app does wrong, and the evidence.

    Attributes:
        faults: one or two, or healthy, stale or unknown.
        detail: which variant.
        explained: share of the app's answers that it explains, 0..1; of those examined, on the median picture.
        margin: how many times more the next fault leaves unexplained.
        share: of pictures that it explains.
        pictures: how many answers there were.
        table: every hypothesis of one fault and the best of two, best first.
        notes: what else was seen, a sentence each.
    """

    faults: tuple[Fault, ...]
    detail: str
    explained: float
    margin: float
    share: float
    pictures: int
    table: tuple[Hypothesis, ...]
    notes: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether nothing is to be changed."""
        return self.faults == (HEALTHY,)

    @property
    def name(self) -> str:
        """The faults in words."""
        return " + ".join(fault.name for fault in self.faults)


def choose(hypotheses: Sequence[Hypothesis]) -> Hypothesis:
    """The hypothesis that explains most; a more complicated one only if it leaves much less."""
    chosen: Hypothesis | None = None
    for count in sorted({len(h.faults) for h in hypotheses}):
        best = min((h for h in hypotheses if len(h.faults) == count), key=lambda h: h.unexplained)
        if chosen is None or _better(best, chosen):
            chosen = best
    assert chosen is not None
    return chosen


def _better(best: Hypothesis, chosen: Hypothesis) -> bool:
    return chosen.unexplained > NOISE and best.unexplained < GAIN * chosen.unexplained


def ranked(hypotheses: Sequence[Hypothesis]) -> tuple[Hypothesis, ...]:
    """Best first; of equals the simpler."""
    return tuple(sorted(hypotheses, key=lambda h: (h.unexplained, len(h.faults))))


def rivals(chosen: Hypothesis, hypotheses: Sequence[Hypothesis]) -> tuple[list[Hypothesis], list[Hypothesis]]:
    """Other faults that might be it, best first, and those that would change nothing in these answers.

    Variants of one fault are no rivals, nor is what only adds a fault to those chosen.
    """
    most = max(1, len(chosen.faults))
    others = [h for h in ranked(hypotheses) if len(h.faults) <= most and not _same(chosen, h)]
    idle = [h for h in others if len(h.faults) > len(chosen.faults) and np.allclose(h.left, chosen.left, atol=1e-9)]
    return [h for h in others if h not in idle], idle


def _same(chosen: Hypothesis, other: Hypothesis) -> bool:
    return set(chosen.faults) <= set(other.faults) if chosen.faults else not other.faults


def conclude(
    chosen: Hypothesis, hypotheses: Sequence[Hypothesis], on_all: Hypothesis, extra: Sequence[str], notes: Sequence[str]
) -> Diagnosis:
    """A diagnosis from the chosen hypothesis.

    Args:
        chosen: among the hypotheses, all of which were judged on the same pictures.
        hypotheses: all that were tried.
        on_all: the chosen one on all pictures.
        extra: faults of the output's form, found without a rehearsal.
        notes: what else was seen.
    """
    others, idle = rivals(chosen, hypotheses)
    names = (*extra, *chosen.faults)
    faults = tuple(FAULTS[name] for name in names) or (HEALTHY,)
    told = list(notes)
    if close := _names([h for h in others if times(chosen, h) < CLEAR]):
        told.append(f"cannot be told here from: {close}")
    if unseen := _names(idle):
        told.append(f"would not show in these answers: {unseen}")
    least = times(chosen, others[0]) if others else float("inf")
    table, count = ranked(hypotheses), len(on_all.left)
    return Diagnosis(faults, chosen.detail, on_all.explained, least, on_all.pictures, count, table, tuple(told))


def times(chosen: Hypothesis, other: Hypothesis) -> float:
    """How many times more the other leaves unexplained."""
    return (other.unexplained + _FLOOR) / (chosen.unexplained + _FLOOR)


def _names(hypotheses: Sequence[Hypothesis]) -> str:
    return ", ".join(dict.fromkeys(h.name for h in hypotheses))


def inconclusive(
    best: Hypothesis, hypotheses: Sequence[Hypothesis], stale: bool, extra: Sequence[str], notes: Sequence[str]
) -> Diagnosis:
    """Nothing explains the answers: a stale model if they still have to do with the pictures, else unknown.

    Args:
        best: the least bad hypothesis, on all pictures.
        hypotheses: all that were tried.
        stale: whether the answers have to do with the pictures.
        extra: as for ``conclude``.
        notes: likewise.
    """
    others, _ = rivals(best, hypotheses)
    faults = (*(FAULTS[name] for name in extra), STALE if stale else UNKNOWN)
    table, count = ranked(hypotheses), len(best.left)
    least = times(best, others[0]) if others else float("inf")
    return Diagnosis(faults, "", best.explained, least, best.pictures, count, table, tuple(notes))


def related(a: Floats, b: Floats, permutations: int = 199) -> tuple[float, bool]:
    """Do two sets of rows relate to each other in the same way? Mantel's test (1967) on ranks.

    Returns:
        The rank correlation of the distances between the rows of ``a`` and between those of ``b``, -1..1; and whether
        it is higher than under each of so many random orders of the rows of ``b``.
    """
    upper = np.triu_indices(len(a), 1)
    x, between = distances(a, a)[upper].argsort().argsort(), distances(b, b)

    def correlation(order: NDArray[np.intp]) -> float:
        y = between[np.ix_(order, order)][upper].argsort().argsort()
        return float(np.corrcoef(x, y)[0, 1])

    random = np.random.default_rng(0)
    found = correlation(np.arange(len(b)))
    return found, found > max(correlation(random.permutation(len(b))) for _ in range(permutations))


def distances(a: Floats, b: Floats) -> Floats:
    """``(n, m)`` squared Euclidean distances between rows."""
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
    result: Floats = np.maximum(squares, 0)
    return result
