"""Peers answer over a pipe, in turn; one that fails is a row that says why; recall is counted by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pocketface.bench import peers
from pocketface.bench.peers import Peer, run_peers
from pocketface.bench.peers_table import latency_rows, measure_peers, recall_rows
from pocketface.cli import cli
from pocketface.evaluate.detection.annotations import AnnotatedPicture

#: Speaks the protocol of ``peer.py``: "fast" takes 1 ms for a photo and sees one face, "slow" 3 ms and none.
CHILD = """
import json, sys
import numpy as np
name, photos, threads, side, lowest = sys.argv[1:6]
count = len(np.load(photos).files)
if name == "absent":
    print(json.dumps({"error": "ModuleNotFoundError: No module named 'absent'"}))
    sys.exit()
print(json.dumps({"about": name}), flush=True)
for turn, line in enumerate(sys.stdin):
    if name == "breaks" and turn:
        sys.exit(1)
    ms = 1.0 if name == "fast" else 3.0
    boxes = [[0, 0, 9, 9]] if name == "fast" else []
    cpu_ms = 2 * ms if line == "run\\n" else ms
    told = {"times_ms": [ms] * count, "cpu_ms": [cpu_ms] * count, "detect_ms": [ms] * count}
    told |= {"boxes": [boxes] * count, "scores": [[float(lowest)] * len(boxes)] * count}
    print(json.dumps(told), flush=True)
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "child.py"
    file.write_text(CHILD)
    monkeypatch.setattr(peers, "_CHILD", file)
    return file


@pytest.fixture
def measured(child: Path) -> list[Peer]:
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
        done = CliRunner().invoke(cli, ["bench", "peers", str(tmp_path), *files, "--venv", wrong])
        assert done.exit_code == 2
        assert "expected PEER=FOLDER" in done.output


def test_detection_alone_embeds_nothing(child: Path) -> None:
    alone = Peer("fast", sys.executable, 1, lowest=0.25)
    run_peers([alone], [np.zeros((4, 5, 3), np.uint8)], rounds=1, embed=False)
    assert (alone.cpu_ms, alone.detect_ms, alone.scores) == ([[1.0]], [[1.0]], [[0.25]])


#: At 320 of 640 pixels: 100 -> 50 counts, 20 -> 10 does not, and finding it is no fault.
TRUTH = np.array([[0, 0, 100, 100], [300, 0, 400, 100], [500, 500, 520, 520]], float)
PICTURE = AnnotatedPicture("a", Path("a"), TRUTH, np.array([False, False, True]))


def test_recall_counts_large_faces_and_false_alarms() -> None:
    """The second face is found below 0.5, under a false alarm there and above another."""
    high = [[0, 0, 100, 100], [500, 500, 520, 520], [200, 400, 260, 460]]
    half = Peer("p", "", 1, boxes=[high], scores=[[0.9, 0.8, 0.6]])
    low = Peer("p", "", 1, boxes=[[[0, 400, 60, 460], [300, 0, 400, 100], *high]], scores=[[0.2, 0.4, 0.9, 0.8, 0.6]])
    (row,) = recall_rows([half], [low], [PICTURE])
    assert (row["found"], row["recall"], row["false"]) == (1, 0.5, 1)
    assert row["recall_even"] == 0.5  # of one picture, a quarter of a false detection: none
    assert row["ap"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    four = [PICTURE] * 4
    (row,) = recall_rows(
        [Peer("p", "", 1, boxes=[[]] * 4, scores=[[]] * 4)],
        [Peer("p", "", 1, boxes=low.boxes + [[]] * 3, scores=low.scores + [[]] * 3)],
        four,
    )
    assert (row["recall"], row["recall_even"]) == (0, 2 / 8)  # one false one may be passed


def test_small_faces_need_not_be_found(child: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((640, 480, 3), np.uint8)).save(tmp_path / "a.png")
    held = [AnnotatedPicture("a", tmp_path / "a.png", TRUTH, np.zeros(3, bool))]
    photos = {"a": np.zeros((4, 5, 3), np.uint8)}
    latency, recall = measure_peers(photos, [Peer("fast", sys.executable, 1)], 1, held)
    assert len(latency.rows) == len(recall.rows) == 1
    assert recall.title.startswith("2 faces of 12 pixels and more at 320, in 1 pictures")
    assert recall.rows[0]["false"] == 1


def test_a_real_child_without_its_packages_says_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "photos.npz", np.zeros((4, 5, 3), np.uint8))
    peer = Peer("insightface", sys.executable, 1)
    run_peers([peer], [np.zeros((4, 5, 3), np.uint8)], rounds=1)
    assert "No module named" in peer.about
    assert peer.times_ms == []
