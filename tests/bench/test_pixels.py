"""The benchmark of pixels measures what it says it does."""

from __future__ import annotations

import json
import sys

import pytest

from pocketface.bench import pixels


def test_every_task_has_a_time_and_little_memory() -> None:
    section = pixels.measure_pixels(rounds=1)
    assert [row["task"] for row in section.rows] == list(pixels.pixel_tasks())
    for row in section.rows:
        assert row["latency_ms"] > 0
        assert 0 < row["peak_bytes"] < 8e6  # a copy of the large picture would be 36 MB


def test_json_and_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    section = pixels.measure_pixels(rounds=1)
    monkeypatch.setattr(pixels, "measure_pixels", lambda detector: section)
    monkeypatch.setattr(sys, "argv", ["pixels", "--json"])
    pixels.main()
    assert json.loads(capsys.readouterr().out)["sections"][0]["rows"] == section.rows
    monkeypatch.setattr(sys, "argv", ["pixels"])
    pixels.main()
    assert "letterbox 1280 x 720" in capsys.readouterr().out
