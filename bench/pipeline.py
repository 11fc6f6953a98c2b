"""Where the time of one photo goes, and how much of it is Python's.

Counted is processor time of the one thread that does all the work, not time on the clock: another program on the
machine then lengthens no step by its turn. Another checkout may run in turn with this one.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..evaluate.faces import bundled_portraits
from ..report import Column, Row, Section

#: Step -> where its function is called from, by module and name. What is in none of them is the rest.
STEPS = {
    "letterbox": ("runtime.detector", "letterbox"),
    "tensors": ("runtime.session", "to_tensor"),
    "decode": ("runtime.detector", "Detector._decoded"),
    "suppress": ("runtime.detector", "nms"),
    "align": ("runtime.embedder", "align_face"),
}
READING = "read the JPEG"
ENGINES = ("detector's run", "embedder's run")
#: Of the photo, as a phone's preview has it.
HEIGHT, WIDTH = 720, 1280


class Stopwatch:
    """Processor time by step, each without the steps inside it."""

    def __init__(self) -> None:
        self.times_ms: defaultdict[str, float] = defaultdict(float)
        self._inside: list[float] = []

    def wrap(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time added to a step."""

        def timed(*arguments: Any, **options: Any) -> Any:
            self._inside.append(0.0)
            start = time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                spent = (time.thread_time() - start) * 1e3
                self.times_ms[step] += spent - self._inside.pop()
                if self._inside:
                    self._inside[-1] += spent

        return timed


class Timed:
    """One checkout's analyzer, its steps and engines under a stopwatch."""

    def __init__(self, package: str, detector: Path, recognizer: Path) -> None:
        analyzer, found, crops, images = (
            importlib.import_module(f"{package}.runtime.{name}")
            for name in ("analyzer", "detector", "embedder", "images")
        )
        self._analyzer = analyzer.FaceAnalyzer(
            found.Detector(detector, threads=1), crops.Embedder(recognizer, threads=1)
        )
        self._watch = Stopwatch()
        for step, (module, name) in STEPS.items():
            *owner, name = name.split(".")
            place: Any = importlib.import_module(f"{package}.{module}")
            place = getattr(place, owner[0]) if owner else place
            setattr(place, name, self._watch.wrap(step, getattr(place, name)))
        for step, part in zip(ENGINES, (self._analyzer.detector, self._analyzer.embedder), strict=True):
            backend = part._session.backend
            backend.run = self._watch.wrap(step, backend.run)
        self._read = self._watch.wrap(READING, images.load_image)
        self._analyze = self._watch.wrap("rest", self._analyzer.analyze)

    def __call__(self, jpeg: bytes) -> tuple[int, dict[str, float]]:
        """Faces found in a picture's file, and the time of every step in milliseconds."""
        self._watch.times_ms.clear()
        faces = len(self._analyze(self._read(jpeg)))
        return faces, {step: self._watch.times_ms[step] for step in (READING, *STEPS, *ENGINES, "rest")}


def crowd(faces: int) -> NDArray[np.uint8]:
    """A ``(720, 1280, 3) uint8`` photo with bundled portraits side by side: one of 500 pixels, or rows of seven."""
    photo = np.full((HEIGHT, WIDTH, 3), 96, np.uint8)
    side, across = (500, 1) if faces == 1 else (176, 7)
    for i, portrait in enumerate(bundled_portraits()[:faces]):
        top, left = i // across * side + 60, i % across * side + 20
        photo[top : top + side, left : left + side] = np.asarray(Image.fromarray(portrait.image).resize((side, side)))
    return photo


def measure_pipeline(
    detector: Path, recognizer: Path, before: Path | None = None, *, rounds: int = 40
) -> Iterator[Section]:
    """A table for a photo with one face and one for a photo with twenty: time of each step, its shares, and Python's.

    Args:
        detector: a detector's file.
        recognizer: a recogniser's.
        before: the root of another checkout, to compare with.
        rounds: that count, after three that do not.

    Raises:
        ValueError: ``before`` is not a checkout.
    """
    packages = {"now": __package__.rpartition(".")[0]}
    if before is not None:
        packages["before"] = _load_checkout(before)
    checkouts = {name: Timed(package, detector, recognizer) for name, package in packages.items()}
    yield from (_section(checkouts, crowd(faces), rounds) for faces in (1, 20))


def _load_checkout(root: Path, name: str = "pocketface_before") -> str:
    """Import another checkout's root under another name: all its imports are relative."""
    spec = importlib.util.spec_from_file_location(name, root / "__init__.py", submodule_search_locations=[str(root)])
    if spec is None or spec.loader is None or not (root / "runtime").is_dir():
        raise ValueError(f"{root}: not a checkout of pocketface")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return name


def _section(checkouts: dict[str, Timed], photo: NDArray[np.uint8], rounds: int) -> Section:
    times: dict[str, list[dict[str, float]]] = {name: [] for name in checkouts}
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, "JPEG", quality=90)
    faces = 0
    for turn in range(rounds + 3):
        for name, timed in checkouts.items() if turn % 2 else reversed(checkouts.items()):
            faces, spent = timed(stream.getvalue())
            if turn >= 3:
                times[name].append(spent)
    medians = {name: {step: median(row[step] for row in rows) for step in rows[0]} for name, rows in times.items()}
    return _table(f"A photo of {WIDTH} x {HEIGHT}, {faces} faces found, {rounds} rounds", medians)


def _table(title: str, medians: dict[str, dict[str, float]]) -> Section:
    """Every step, what is Python's of them, and the whole, with its share of both wholes: all, and all but reading."""
    whole = {name: sum(times.values()) for name, times in medians.items()}
    analysis = {name: whole[name] - times[READING] for name, times in medians.items()}
    engines = {name: sum(times[step] for step in ENGINES) for name, times in medians.items()}
    lines = {step: {name: times[step] for name, times in medians.items()} for step in medians["now"]}
    lines["Python's, all but reading and the runs"] = {name: analysis[name] - engines[name] for name in medians}
    lines |= {"all but reading": analysis, "all": whole}
    rows: list[Row] = []
    for step, times_ms in lines.items():
        row: Row = {"step": step, **times_ms, "share": times_ms["now"] / whole["now"]}
        if step not in (READING, "all"):
            row["analysis_share"] = times_ms["now"] / analysis["now"]
        if "before" in medians:
            row["ratio"] = times_ms["now"] / times_ms["before"]
        rows.append(row)
    columns = [Column(key="step", name="step")]
    columns += [Column(key=name, name=name, unit="ms", kind="number", spec=".2f") for name in reversed(medians)]
    columns += [Column(key="share", name="of all", kind="number", spec=".1%")]
    columns += [Column(key="analysis_share", name="of all but reading", kind="number", spec=".1%")]
    if "before" in medians:
        columns.append(Column(key="ratio", name="of before", kind="number", spec=".2f"))
    return Section(title=title, columns=tuple(columns), rows=rows)
