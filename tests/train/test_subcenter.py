"""Cleaning by sub-centres against a count by hand, and the list it leaves."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from pocketface.errors import InvalidData
from pocketface.train import subcenter
from pocketface.train.subcenter import clean, read_kept, write_cleaning


def at(*degrees: float) -> np.ndarray:
    """Directions in the plane."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def test_pictures_far_from_the_dominant_centre_are_dropped() -> None:
    # Identity 0: most pictures choose its second centre, at 90 degrees. Identity 1: its first, at 0.
    centres = np.stack([at(0, 90, 200), at(0, 120, 240)]) * 5
    embedding = at(85, 95, 100, 16, 14, 164, 205, 1, 2, 3, 4, 74, -74, 76, 119) * 3
    label = np.array([0] * 7 + [1] * 8)
    found = clean(embedding, label, centres)
    assert found.dominant.tolist() == [1, 0]
    assert found.angle_deg == pytest.approx([5, 5, 10, 74, 76, 74, 115, 1, 2, 3, 4, 74, 74, 76, 119], abs=1e-6)
    assert np.flatnonzero(~found.kept).tolist() == [4, 6, 13, 14]


def test_it_is_the_loop_of_the_paper_on_random_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subcenter, "_BLOCK", 7)
    rng = np.random.default_rng(0)
    centres, label = rng.normal(size=(9, 3, 4)), rng.integers(0, 8, 100)  # identity 8 has no picture
    embedding = centres[label, rng.integers(0, 2, 100)] + rng.normal(size=(100, 4))
    found = clean(embedding.astype(np.float32), label, centres.astype(np.float32))
    for who in range(8):
        mine = np.flatnonzero(label == who)
        cosine = np.array(
            [[e @ w / np.linalg.norm(e) / np.linalg.norm(w) for w in centres[who]] for e in embedding[mine]]
        )
        counts = [int((cosine.argmax(1) == k).sum()) for k in range(3)]
        best = counts.index(max(counts))
        assert found.dominant[who] == best
        assert found.angle_deg[mine] == pytest.approx(np.degrees(np.arccos(cosine[:, best])), abs=1e-3)
    assert np.array_equal(found.kept, found.angle_deg <= 75)
    assert 10 < found.kept.sum() < 90


def test_the_list_names_what_was_dropped_first_and_is_read_back(tmp_path: Path) -> None:
    names = ["a,b.jpg", 'c"d.jpg', "ü/e.jpg", "f.jpg"]
    found = clean(at(0, 80, 100, 10), np.zeros(4, np.int64), at(0)[None])
    write_cleaning(tmp_path / "kept.csv", names, ["x"] * 4, found)
    rows = list(csv.reader((tmp_path / "kept.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["name", "identity", "angle_deg", "kept"]
    assert [row[0] for row in rows[1:3]] == ["ü/e.jpg", 'c"d.jpg']
    assert rows[1] == ["ü/e.jpg", "x", "100.00", "0"]
    assert read_kept(tmp_path / "kept.csv") == {"a,b.jpg", "f.jpg"}


@pytest.mark.parametrize("text", ["name,angle\na,1\n", "name,kept\na,yes\n", "", "name,kept\na\n"])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "kept.csv").write_text(text)
    with pytest.raises(InvalidData, match=r"kept\.csv"):
        read_kept(tmp_path / "kept.csv")


@pytest.mark.parametrize(
    ("embedding", "label", "centres", "reason"),
    [
        (at(0), np.array([1]), at(0)[None], "labels 1..1 for 1 identities"),
        (at(0), np.array([-1]), at(0)[None], "labels -1..-1"),
        (at(0), np.array([0, 0]), at(0)[None], "expected embeddings"),
        (np.zeros((0, 2)), np.zeros(0, np.int64), at(0)[None], "expected embeddings"),
        (np.zeros((1, 3)), np.array([0]), at(0)[None], "expected embeddings"),
        (np.full((1, 2), np.nan), np.array([0]), at(0)[None], "not finite"),
    ],
)
def test_what_does_not_fit_is_said(embedding: np.ndarray, label: np.ndarray, centres: np.ndarray, reason: str) -> None:
    with pytest.raises(InvalidData, match=reason):
        clean(embedding, label, centres)
