"""The benchmark of an evaluation's pass embeds what it says it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketface.bench import evaluation
from pocketface.evaluate.embeddings import Embedded


def test_every_side_has_its_rates(recognizer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Embedded] = []

    def spy(*arguments: object) -> Embedded:
        seen.append(embed_images(*arguments))  # type: ignore[arg-type]
        return seen[-1]

    embed_images = evaluation.embed_images
    monkeypatch.setattr(evaluation, "embed_images", spy)
    section = evaluation.measure_evaluation(recognizer, sides=(112, 128), pictures=50, rounds=1, limit=1e9)
    assert [row["side"] for row in section.rows] == [112, 128]
    # A first round does not count, for each side.
    assert [(len(result.failed), result.failed.sum()) for result in seen] == [(50, 0)] * 4
    for row in section.rows:
        assert row["within"] is True
        assert min(float(row[key] or 0) for key in ("engine_per_s", "engines_per_s", "pass_per_s")) > 0
