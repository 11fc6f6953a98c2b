"""What a report of a verification shows beyond its tables: the spread of scores, their word, and the worst pairs.

Made from the embeddings, which the cache still holds, so that nothing is embedded again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..draw import encode
from ..errors import InvalidData
from ..report import Column, Picture, Row, Section
from ..runtime.detector import Detector
from ..runtime.embedder import Embedder
from .cache import Cache
from .crops import Cropper
from .data import PairSet, Sample
from .embeddings import Embedded, embed_images
from .plots import score_histograms
from .reliability import Reliability, fit_calibration, reliability
from .scores import BINS_PER_UNIT, PairScores, score_all_pairs, score_pairs
from .verification import Data, images_of
from .verification_run import Outcome, Settings
from .worst_pairs import Pairs, contact_sheet_of, worst_pairs

PRIVACY = "These are faces of people: keep the report as you would keep the pictures."
_BARS = 160  # bins of a histogram over -1..1
_RELIABILITY = (
    Column(key="probability", name="predicted probability"),
    Column(key="file", name="file"),
    Column(key="predicted", name="mean", kind="number", spec=".3f"),
    Column(key="observed", name="observed", kind="number", spec=".3f"),
    Column(key="share", name="share of pairs", unit="%", kind="number", spec=".2f", bar=True),
    Column(key="genuine", name="genuine", kind="number"),
    Column(key="impostors", name="impostors", kind="number"),
)
_PAIRS = (
    Column(key="pair", name="pair"),
    Column(key="cosine", name="cosine", kind="number", spec=".4f"),
    Column(key="a", name="picture"),
    Column(key="b", name="picture"),
    Column(key="who", name="identity"),
)


def detail_sections(
    data: Data,
    embedders: Sequence[Embedder],
    outcome: Outcome,
    *,
    detector: Detector | None = None,
    settings: Settings | None = None,
    cache: Cache | None = None,
    pictures: bool = False,
    prior: float = 0.5,
) -> list[Section]:
    """Histograms and reliability of every file, and the worst pairs of the first.

    Args:
        data: what was measured on.
        embedders: the files.
        outcome: of :func:`~.verification_run.run_verification` on the same.
        detector: as there.
        settings: as there.
        cache: as there; without one, every picture is embedded again.
        pictures: whether faces are shown.
        prior: share of genuine pairs that probabilities are for.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    settings = settings or Settings()
    embedded = [
        embed_images(images_of(data), embedder, detector=detector, flip=settings.flip, cache=cache)
        for embedder in embedders
    ]
    names = [f"{embedder.artifact.path.name} ({embedder.backend})" for embedder in embedders]
    scores = [_scores(data, found) for found in embedded]
    thresholds = [next((e.threshold for e in r.at_far if e.far == settings.far), None) for r in outcome.results]
    cropper = Cropper(embedders[0], detector) if pictures else None
    return [
        histogram_section(names, scores, thresholds, settings.far),
        reliability_section(names, scores, prior),
        *worst_sections(data, embedded[0], names[0], cropper),
    ]


def histogram_section(
    names: Sequence[str], scores: Sequence[PairScores], thresholds: Sequence[float | None], far: float
) -> Section:
    """How the scores of genuine and of impostor pairs are spread, a plot for each file."""
    edges = np.linspace(-1, 1, _BARS + 1)
    plots = []
    for name, found, threshold in zip(names, scores, thresholds, strict=True):
        values, counts = _impostors(found)
        genuine = np.histogram(found.genuine[np.isfinite(found.genuine)].clip(-1, 1), edges)[0]
        impostor = np.histogram(values.clip(-1, 1), edges, weights=counts)[0]
        plots.append(
            Picture(name, score_histograms(edges, genuine, impostor, threshold=threshold, name="cosine"), True)
        )
    note = (
        f"Each kind as shares of its own; the line is the threshold at FAR {far:g}. Pairs without a score are left out."
    )
    return Section(title="Scores", notes=[note], pictures=plots)


def reliability_section(names: Sequence[str], scores: Sequence[PairScores], prior: float) -> Section:
    """Whether a logistic of the cosine keeps its word, for each file."""
    rows, plots = list[Row](), list[Picture]()
    notes = [
        f"A logistic (Platt) turns cosines into probabilities of one person, where {prior:.0%} of pairs are genuine. "
        "It is fitted to these pairs and judged on them: two numbers cannot overfit much, but other data may differ."
    ]
    for name, found in zip(names, scores, strict=True):
        values, counts = _impostors(found)
        try:
            fit = fit_calibration(found.genuine, values, counts=counts, prior=prior)
        except InvalidData as e:
            notes.append(f"{name}: {e}")
            continue
        table = reliability(fit, found.genuine, values, counts=counts)
        sure = ", ".join(f"{p:.0%} at cosine {fit.score(p):.3f}" for p in (0.5, 0.9, 0.99))
        notes.append(f"{name}: expected calibration error {table.error:.4f}; {sure}.")
        plots.append(Picture(name, table.plot(), True))
        rows += _reliability_rows(name, table)
    return Section(title="Reliability", columns=_RELIABILITY, rows=rows, notes=notes, pictures=plots)


def worst_sections(data: Data, embedded: Embedded, name: str, cropper: Cropper | None, most: int = 12) -> list[Section]:
    """The genuine pairs with the lowest scores and the impostor pairs with the highest, with faces if asked for."""
    kinds = ("Genuine pairs that are least alike", "Impostor pairs that are most alike")
    samples, sections = images_of(data).samples, []
    for title, pairs in zip(kinds, worst_pairs(data, embedded, most), strict=True):
        rows = [_pair_row(i, pairs, samples) for i in range(len(pairs))]
        sheets = [Picture(title, encode(contact_sheet_of(pairs, samples, cropper), "JPEG"))] if cropper and rows else []
        notes = [f"By {name}. Look for wrong labels and bad crops here first.", *([PRIVACY] if sheets else [])]
        sections.append(Section(title=title, columns=_PAIRS, rows=rows, notes=notes, pictures=sheets))
    return sections


def _scores(data: Data, embedded: Embedded) -> PairScores:
    if isinstance(data, PairSet):
        return score_pairs(embedded.vectors, embedded.failed, data.pairs, data.same)[1]
    return score_all_pairs(embedded.vectors, embedded.failed, [str(sample.identity) for sample in data.samples])


def _impostors(found: PairScores) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scores of all impostor pairs that have one, and how many have each."""
    if found.histogram is None:
        values = found.impostor[np.isfinite(found.impostor)].astype(np.float64)
        return values, np.ones(len(values), np.int64)
    filled = np.flatnonzero(found.histogram)
    return (filled + 0.5) / BINS_PER_UNIT - 1, found.histogram[filled]


def _reliability_rows(name: str, table: Reliability) -> list[Row]:
    return [
        {
            "probability": f"{table.edges[i]:.1f} to {table.edges[i + 1]:.1f}",
            "file": name,
            "predicted": float(table.predicted[i]),
            "observed": float(table.observed[i]),
            "share": float(100 * table.share[i]),
            "genuine": int(table.genuine[i]),
            "impostors": int(table.impostor[i]),
        }
        for i in range(len(table.share))
    ]


def _pair_row(i: int, pairs: Pairs, samples: Sequence[Sample]) -> Row:
    a, b = (samples[int(picture)] for picture in pairs.pictures[i])
    who = list(dict.fromkeys(str(sample.identity) for sample in (a, b) if sample.identity is not None))
    return {"pair": i + 1, "cosine": float(pairs.scores[i]), "a": a.name, "b": b.name, "who": " and ".join(who)}
