"""`calibrate`: which cosine means "the same person", written into the file that it holds for."""

from __future__ import annotations

from pathlib import Path

import click

from .evaluate_verification import measure
from .output import PATH, as_json, backend, print_json, show, threads
from .source import Source, a_cache, data_options


@click.command()
@click.argument("model", type=PATH)
@click.argument("data", type=PATH)
@data_options
@backend
@threads
@as_json
def calibrate(model: Path, data: Path, source: Source, backend: str | None, threads: int | None, as_json: bool) -> None:
    """Measure MODEL's thresholds at FAR 1e-2, 1e-3 and 1e-4 on DATA and write them into the file's contract.

    DATA is what `evaluate verification` takes. They hold for this file alone, its precision included. A FAR that the
    data have too few impostor pairs for is not written. `compare` and FaceAnalyzer then say "same person at FAR 1e-3".
    """
    from ..evaluate.calibrate import CALIBRATED_FARS, calibration_of, write_calibration
    from ..evaluate.verification_run import Settings
    from ..report import Column
    from ..runtime.embedder import Embedder

    embedder = Embedder(model, backend=backend, threads=threads)
    settings = Settings(fars=CALIBRATED_FARS)
    with a_cache(source.no_cache) as kept:
        finder = source.finder(threads)
        pictures, outcome = measure(data, source, [embedder], detector=finder, settings=settings, cache=kept)
    calibration, refused = calibration_of(pictures, outcome.results[0], embedder.backend)
    artifact = write_calibration(embedder.artifact, calibration)
    rows = [
        {
            "far": entry.far,
            "score": entry.score,
            "low": entry.score_interval[0],
            "high": entry.score_interval[1],
            "tar": entry.tar,
        }
        for entry in calibration.thresholds
    ]
    if as_json:
        told = {"file": str(model), "sha256": artifact.sha256, "parent": artifact.parent, "calibration": calibration}
        print_json({**told, "refused": refused, "notes": outcome.results[0].notes})
        return
    columns = [Column(key="far", name="FAR", kind="number", spec=".0e")]
    columns += [Column(key="score", name="same person from", unit="cosine", kind="number", spec=".4f")]
    columns += [Column(key=end, name=f"95 % {end}", kind="number", spec=".4f") for end in ("low", "high")]
    columns += [Column(key="tar", name="TAR", kind="number", spec=".4f")]
    show(f"Thresholds written into {model.name}", columns, rows, as_json)
    for note in dict.fromkeys((*outcome.results[0].notes, *refused)):
        click.echo(note)


COMMANDS = (calibrate,)
