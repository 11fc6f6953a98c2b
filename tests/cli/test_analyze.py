"""`analyze` tells quality, and the reason why a face is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pocketface.cli import analyze, cli
from pocketface.runtime.analyzer import Face
from pocketface.runtime.embedding import Embedding


class Analyzer:
    """Finds three faces: a good one, a small one, a blurred one; none in a small picture."""

    def analyze(self, image: np.ndarray, *, score_threshold: float | None = None) -> list[Face]:
        if image.shape[0] < 20:
            return []
        embedding = Embedding(np.ones(3, np.float32), "ab" * 32, "float32", ())
        faces = [(80, 0.9), (20, 0.8), (90, 0.2)]
        return [
            Face(np.array([0, 0, side, side], np.float32), 0.7, np.zeros((5, 2), np.float32), None, embedding, quality)
            for side, quality in faces
        ]


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(analyze, "analyzer_of", lambda *told: Analyzer())
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    for file, side in zip(files, (32, 8), strict=True):
        Image.new("RGB", (side, side)).save(file)
    return [str(file) for file in files]


def test_faces_are_judged_and_refused(pictures: list[str]) -> None:
    options = ["--detector", "d", "--recognizer", "r", "--least-quality", "0.5", "--least-side", "40", "--json"]
    result = CliRunner().invoke(cli, ["analyze", *pictures, *options])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.output)
    assert [row.get("quality") for row in rows] == [0.9, 0.8, 0.2, None]
    assert rows[0]["refused"] is None
    assert rows[1]["refused"].startswith("too small")
    assert rows[2]["refused"].startswith("too hard to recognise")
    assert rows[3] == {"image": pictures[1]}


def test_without_limits_no_face_is_refused(pictures: list[str]) -> None:
    result = CliRunner().invoke(cli, ["analyze", pictures[0], "--detector", "d", "--recognizer", "r", "--json"])
    assert [row["refused"] for row in json.loads(result.output)] == [None, None, None]
