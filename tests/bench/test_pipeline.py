"""The stopwatch counts each step once, the crowd is what it says, and another checkout is really another one."""

from __future__ import annotations

import importlib
import time
from pathlib import Path

import pytest

import pocketface
from pocketface.bench.pipeline import ENGINES, READING, Stopwatch, _load_checkout, _table, crowd
from pocketface.evaluate.faces import bundled_portraits


def _work(ms: float) -> None:
    end = time.thread_time() + ms / 1e3
    while time.thread_time() < end:
        pass


def test_a_step_inside_another_is_counted_once() -> None:
    watch = Stopwatch()
    inner = watch.wrap("inner", lambda: _work(4))

    def outer() -> None:
        _work(2)
        inner()
        inner()

    watch.wrap("outer", outer)()
    assert 8 <= watch.times_ms["inner"] < 12
    assert 2 <= watch.times_ms["outer"] < 6


def test_a_crowd_shows_its_portraits() -> None:
    one, twenty = crowd(1), crowd(20)
    assert one.shape == twenty.shape == (720, 1280, 3)
    first = bundled_portraits()[0].image
    assert abs(one[60:560, 20:520].mean() - first.mean()) < 2
    cells = [twenty[60 + 176 * (i // 7) :, 20 + 176 * (i % 7) :][:176, :176] for i in range(21)]
    assert [cell.std() > 5 for cell in cells] == [True] * 20 + [False]


def test_another_checkout_is_loaded_beside_this_one() -> None:
    name = _load_checkout(Path(pocketface.__file__).parent, "pocketface_once_more")
    other = importlib.import_module(f"{name}.runtime.preprocess")
    mine = importlib.import_module("pocketface.runtime.preprocess")
    assert other.letterbox is not mine.letterbox
    assert other.__file__ == mine.__file__


def test_what_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a checkout of pocketface"):
        _load_checkout(tmp_path)


def test_shares_and_ratios() -> None:
    steps = (READING, "letterbox", *ENGINES, "rest")
    times = {"now": (10, 1, 4, 4, 1), "before": (10, 2, 4, 4, 2)}
    section = _table("t", {name: dict(zip(steps, ms, strict=True)) for name, ms in times.items()})
    rows = {row["step"]: row for row in section.rows}
    python = rows["Python's, all but reading and the runs"]
    assert (python["now"], python["before"], python["ratio"]) == (2, 4, 0.5)
    assert (python["share"], python["analysis_share"]) == (0.1, 0.2)
    assert (rows["all but reading"]["now"], rows["all"]["now"]) == (10, 20)
    assert "analysis_share" not in rows[READING]
