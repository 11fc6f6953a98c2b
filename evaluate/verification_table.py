"""How verification and drift are shown: tables, plain facts for JSON, and curves for a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from ..report import Column, Picture, Row, Section
from ..runtime.embedder import Embedder
from .bootstrap import Interval
from .drift import Drift
from .gate import Condition, broken
from .verification import Verification
from .verification_run import Outcome

_FILE = Column(key="file", name="file")
_ACCURACY = (
    _FILE,
    Column(key="engine", name="engine"),
    Column(key="precision", name="precision"),
    Column(key="pictures", name="pictures", kind="number"),
    Column(key="failed", name="failed", kind="number"),
    Column(key="genuine", name="genuine pairs", kind="number"),
    Column(key="impostors", name="impostor pairs", kind="number"),
    Column(key="units", name="drawn from"),
    Column(key="accuracy", name="accuracy", unit="%", kind="number", spec=".2f"),
    Column(key="std", name="±", unit="%", kind="number", spec=".2f"),
    Column(key="eer", name="EER", unit="%", kind="number", spec=".2f"),
)
_AT_FAR = (
    _FILE,
    Column(key="far", name="FAR", kind="number", spec=".0e"),
    Column(key="tar", name="TAR", kind="number", spec=".4f"),
    Column(key="tar_95", name="95 %"),
    Column(key="threshold", name="cosine", kind="number", spec=".4f"),
    Column(key="threshold_95", name="95 %"),
)
_DRIFT = (
    _FILE,
    Column(key="cosine", name="cosine", kind="number", spec=".6f"),
    Column(key="cosine_p1", name="1st percentile", kind="number", spec=".6f"),
    Column(key="cosine_min", name="least", kind="number", spec=".6f"),
    Column(key="genuine", name="genuine shift", kind="number", spec="+.1e"),
    Column(key="genuine_95", name="95 %"),
    Column(key="impostor", name="impostor shift", kind="number", spec="+.1e"),
    Column(key="impostor_95", name="95 %"),
    Column(key="far", name="at FAR", kind="number", spec=".0e"),
    Column(key="tar_drop", name="TAR drop", kind="number", spec="+.5f"),
    Column(key="tar_drop_95", name="95 %"),
    Column(key="flips", name="flips", unit="%", kind="number", spec=".4f"),
    Column(key="flips_95", name="95 %"),
    Column(key="flips_genuine", name="of genuine", unit="%", kind="number", spec=".4f"),
    Column(key="flips_impostor", name="of impostors", unit="%", kind="number", spec=".5f"),
    Column(key="flips_all", name="of all pairs", unit="%", kind="number", spec=".4f"),
    Column(key="gate", name="gate", kind="verdict"),
)


def verification_facts(
    embedders: Sequence[Embedder], outcome: Outcome, conditions: Sequence[Condition] = ()
) -> dict[str, Any]:
    """Everything that was measured, for JSON."""
    files = [_facts_of(embedder) for embedder in embedders]
    results = [{**file, **msgspec.to_builtins(r)} for file, r in zip(files, outcome.results, strict=True)]
    drifts = [
        {"first": files[0]["file"], **file, **msgspec.to_builtins(d), "broken": broken(conditions, d.figures)}
        for file, d in zip(files[1:], outcome.drifts, strict=True)
    ]
    return {"results": results, "drifts": drifts}


def verification_sections(
    embedders: Sequence[Embedder], outcome: Outcome, conditions: Sequence[Condition] = ()
) -> list[Section]:
    """Accuracy, TAR at FAR and, of several files, drift."""
    names = [embedder.artifact.path.name for embedder in embedders]
    notes = (*untrained(embedders), *dict.fromkeys(note for result in outcome.results for note in result.notes))
    accuracy = [_accuracy_row(e, r) for e, r in zip(embedders, outcome.results, strict=True)]
    at_far = [row for name, r in zip(names, outcome.results, strict=True) for row in _at_far_rows(name, r)]
    sections = [
        Section(title="Verification", columns=_ACCURACY, rows=accuracy, notes=notes),
        Section(title="TAR at FAR; 95 % intervals by drawing identities again", columns=_AT_FAR, rows=at_far),
    ]
    if outcome.drifts:
        rows = [_drift_row(name, d, conditions) for name, d in zip(names[1:], outcome.drifts, strict=True)]
        sections.append(Section(title=f"Drift against {names[0]}", columns=_DRIFT, rows=rows))
    return sections


def untrained(embedders: Sequence[Embedder]) -> list[str]:
    """A sentence for each file whose weights are not trained."""
    return [
        f"{e.artifact.path.name} is not trained: its figures mean nothing." for e in embedders if not e.contract.trained
    ]


def curves_section(embedders: Sequence[Embedder], outcome: Outcome) -> Section:
    """DET and ROC of every file, for a report.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    from .plots import Curve, det_plot, roc_plot

    roc, det = [], []
    for embedder, result in zip(embedders, outcome.results, strict=True):
        name = f"{embedder.artifact.path.name} ({embedder.backend})"
        far, tar = np.array(result.curve).T
        roc.append(Curve(name, far, tar))
        det.append(Curve(name, far, 1 - tar))
    lowest = 1 / max(result.impostors for result in outcome.results)
    plots = {"ROC": roc_plot(roc, lowest_far=lowest), "DET": det_plot(det, lowest=lowest)}
    return Section(title="Curves", pictures=[Picture(name, plot, plot=True) for name, plot in plots.items()])


