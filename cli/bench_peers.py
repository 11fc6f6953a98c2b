"""`bench peers`: this pipeline beside others."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .output import as_json, command_line, command_without_folders, show_report

if TYPE_CHECKING:
    from ..bench.peers import Peer

EXISTING = click.Path(path_type=Path, exists=True)


@click.command()
@click.argument("photos", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--detector", "detectors", type=EXISTING, multiple=True, required=True, help="Ours. Repeatable.")
@click.option("--recognizer", "recognizers", type=EXISTING, multiple=True, required=True, help="One for each detector.")
@click.option(
    "--side",
    "sides",
    type=click.IntRange(32),
    multiple=True,
    default=(320,),
    show_default=True,
    help="Of the detectors' input, in pixels. Repeatable.",
)
@click.option("--venv", "venvs", metavar="PEER=FOLDER", multiple=True, help="Virtual environment that a peer is in.")
@click.option("--threads", type=click.IntRange(1), multiple=True, default=(1,), show_default=True, help="Repeatable.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="In turn, over all photos.")
@click.option("--annotations", type=EXISTING, help="Pictures with boxes, for recall; see `evaluate detection`.")
@click.option("--images", type=EXISTING, help="Where those pictures are.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write a perf.json.")
@as_json
def peers(
    photos: Path,
    detectors: Sequence[Path],
    recognizers: Sequence[Path],
    sides: Sequence[int],
    venvs: Sequence[str],
    threads: Sequence[int],
    rounds: int,
    annotations: Path | None,
    images: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure this pipeline, InsightFace, OpenCV, MediaPipe and UniFace on the pictures in the folder PHOTOS.

    \b
    pocketface bench peers photos --detector d.onnx --recognizer r.onnx --venv insightface=venv --venv opencv=venv
    pocketface bench peers photos --detector d.onnx --recognizer r.onnx --side 320 --side 448 --annotations a.json

    Each runs in a process of its own, in turn; one that is not installed is a row that says so. With --annotations also
    how many faces each finds: at a score of 0.5, at one false detection in four pictures, which asks nothing of the
    scores but their order, and as average precision. At a larger --side more small faces are found, in more time.
    """  # noqa: D301 - click reads the escape as "keep these lines"
    from ..bench.peers_table import measure_peers, peers_perf
    from ..evaluate.detection import open_detection_set
    from ..report import Report
    from ..runtime.images import load_image

    candidates = _candidates(detectors, recognizers, sides, venvs, threads)
    pictures = {path.name: load_image(path) for path in sorted(photos.iterdir())}
    if not pictures:
        raise click.UsageError(f"{photos}: no pictures in it")
    held = open_detection_set(annotations, images).pictures if annotations else ()
    sections = measure_peers(pictures, candidates, rounds, held)
    if out:
        peers_perf(candidates, command_without_folders()).save(out)
    show_report(Report(title="Beside others", command=command_line(), sections=sections), as_json)


def _candidates(
    detectors: Sequence[Path],
    recognizers: Sequence[Path],
    sides: Sequence[int],
    venvs: Sequence[str],
    threads: Sequence[int],
) -> list[Peer]:
    """Ours first, at each side and of each format, then the others."""
    from ..bench.peer import FIXED_SIDE, PEERS
    from ..bench.peers import Peer

    if len(detectors) != len(recognizers):
        raise click.UsageError(f"{len(detectors)} detectors and {len(recognizers)} recognisers; give them in pairs")
    if wrong := [venv for venv in venvs if venv.partition("=")[0] not in PEERS or "=" not in venv]:
        raise click.UsageError(f"--venv {wrong[0]}: expected PEER=FOLDER, with one of {', '.join(PEERS)}")
    places = dict(venv.split("=", 1) for venv in venvs)
    pairs = [(str(d.resolve()), str(r.resolve())) for d, r in zip(detectors, recognizers, strict=True)]
    found = [Peer("ours", sys.executable, n, side, files=pair) for n in threads for pair in pairs for side in sides]
    for name in sorted(PEERS.keys() - {"ours"}):
        command = str(Path(places[name]) / "bin" / "python") if name in places else sys.executable
        inputs = [FIXED_SIDE[name]] if name in FIXED_SIDE else sides
        found += [Peer(name, command, n, side) for n in threads for side in inputs]
    return found
