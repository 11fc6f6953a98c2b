"""What a measuring process is told and what it answers: lines of JSON, each one of these."""

from __future__ import annotations

import msgspec


class Job(msgspec.Struct, frozen=True, kw_only=True, tag="job"):
    """What to open; the first thing that a process is told.

    Attributes:
        files: none for the machine's roof, one for a model, a detector's and a recogniser's for a pipeline.
        backend: name of the engine; empty for the roof.
        threads: for the engine.
        cores: to run on; none to let the system choose.
    """

    files: tuple[str, ...]
    backend: str = ""
    threads: int = 1
    cores: tuple[int, ...] = ()


class Run(msgspec.Struct, frozen=True, kw_only=True, tag="run"):
    """Run so many times, after some that do not count."""

    count: int
    warmup: int = 0


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag="ask"):
    """Answer for all portraits."""


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag="opened"):
    """It is open.

    Attributes:
        engine: its name.
        version: of the engine's package; empty if not known.
        load_ms: from the files' bytes to the first answer, the engine's own code loaded before; None for no model.
        pinned: whether it keeps to the cores that it was given.
    """

    engine: str
    version: str = ""
    load_ms: float | None = None
    pinned: bool = False


class Times(msgspec.Struct, frozen=True, kw_only=True, tag="times"):
    """How long it took.

    Attributes:
        stages: stage -> milliseconds of each run.
        cpu_s: of all cores together, for these runs; beside their times it tells whether others used the cores as well.
        peak_memory_bytes: most that the process held so far; None if not known.
    """

    stages: dict[str, list[float]]
    cpu_s: float = 0.0
    peak_memory_bytes: int | None = None


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """A face as a detector gives it: xyxy and five points in pixels of the portrait, and its score."""

    box: tuple[float, float, float, float]
    score: float
    landmarks: list[tuple[float, float]]


class Answers(msgspec.Struct, frozen=True, kw_only=True, tag="answers"):
    """What a model says of each portrait.

    Attributes:
        vectors: (N, D) of a recogniser, embeddings of length one.
        kept: of a detector, the faces that it finds.
        seen: the same before any is suppressed, and fainter ones as well.
    """

    vectors: list[list[float]] = []
    kept: list[list[Seen]] = []
    seen: list[list[Seen]] = []


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """Why it cannot be opened or run."""

    why: str


Request = Job | Run | Ask
Reply = Opened | Times | Answers | Refused
