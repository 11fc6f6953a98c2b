"""``python -m pocketface.bench``: all benchmarks of this checkout, as tables and as a report."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from ..render import print_report, save_report
from ..report import Report
from .costs import measure_export, measure_photo
from .evaluation import measure_evaluation
from .folding import measure_folding
from .pixels import measure_pixels
from .training import measure_training


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("exports", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/bench"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines instead of tables.")
def main(exports: Path, out: Path, as_json: bool) -> None:
    """Measure everything that has a benchmark, here; EXPORTS is the folder that the demo wrote."""
    detector, recognizer = exports / "mos_xs_320_fp32.onnx", exports / "facelivtv2_xs_112_fp32.onnx"
    told = partial(click.echo, err=True)
    sections = [
        measure_folding(progress=told),
        measure_training(progress=told),
        measure_pixels(detector),
        measure_photo(detector, recognizer),
        measure_evaluation(recognizer),
        measure_export(),
    ]
    report = Report(title="How fast it is here", sections=sections)
    save_report(report, out)
    if as_json:
        click.echo(report.to_json(), nl=False)
    else:
        print_report(report)


if __name__ == "__main__":
    main()