def _facts_of(embedder: Embedder) -> dict[str, str]:
    artifact = embedder.artifact
    facts = {"file": artifact.path.name, "engine": embedder.backend, "precision": artifact.contract.precision}
    return {**facts, "format": artifact.format, "sha256": artifact.sha256}


def _accuracy_row(embedder: Embedder, result: Verification) -> Row:
    return {
        "file": embedder.artifact.path.name,
        "engine": embedder.backend,
        "precision": embedder.contract.precision,
        "pictures": result.pictures,
        "failed": result.failed,
        "genuine": result.genuine,
        "impostors": result.impostors,
        "units": f"{result.units:,} {'identities' if result.unit == 'identity' else 'pairs'}",
        "accuracy": _percent(result.accuracy),
        "std": _percent(result.accuracy_std),
        "eer": _percent(result.eer),
    }


def _at_far_rows(name: str, result: Verification) -> list[Row]:
    return [
        {
            "file": name,
            "far": entry.far,
            "tar": entry.tar,
            "tar_95": _between(entry.tar_interval, ".4f"),
            "threshold": entry.threshold,
            "threshold_95": _between(entry.threshold_interval, ".4f"),
        }
        for entry in result.at_far
    ]


def _drift_row(name: str, drift: Drift, conditions: Sequence[Condition]) -> Row:
    drop = next(entry for entry in drift.tar if entry.far == drift.far)
    row: Row = {
        "file": name,
        "genuine": drift.genuine.mean,
        "genuine_95": _between(drift.genuine.mean_interval, "+.1e"),
        "impostor": drift.impostor.mean,
        "impostor_95": _between(drift.impostor.mean_interval, "+.1e"),
        "far": drift.far,
        "tar_drop": drop.drop,
        "tar_drop_95": _between(drop.drop_interval, "+.5f"),
        "flips": _percent(drift.flips),
        "flips_95": _between(drift.flips_interval, ".4f", 100),
        "flips_genuine": _percent(drift.flips_genuine),
        "flips_impostor": _percent(drift.flips_impostor),
        "flips_all": _percent(drift.flips_all),
        "gate": not broken(conditions, drift.figures) if conditions else None,
    }
    if turn := drift.turn:
        row |= {"cosine": turn.mean, "cosine_p1": turn.p1, "cosine_min": turn.min}
    return row


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _between(interval: Interval | None, spec: str, scale: float = 1) -> str | None:
    return interval and f"{scale * interval.low:{spec}} to {scale * interval.high:{spec}}"
