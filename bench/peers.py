"""``python -m pocketface.bench.peers``: this pipeline beside others, on the same photos, in turn on the same machine.

Each runs in a process of its own, under a Python of its own where one is named, for their packages do not agree with
ours. One that is not installed or fails is a row that says why. Their weights are only measured: look up the licence
of each before you use it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from ..environment import current_environment
from ..evaluate.detection import open_detection_set
from ..evaluate.detection.annotations import AnnotatedPicture
from ..evaluate.detection.matching import FALSE, TRUE, match
from ..render import print_report
from ..report import Column, Report, Row, Section
from ..runtime.images import load_image
from .peer import PEERS, SIDE
from .perf import Device, Measurement, Perf

#: Shorter side of a face, in pixels of the 320 that detectors see, below which nobody needs to find it.
SMALLEST = 12
_CHILD = Path(__file__).with_name("peer.py")
_NUMBERS = (
    ("p50_ms", "a photo, p50", "ms", ".1f"),
    ("cpu_ms", "processor time", "ms", ".1f"),
    ("ratio", "of ours", "", ".2f"),
    ("cpu_ratio", "of ours, processor", "", ".2f"),
)


@dataclass
class Peer:
    """A pipeline to measure, and what came of it.

    Attributes:
        name: in ``peer.PEERS``.
        command: that runs Python for it.
        threads: that it may use.
        files: that it is given.
        about: what it is, or why it does not run.
        times_ms: time on the clock, (rounds, photos).
        cpu_ms: processor time of all its threads likewise.
        boxes: for each photo, from the last round.
    """

    name: str
    command: str
    threads: int
    files: tuple[str, ...] = ()
    about: str = ""
    times_ms: list[list[float]] = field(default_factory=list)
    cpu_ms: list[list[float]] = field(default_factory=list)
    boxes: list[list[list[float]]] = field(default_factory=list)


def run_peers(peers: Sequence[Peer], images: Sequence[NDArray[np.uint8]], rounds: int) -> None:
    """Let every peer see all the pictures, in turn, ``rounds`` times; the answers are put into the peers."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        photos = Path(folder) / "photos.npz"
        np.savez(photos, *images)
        running = []
        for peer in peers:
            process = stack.enter_context(_started(peer, photos))
            told = _answer(process)
            peer.about = told.get("about") or told["error"]
            if "about" in told:
                running.append((peer, process))
        for turn in range(rounds):
            running = [(peer, process) for peer, process in running[:: 1 if turn % 2 else -1] if _pass(peer, process)]


@contextlib.contextmanager
def _started(peer: Peer, photos: Path) -> Iterator[subprocess.Popen[str]]:
    threads = str(peer.threads)
    call = [peer.command, "-P", str(_CHILD), peer.name, threads, str(photos), *peer.files]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(call, text=True, env=_environment(threads), **pipes)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _environment(threads: str) -> dict[str, str]:
    limits = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return os.environ | dict.fromkeys(limits, threads)


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    answer: dict[str, Any] = json.loads(line) if line else {"error": "it ended without a word"}
    return answer


def _pass(peer: Peer, process: subprocess.Popen[str]) -> bool:
    """One pass over the photos; False if the peer failed, and then it has no figures at all."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write("run\n")
        process.stdin.flush()
    told = _answer(process)
    if "error" in told:
        peer.about, peer.times_ms, peer.cpu_ms, peer.boxes = f"failed on a photo: {told['error']}", [], [], []
        return False
    peer.times_ms.append(told["times_ms"])
    peer.cpu_ms.append(told["cpu_ms"])
    peer.boxes = told["boxes"]
    return True


def latency_rows(peers: Sequence[Peer]) -> list[Row]:
    """Median over photos and rounds, and the median of ratios to ours on the same photo in the same round."""
    rows: list[Row] = []
    for peer in peers:
        ours = next(p for p in peers if p.threads == peer.threads)  # the first is ours
        row: Row = {"pipeline": f"{peer.name} {_formats(peer)}".strip(), "threads": peer.threads, "about": peer.about}
        if peer.times_ms and ours.times_ms:
            times, cpu = np.array(peer.times_ms), np.array(peer.cpu_ms)
            row |= {
                "p50_ms": float(np.median(times)),
                "cpu_ms": float(np.median(cpu)),
                "ratio": float(np.median(times / np.array(ours.times_ms))),
                "cpu_ratio": float(np.median(cpu / np.array(ours.cpu_ms))),
                "with_face": sum(map(bool, peer.boxes)),
                "faces": sum(map(len, peer.boxes)),
            }
        rows.append(row)
    return rows


def recall_rows(peers: Sequence[Peer], pictures: Sequence[AnnotatedPicture], sides: Sequence[int]) -> list[Row]:
    """Faces found at IoU 0.5, and detections where there is no face, at each peer's threshold of 0.5."""
    rows: list[Row] = []
    for peer in (p for p in peers if p.boxes):
        found = false = faces = 0
        for picture, side, boxes in zip(pictures, sides, peer.boxes, strict=True):
            small = (picture.boxes[:, 2:] - picture.boxes[:, :2]).min(axis=1) * SIDE / side < SMALLEST
            ignore = picture.ignore | small
            matching = match(np.array(boxes, np.float64).reshape(-1, 4), picture.boxes, ignore)
            found += int((matching.outcome == TRUE).sum())
            false += int((matching.outcome == FALSE).sum())
            faces += int((~ignore).sum())
        row: Row = {"pipeline": f"{peer.name} {_formats(peer)}".strip(), "found": found, "of": faces, "false": false}
        rows.append({**row, "recall": found / faces})
    return rows


