"""Morphing attacks: how many morphed pictures pass for every person that went into them?

MMPMR (mated morph presentation match rate): of M morphs, the share whose least score over the contributing subjects is
above the threshold, 1/M Σ_m [min_n s_mn > τ]. Where a subject has several samples, two variants: MinMax takes each
subject's best sample, 1/M Σ_m [min_n max_i s_mni > τ]; ProdAvg takes the chance that a random sample of each passes,
1/M Σ_m Π_n (1/I_n Σ_i [s_mni > τ]). With one sample each, all three are one. RMMR = 1 + MMPMR - (1 - FNMR) sets it
beside what the threshold costs. Source: Scherhag et al. 2017, "Biometric Systems under Morphing Attacks".
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidData
from .binomial import wilson
from .bootstrap import ROUNDS, Interval, linear_interval
from .data.shelf import named, printable, read_text

COLUMNS = ("morph", "subject", "sample", "score")


@dataclass(frozen=True, eq=False)
class Morphs:
    """Scores of morphs against samples of those who went into them.

    Attributes:
        name: of the file.
        scores: morph -> subject -> scores of the samples; two subjects or more each.
        problems: a sentence for each row or morph that was left out.
    """

    name: str
    scores: dict[str, dict[str, NDArray[np.float64]]]
    problems: tuple[str, ...] = ()

    @property
    def single(self) -> bool:
        """Whether every subject has one sample, so that the variants are one."""
        return all(len(samples) == 1 for morph in self.scores.values() for samples in morph.values())


class MorphRate(msgspec.Struct, frozen=True, kw_only=True):
    """How many morphs pass at one threshold.

    Attributes:
        threshold: a score above it passes.
        morphs: number of them.
        min_max, prod_avg: the two variants of MMPMR.
        min_max_interval, prod_avg_interval: 95 %, over morphs; too narrow where morphs share subjects.
        fnmr: share of genuine pairs that the threshold rejects; None if nobody said.
        rmmr_min_max, rmmr_prod_avg: RMMR of each; None likewise.
    """

    threshold: float
    morphs: int
    min_max: float
    prod_avg: float
    min_max_interval: Interval | None
    prod_avg_interval: Interval | None
    fnmr: float | None = None
    rmmr_min_max: float | None = None
    rmmr_prod_avg: float | None = None


def read_morphs(path: Path, *, strict: bool = False) -> Morphs:
    """Read a CSV file with the columns morph, subject, sample and score, with ; or , between them.

    Rows that say nothing usable are left out and named, and so is a morph with fewer than two subjects, or with one
    that no usable row scores: over the others alone it would seem to pass more easily.

    Args:
        path: the file.
        strict: whether to stop at such a row instead.

    Raises:
        InvalidData: it cannot be read, lacks a column, holds no morph, or with ``strict`` any fault.
    """
    lines = read_text(path).splitlines()
    delimiter = ";" if lines and ";" in lines[0] else ","
    reader, problems = csv.reader(lines, delimiter=delimiter), list[str]()
    found: dict[str, dict[str, dict[str, float]]] = {}
    try:
        header = [name.strip() for name in next(reader, [])]
        if missing := [name for name in COLUMNS if name not in header]:
            raise InvalidData(
                f"{path}: no column {', '.join(missing)}; its first line names {', '.join(header) or '-'}"
            )
        for row in filter(None, reader):
            if fault := _add(found, header, [value.strip() for value in row]):
                problems.append(f"line {reader.line_num}: {fault}")
    except csv.Error as e:
        raise InvalidData(f"{path}, line {reader.line_num}: {e}") from e
    if alone := [morph for morph, subjects in found.items() if len(subjects) < 2]:
        problems.append(f"{len(alone)} morphs have fewer than two subjects: {named(alone)}")
    if without := [morph for morph, subjects in found.items() if not all(subjects.values())]:
        problems.append(f"{len(without)} morphs have a subject without any score: {named(without)}")
    if problems and strict:
        raise InvalidData(f"{path}: {problems[0]}; leave out --strict to go on without")
    scores = {
        morph: {who: np.array(list(samples.values())) for who, samples in subjects.items()}
        for morph, subjects in found.items()
        if len(subjects) > 1 and all(subjects.values())
    }
    if not scores:
        raise InvalidData(f"{path}: no morph with scores against two subjects or more; {'; '.join(problems[:3])}")
    return Morphs(path.name, scores, tuple(problems))


def _add(found: dict[str, dict[str, dict[str, float]]], header: Sequence[str], row: Sequence[str]) -> str | None:
    """Take up a row, or say what is wrong with it; its subject is then known to belong to the morph."""
    if len(row) != len(header):
        return f"{len(row)} values for {len(header)} columns"
    values = dict(zip(header, row, strict=True))
    morph, subject, sample, text = (values[name] for name in COLUMNS)
    samples = found.setdefault(morph, {}).setdefault(subject, {}) if morph else {}
    if not (morph and subject and sample):
        return f"no {'morph' if not morph else 'subject' if not subject else 'sample'}"
    try:
        score = float(text)
    except ValueError:
        return f"expected a number for score, got {printable(text)!r}"
    if not math.isfinite(score):
        return f"a score of {text}, which is no number to compare"
    if sample in samples:
        return f"{printable(morph)} against sample {printable(sample)} of {printable(subject)} was there before"
    samples[sample] = score
    return None


def passing(morphs: Morphs, threshold: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(M,) for each morph whether it passes with each subject's best sample (0 or 1), and with random ones (0..1)."""
    best = [min(samples.max() for samples in morph.values()) > threshold for morph in morphs.scores.values()]
    chance = [
        math.prod(float((samples > threshold).mean()) for samples in morph.values()) for morph in morphs.scores.values()
    ]
    return np.array(best, np.float64), np.array(chance)


def morph_rate(
    morphs: Morphs, threshold: float, *, fnmr: float | None = None, rounds: int = ROUNDS, seed: int = 0
) -> MorphRate:
    """MMPMR at a threshold, and RMMR where the FNMR at the same threshold is known.

    Args:
        morphs: of :func:`read_morphs`.
        threshold: above which a score passes.
        fnmr: 0..1, measured on genuine pairs at this threshold.
        rounds: of the bootstrap.
        seed: of the bootstrap.
    """
    best, chance = passing(morphs, threshold)
    each, count = np.ones(len(best)), float(len(best))
    around = linear_interval(chance, each, count, rounds=rounds, seed=seed) if count > 1 else None
    means = float(best.mean()), float(chance.mean())
    relative = [None if fnmr is None else 1 + mean - (1 - fnmr) for mean in means]
    return MorphRate(
        threshold=threshold,
        morphs=len(best),
        min_max=means[0],
        prod_avg=means[1],
        min_max_interval=wilson(int(best.sum()), len(best)),
        prod_avg_interval=around,
        fnmr=fnmr,
        rmmr_min_max=relative[0],
        rmmr_prod_avg=relative[1],
    )
