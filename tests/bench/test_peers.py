"""Peers answer over a pipe, in turn; one that fails is a row that says why; recall is counted by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pocketface.bench import peers
from pocketface.bench.peers import Peer, latency_rows, recall_rows, run_peers
from pocketface.evaluate.detection.annotations import AnnotatedPicture

#: Speaks the protocol of ``peer.py``: "fast" takes 1 ms for a photo and sees one face, "slow" 3 ms and none.
CHILD = """
import json, sys
import numpy as np
name, threads, photos = sys.argv[1:4]
count = len(np.load(photos).files)
if name == "absent":
    print(json.dumps({"error": "ModuleNotFoundError: No module named 'absent'"}))
    sys.exit()
print(json.dumps({"about": name}), flush=True)
for turn, _ in enumerate(sys.stdin):
    if name == "breaks" and turn:
        sys.exit(1)
    ms = 1.0 if name == "fast" else 3.0
    boxes = [[0, 0, 9, 9]] if name == "fast" else []
    print(json.dumps({"times_ms": [ms] * count, "cpu_ms": [2 * ms] * count, "boxes": [boxes] * count}), flush=True)
"""


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Peer]:
    child = tmp_path / "child.py"
    child.write_text(CHILD)
    monkeypatch.setattr(peers, "_CHILD", child)
    found = [Peer(name, sys.executable, 1) for name in ("fast", "slow", "absent", "breaks")]
    run_peers(found, [np.zeros((4, 5, 3), np.uint8)] * 3, rounds=2)
    return found


def test_each_has_a_row_and_who_fails_says_why(measured: list[Peer]) -> None:
    fast, slow, absent, breaks = latency_rows(measured)
    assert (fast["p50_ms"], fast["ratio"], fast["faces"], fast["with_face"]) == (1.0, 1.0, 3, 3)
    assert (slow["p50_ms"], slow["ratio"], slow["cpu_ratio"], slow["faces"]) == (3.0, 3.0, 3.0, 0)
    assert "No module named" in str(absent["about"])
    assert "failed on a photo" in str(breaks["about"])
    assert "p50_ms" not in absent | breaks
    assert [len(peer.times_ms) for peer in measured] == [2, 2, 0, 0]


def test_a_wrong_place_is_refused(tmp_path: Path) -> None:
    files = ["--detector", str(tmp_path), "--recognizer", str(tmp_path)]
    for wrong in ("nobody=x", "opencv"):
        done = CliRunner().invoke(peers.main, [str(tmp_path), *files, "--venv", wrong])
        assert done.exit_code == 2
        assert "expected PEER=FOLDER" in done.output


def test_recall_counts_large_faces_and_false_alarms() -> None:
    """At 320 of 640 pixels: 100 -> 50 counts, 20 -> 10 does not, and finding it is no fault."""
    truth = np.array([[0, 0, 100, 100], [300, 0, 400, 100], [500, 500, 520, 520]], float)
    picture = AnnotatedPicture("a", Path("a"), truth, np.zeros(3, bool))
    peer = Peer("p", "", 1, boxes=[[[0, 0, 100, 100], [500, 500, 520, 520], [200, 400, 260, 460]]])
    (row,) = recall_rows([peer], [picture], [640])
    assert (row["found"], row["of"], row["recall"], row["false"]) == (1, 2, 0.5, 1)


def test_a_real_child_without_its_packages_says_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "photos.npz", np.zeros((4, 5, 3), np.uint8))
    peer = Peer("insightface", sys.executable, 1)
    run_peers([peer], [np.zeros((4, 5, 3), np.uint8)], rounds=1)
    assert "No module named" in peer.about
    assert peer.times_ms == []