def _formats(peer: Peer) -> str:
    return " + ".join(Path(file).suffix.removeprefix(".") for file in peer.files)


def measure_peers(
    photos: Mapping[str, NDArray[np.uint8]], peers: Sequence[Peer], rounds: int, held: Sequence[AnnotatedPicture] = ()
) -> list[Section]:
    """A table of latencies on photos and, if annotated pictures are given, one of recall on those."""
    run_peers(peers, list(photos.values()), rounds)
    texts = (Column(key="pipeline", name="pipeline"), Column(key="threads", name="threads", kind="number", spec=".0f"))
    numbers = tuple(Column(key=key, name=name, unit=unit, kind="number", spec=s) for key, name, unit, s in _NUMBERS)
    counts = (("with_face", "photos with a face"), ("faces", "faces"))
    more = tuple(Column(key=key, name=name, kind="number", spec=".0f") for key, name in counts)
    title = f"{len(photos)} photos, {rounds} rounds in turn, detectors at {SIDE} where that can be set"
    columns = (*texts, *numbers, *more, Column(key="about", name="what it is, or why not"))
    sections = [Section(title=title, columns=columns, rows=latency_rows(peers))]
    if held:
        images = [load_image(picture.path) for picture in held]
        fewest = min(peer.threads for peer in peers)
        again = [Peer(p.name, p.command, p.threads, p.files) for p in peers if p.threads == fewest]
        run_peers(again, images, 1)
        rows = recall_rows(again, held, [max(image.shape[:2]) for image in images])
        keys = (("found", ".0f"), ("of", ".0f"), ("recall", ".3f"), ("false", ".0f"))
        columns = (texts[0], *(Column(key=key, name=key, kind="number", spec=spec) for key, spec in keys))
        title = f"Faces of {SMALLEST} pixels and more at {SIDE}, in {len(held)} pictures, IoU 0.5, threshold 0.5"
        sections.append(Section(title=title, columns=columns, rows=rows))
    return sections


def _perf(peers: Sequence[Peer]) -> Perf:
    machine = current_environment()
    device = Device(kind="host", name=machine.cpu, system=machine.system, machine=machine.machine, cores=machine.cores)
    measurements = tuple(
        Measurement(
            model="whole pipeline",
            engine=f"{peer.name} {_formats(peer)}".strip(),
            threads=peer.threads,
            times_ms=tuple(time for turn in peer.times_ms for time in turn),
            notes=(peer.about[:500],),
        )
        for peer in peers
    )
    created = datetime.now(UTC).isoformat(timespec="seconds")
    command = "python -m pocketface.bench.peers"
    return Perf(device=device, measurements=measurements, command=command, created=created, packages=machine.packages)


_FILE = click.Path(path_type=Path, exists=True)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("photos", type=_FILE)
@click.option("--detector", "detectors", type=_FILE, multiple=True, required=True, help="Ours; again for more formats.")
@click.option("--recognizer", "recognizers", type=_FILE, multiple=True, required=True, help="As many.")
@click.option("--venv", "venvs", metavar="PEER=FOLDER", multiple=True, help="Virtual environment that a peer is in.")
@click.option("--threads", type=click.IntRange(1), multiple=True, default=(1, 2), show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--annotations", type=_FILE, help="Pictures with boxes, for recall; see `evaluate detection`.")
@click.option("--images", type=_FILE, help="Where those pictures are.")
@click.option("--out", type=click.Path(path_type=Path), help="Write a perf.json.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines instead of tables.")
def main(
    photos: Path,
    detectors: tuple[Path, ...],
    recognizers: tuple[Path, ...],
    venvs: tuple[str, ...],
    threads: tuple[int, ...],
    rounds: int,
    annotations: Path | None,
    images: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure this pipeline and its peers on the pictures in the folder PHOTOS."""
    if len(detectors) != len(recognizers):
        raise click.UsageError(f"{len(detectors)} detectors and {len(recognizers)} recognisers; give them in pairs")
    if wrong := [venv for venv in venvs if venv.partition("=")[0] not in PEERS or "=" not in venv]:
        raise click.UsageError(f"--venv {wrong[0]}: expected PEER=FOLDER, with one of {', '.join(PEERS)}")
    places = dict(venv.split("=", 1) for venv in venvs)
    pairs = [(str(d.resolve()), str(r.resolve())) for d, r in zip(detectors, recognizers, strict=True)]
    peers = [Peer("ours", sys.executable, n, pair) for n in threads for pair in pairs]
    for name in sorted(PEERS.keys() - {"ours"}):
        command = str(Path(places[name]) / "bin" / "python") if name in places else sys.executable
        peers += [Peer(name, command, n) for n in threads]
    pictures = {path.name: load_image(path) for path in sorted(photos.iterdir())}
    held = open_detection_set(annotations, images).pictures if annotations else ()
    report = Report(title="Beside others", sections=measure_peers(pictures, peers, rounds, held))
    if out:
        _perf(peers).save(out)
    if as_json:
        click.echo(report.to_json(), nl=False)
    else:
        print_report(report)


if __name__ == "__main__":
    main()
