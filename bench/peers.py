"""This pipeline beside others, on the same photos, in turn on the same machine.

Each runs in a process of its own, under a Python of its own where one is named, for their packages do not agree with
ours. One that is not installed or fails is a row that says why. Their weights are only measured: look up the licence
of each before you use it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CHILD = Path(__file__).with_name("peer.py")


@dataclass
class Peer:
    """A pipeline to measure, and what came of it.

    Attributes:
        name: in ``peer.PEERS``.
        command: that runs Python for it.
        threads: that it may use.
        side: of its detector's input, in pixels.
        lowest: score of a face.
        files: that it is given.
        about: what it is, or why it does not run.
        times_ms: time on the clock, (rounds, photos).
        cpu_ms: processor time of all its threads likewise.
        detect_ms: as much of that as finding the faces took.
        boxes, scores: for each photo, from the last round.
    """

    name: str
    command: str
    threads: int
    side: int = 320
    lowest: float = 0.5
    files: tuple[str, ...] = ()
    about: str = ""
    times_ms: list[list[float]] = field(default_factory=list)
    cpu_ms: list[list[float]] = field(default_factory=list)
    detect_ms: list[list[float]] = field(default_factory=list)
    boxes: list[list[list[float]]] = field(default_factory=list)
    scores: list[list[float]] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Its name, and the formats of its files."""
        return " ".join([self.name, *(Path(file).suffix.removeprefix(".") for file in self.files[:1])])


def run_peers(peers: Sequence[Peer], images: Sequence[NDArray[np.uint8]], rounds: int, *, embed: bool = True) -> None:
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
            running = [
                (peer, process) for peer, process in running[:: 1 if turn % 2 else -1] if _pass(peer, process, embed)
            ]


@contextlib.contextmanager
def _started(peer: Peer, photos: Path) -> Iterator[subprocess.Popen[str]]:
    wish = [str(n) for n in (peer.threads, peer.side, peer.lowest)]
    call = [peer.command, "-P", str(_CHILD), peer.name, str(photos), *wish, *peer.files]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(call, text=True, env=_environment(wish[0]), **pipes)
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


def _pass(peer: Peer, process: subprocess.Popen[str], embed: bool) -> bool:
    """One pass over the photos; False if the peer failed, and then it has no figures at all."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write("run\n" if embed else "detect\n")
        process.stdin.flush()
    told = _answer(process)
    if "error" in told:
        peer.about = f"failed on a photo: {told['error']}"
        peer.times_ms, peer.cpu_ms, peer.detect_ms, peer.boxes, peer.scores = [], [], [], [], []
        return False
    for key in ("times_ms", "cpu_ms", "detect_ms"):
        getattr(peer, key).append(told[key])
    peer.boxes, peer.scores = told["boxes"], told["scores"]
    return True
