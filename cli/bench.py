"""The verbs of whoever measures speed: one subcommand per place to measure, each in a file ``bench_<place>.py``."""

from __future__ import annotations

import click

from .bench_adb import adb
from .bench_arm64 import arm64
from .bench_compare import compare
from .bench_host import host
from .bench_peers import peers
from .bench_pipeline import pipeline
from .bench_recognizers import recognizers
from .bench_report import report
from .bench_self import bench_self
from .bench_serve import serve
from .output import InOrder

#: In the order of `--help`; a place is one file and one entry here.
PLACES: tuple[click.Command, ...] = (
    host,
    serve,
    adb,
    arm64,
    report,
    compare,
    pipeline,
    peers,
    recognizers,
    bench_self,
)


@click.group(cls=InOrder)
def bench() -> None:
    """Measure latency, memory and parity: on this machine, in a phone's browser, on phones over adb or emulated."""


for place in PLACES:
    bench.add_command(place)

COMMANDS = (bench,)
