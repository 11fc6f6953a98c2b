"""`analyze`: everything that is known of each face, and whether it is good enough to be compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from .faces import analyzer_of, detector, recognizer, row_of, threshold
from .output import PATH, as_json, backend, show, threads


@click.command()
@click.argument("images", nargs=-1, required=True, type=PATH)
@detector
@recognizer
@backend
@threads
@threshold
@click.option("--least-quality", type=click.FloatRange(0, 1), default=0.0, help="Refuse faces below. Default: none.")
@click.option("--least-side", type=click.FloatRange(0), default=0.0, help="Refuse smaller faces, in pixels.")
@as_json
def analyze(
    images: Sequence[Path],
    detector: Path,
    recognizer: Path,
    backend: str | None,
    threads: int | None,
    threshold: float | None,
    least_quality: float,
    least_side: float,
    as_json: bool,
) -> None:
    """Find faces and judge them: box, score, head pose, quality, and why a face is refused.

    Quality, 0..1, is how far the recogniser can recognise a face; it is missing from one that does not judge.
    """
    from ..report import Column
    from ..runtime.gate import Gate
    from ..runtime.images import load_image

    analyzer = analyzer_of(detector, recognizer, backend, threads)
    gate = Gate(least_quality, least_side)
    rows: list[dict[str, Any]] = []
    for path in images:
        faces = analyzer.analyze(load_image(path), score_threshold=threshold)
        rows += [{**row_of(path, face), "refused": gate.refusal(face)} for face in faces] or [{"image": str(path)}]
    columns = [Column(key="image", name="image")]
    columns += [Column(key=key, name=key, kind="number", spec=".1f") for key in ("x1", "y1", "x2", "y2")]
    columns += [Column(key="score", name="score", kind="number", spec=".3f")]
    columns += [Column(key=f"{a}_deg", name=a, unit="°", kind="number", spec=".1f") for a in ("yaw", "pitch", "roll")]
    columns += [Column(key="quality", name="quality", kind="number", spec=".3f"), Column(key="refused", name="refused")]
    show("Faces", columns, rows, as_json)


COMMANDS = (analyze,)
