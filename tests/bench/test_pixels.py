"""The benchmark of pixels measures what it says it does."""

from __future__ import annotations

from pocketface.bench.pixels import measure_pixels, pixel_tasks


def test_every_task_has_a_time_and_little_memory() -> None:
    section = measure_pixels(rounds=1)
    assert [row["task"] for row in section.rows] == list(pixel_tasks())
    for row in section.rows:
        assert row["latency_ms"] > 0
        assert 0 < row["peak_bytes"] < 8e6  # a copy of the large picture would be 36 MB
