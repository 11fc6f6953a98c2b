"""The whole protocol with detectors whose answers are told, at every test size; and as a command."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pocketface.artifact import Artifact
from pocketface.cli import cli
from pocketface.contract import ModelContract, Recognition
from pocketface.errors import InvalidContract, InvalidData, UnsupportedModel
from pocketface.evaluate.cache import Cache
from pocketface.evaluate.detection import AnnotatedPicture, DetectionSet, Regime, evaluate_detection
from pocketface.evaluate.detection.kept import key_of
from pocketface.evaluate.detection.regime import RegimeDetector
from pocketface.evaluate.detection.table import detection_facts, detection_sections
from pocketface.runtime.backends import FakeBackend

Paint, Knows, Artifacts = Callable[..., Path], Callable[..., FakeBackend], Callable[..., Artifact]
A, B, FAR = (4.0, 4.0, 24.0, 24.0), (30.0, 30.0, 38.0, 38.0), (44.0, 4.0, 60.0, 20.0)


def corners(box: tuple[float, ...]) -> list[list[float]]:
    x1, y1, x2, y2 = box
    return [[x1, y1], [x2, y1], [(x1 + x2) / 2, (y1 + y2) / 2], [x1, y2], [x2, y2]]


def a_set(*pictures: tuple[Path, list[tuple[float, ...]]], landmarks: bool = True) -> DetectionSet:
    annotated = []
    for path, boxes in pictures:
        points = np.array([corners(box) for box in boxes]).reshape(-1, 5, 2) if landmarks else None
        truth = np.array(boxes, float).reshape(-1, 4)
        annotated.append(AnnotatedPicture(path.name, path, truth, np.zeros(len(boxes), bool), points))
    return DetectionSet("by hand", tuple(annotated))


def test_everything_about_a_set_worked_by_hand(paint: Paint, knows: Knows, artifact_of: Artifacts) -> None:
    """Two faces in one picture, of sides 20 and 8, none in another; the small one is found below the threshold.

    Ranked: right (A), a duplicate of it with IoU 0.49 of it but 0.7 of the face, wrong, right (B).
    """
    data = a_set((paint("a.png", 1), [A, B]), (paint("b.png", 2), []))
    twice = (4.0, 10.0, 24.0, 24.0)  # 14 of 20 rows: IoU 0.7 with the face
    told = {1: [(0.9, (4.0, 4.0, 24.0, 17.0)), (0.8, twice), (0.3, B)], 2: [(0.6, FAR)]}
    result = evaluate_detection(artifact_of(), data, backend=knows(told, shift=3))
    (ap,) = result.precisions
    assert ap.ap == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 4)
    assert (ap.faces, ap.pictures, result.pictures) == (2, 2, 2)
    what = result.operation
    assert (what.threshold, what.faces, what.found, what.missed, what.false, what.duplicates) == (0.5, 2, 1, 1, 1, 1)
    assert (what.recall, what.precision) == (0.5, pytest.approx(1 / 3))
    sizes = {(s.pixels, s.from_px): (s.to_px, s.faces, s.found, s.found_at_all) for s in result.sizes}
    by_size = {8.0: (16, 1, 0, 1), 16.0: (32, 1, 1, 1)}
    assert sizes == {(pixels, size): row for pixels in ("network", "picture") for size, row in by_size.items()}
    assert result.landmarks is not None
    assert result.landmarks.faces == 1
    middle, bottom = math.hypot(3, 3.5), math.hypot(3, 7)  # the detection ends 7 rows above the face
    distance = (3 + 3 + middle + bottom + bottom) / 5
    assert result.landmarks.by_eyes == pytest.approx(distance / 20)
    assert result.landmarks.by_box == pytest.approx(distance / 20)
    assert "64 x 64" in result.regime


def test_no_landmarks_no_figure(paint: Paint, knows: Knows, artifact_of: Artifacts) -> None:
    told = knows({1: [(0.9, A)]})
    bare = a_set((paint("a.png", 1), [A]), landmarks=False)
    assert evaluate_detection(artifact_of(), bare, backend=told).landmarks is None
    assert len(detection_sections([evaluate_detection(artifact_of(), bare, backend=told)])) == 3


def test_nothing_found_is_zero_and_not_an_error(paint: Paint, knows: Knows, artifact_of: Artifacts) -> None:
    result = evaluate_detection(artifact_of(), a_set((paint("a.png", 1), [A])), backend=knows({1: []}))
    assert result.precisions[0].ap == 0
    assert math.isnan(result.operation.precision)
    assert json.loads(json.dumps(detection_facts(result)["operation"]["recall"])) == 0


def test_a_damaged_picture_is_named_and_the_rest_counts(
    paint: Paint, knows: Knows, artifact_of: Artifacts, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    told = knows({1: [(0.9, A)]})
    result = evaluate_detection(artifact_of(), a_set((paint("a.png", 1), [A]), (broken, [A])), backend=told)
    assert (result.precisions[0].faces, result.pictures) == (1, 1)
    assert "broken.png" in result.problems[0]
    assert "broken.png" in " ".join(detection_sections([result])[0].notes)
    with pytest.raises(InvalidData, match=r"broken\.png"):
        evaluate_detection(artifact_of(), a_set((broken, [A])), backend=told)


class TestCache:
    """Three pictures in parts of two; the second cannot be read."""

    @pytest.fixture(autouse=True)
    def parts_of_two(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("search", "kept"):
            monkeypatch.setattr(f"pocketface.evaluate.detection.{module}.PART", 2)

    @pytest.fixture
    def data(self, paint: Paint) -> DetectionSet:
        broken = paint("b.png", 2)
        broken.write_bytes(b"no picture")
        return a_set((paint("a.png", 1), [A]), (broken, [B]), (paint("c.png", 3), [B]))

    def test_a_second_run_asks_no_engine_and_says_the_same(
        self, data: DetectionSet, knows: Knows, artifact_of: Artifacts, tmp_path: Path
    ) -> None:
        fake, cache = knows({1: [(0.9, A), (0.6, FAR)], 3: []}), Cache(tmp_path / "cache")
        first = evaluate_detection(artifact_of(), data, backend=fake, cache=cache)
        assert len(fake.feeds) == 2
        second = evaluate_detection(artifact_of(), data, backend=fake, cache=cache)
        assert len(fake.feeds) == 2
        assert math.isnan(second.pictures_per_s)
        assert second == replace(first, pictures_per_s=second.pictures_per_s)
        evaluate_detection(artifact_of(), data, backend=fake, cache=cache, lowest=0.1)
        assert len(fake.feeds) == 4, "another question"

    def test_a_killed_run_goes_on(
        self, data: DetectionSet, knows: Knows, artifact_of: Artifacts, tmp_path: Path
    ) -> None:
        cache = Cache(tmp_path / "cache")
        with pytest.raises(KeyError):
            evaluate_detection(artifact_of(), data, backend=knows({1: [(0.9, A)]}), cache=cache)
        rest = knows({3: [(0.9, B)]})
        result = evaluate_detection(artifact_of(), data, backend=rest, cache=cache)
        assert len(rest.feeds) == 1
        assert result.precisions[0].ap == 1

    @pytest.mark.parametrize(
        "change", [{"boxes": np.zeros((9, 4))}, {"scores": np.array([math.nan])}, {"counts": np.array([2])}]
    )
    def test_an_entry_that_someone_else_made_is_made_again(
        self, data: DetectionSet, knows: Knows, artifact_of: Artifacts, tmp_path: Path, change: dict[str, np.ndarray]
    ) -> None:
        told, cache = knows({1: [(0.9, A)], 3: [(0.9, B)]}), Cache(tmp_path / "cache")
        evaluate_detection(artifact_of(), data, backend=told, cache=cache)
        key = key_of(data.fingerprint, 0, RegimeDetector(artifact_of(), Regime((64, 64)), backend=told), 0.02)
        entry = cache.get(key)
        assert entry is not None
        cache.put(key, {**entry, **change})
        assert evaluate_detection(artifact_of(), data, backend=told, cache=cache).precisions[0].ap == 1
        assert len(told.feeds) == 3


def test_the_fingerprint_is_of_contents_and_annotations(paint: Paint) -> None:
    path = paint("a.png", 1)
    first = a_set((path, [A])).fingerprint
    assert first == a_set((path, [A])).fingerprint
    assert first != a_set((path, [B])).fingerprint
    paint("a.png", 2)
    assert first != a_set((path, [A])).fingerprint


def test_the_official_subsets_come_first(paint: Paint, knows: Knows, artifact_of: Artifacts) -> None:
    plain = a_set((paint("a.png", 1), [A, B])).pictures[0]
    levels = {"easy": [True, False], "medium": [True, False], "hard": [True, True]}
    picture = replace(plain, subsets={level: np.array(mask) for level, mask in levels.items()})
    data = DetectionSet("WIDER FACE val", (picture,), official=True)
    result = evaluate_detection(artifact_of(), data, backend=knows({1: [(0.9, A)]}))
    assert {p.subset: p.ap for p in result.precisions} == {"easy": 1, "medium": 1, "hard": 0.5, "all": 0.5}


class TestRegimes:
    """The face is where the fake says in the network's input; in the picture it is where the scale puts it."""

    def test_letterboxed(self, paint: Paint, knows: Knows, artifact_of: Artifacts) -> None:
        image = np.full((128, 96, 3), 1, np.uint8)
        fake = knows({1: [(0.9, A)]})
        (face,), scale = RegimeDetector(artifact_of(), Regime(size=(64, 64)), backend=fake).detect(image, 0.5)
        assert scale == 0.5
        np.testing.assert_allclose(face.box, [8.5, 8.5, 48.5, 48.5])

    def test_original_size_is_padded_and_not_scaled(self, knows: Knows, artifact_of: Artifacts) -> None:
        image, fake = np.full((50, 70, 3), 1, np.uint8), knows({1: [(0.9, A)]})
        (face,), scale = RegimeDetector(artifact_of(size_step=32), Regime(), backend=fake).detect(image, 0.5)
        assert scale == 1
        assert face.box.tolist() == list(A)
        fed = fake.feeds[0]["image"]
        assert fed.shape == (1, 3, 64, 96)
        assert (fed[:, :, :50, :70] == 1).all()
        assert not fed[:, :, 50:].any()
        assert not fed[..., 70:].any()

    @pytest.mark.parametrize(("size", "fed", "scale"), [((128, 96), (64, 64), 0.5), ((40, 30), (64, 32), 1)])
    def test_the_longer_side_is_limited(
        self, knows: Knows, artifact_of: Artifacts, size: tuple[int, int], fed: tuple[int, int], scale: float
    ) -> None:
        image, fake = np.full((*size, 3), 1, np.uint8), knows({1: [(0.9, A)]})
        detector = RegimeDetector(artifact_of(size_step=32), Regime(max_side=64), backend=fake)
        (face,), used = detector.detect(image, 0.5)
        assert used == scale
        assert fake.feeds[0]["image"].shape[2:] == fed
        np.testing.assert_allclose(face.box, (np.array(A) + 0.5) / scale - 0.5)

    def test_sizes_in_pixels_of_the_network(self, paint: Paint, knows: Knows, artifact_of: Artifacts) -> None:
        data = a_set((paint("a.png", 1, (128, 128)), [(8.5, 8.5, 48.5, 48.5)]))
        result = evaluate_detection(artifact_of(), data, backend=knows({1: [(0.9, A)]}))
        assert [(s.pixels, s.from_px, s.found) for s in result.sizes] == [("network", 16, 1), ("picture", 32, 1)]

    def test_a_fixed_size_cannot_be_changed(self, paint: Paint, knows: Knows, artifact_of: Artifacts) -> None:
        data, fake = a_set((paint("a.png", 1), [A])), knows({1: []})
        for regime in (Regime(), Regime(max_side=64), Regime(size=(32, 32))):
            with pytest.raises(UnsupportedModel, match="takes 64 x 64 only"):
                evaluate_detection(artifact_of(), data, regime, backend=fake)


def test_a_recogniser_is_refused(artifact_of: Artifacts, paint: Paint) -> None:
    plain = artifact_of()
    contract = ModelContract(
        model="fake",
        task=Recognition(embedding_size=4),
        input=plain.contract.input,
        outputs={"embedding": "embedding"},
        fingerprint="ab" * 32,
        weights="by hand",
        trained=False,
    )
    recogniser = Artifact(plain.path, contract, plain.sha256, 0)
    with pytest.raises(InvalidContract, match="recognition"):
        evaluate_detection(recogniser, a_set((paint("a.png", 1), [A])))


class TestCommand:
    @pytest.fixture(autouse=True)
    def own_cache(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("POCKETFACE_CACHE", str(tmp_path / "cache"))

    def run(self, *arguments: object, status: int = 0) -> str:
        done = CliRunner().invoke(cli, ["evaluate", "detection", *map(str, arguments)])
        assert done.exit_code == status, done.output
        return done.stdout if status == 0 else done.output

    @pytest.fixture
    def data(self, paint: Paint, tmp_path: Path) -> Path:
        listed = [{"file": paint("a.png", 255, (32, 32)).name, "faces": [{"box": [4, 6, 28, 30]}]}]
        listed += [{"file": paint("b.png", 128, (32, 32)).name, "faces": []}, {"file": "gone.png", "faces": []}]
        (tmp_path / "faces.json").write_text(json.dumps(listed))
        return tmp_path / "faces.json"

    def test_json_and_tables(self, data: Path, bright_square: Path) -> None:
        (facts,) = json.loads(self.run(data, "--model", bright_square, "--json"))["results"]
        assert facts["precisions"][0]["ap"] == 1
        assert facts["operation"]["recall"] == 1
        assert facts["operation"]["false"] == 1
        assert facts["regime"] == "single scale, letterboxed into 32 x 32"
        assert "gone.png" in facts["problems"][0]
        shown = self.run(data, "--model", bright_square, "--model", bright_square, "--size", 32)
        assert "1.0000" in shown
        self.run(data, "--model", bright_square, "--no-cache", "--out", data.parent / "report")
        report = json.loads((data.parent / "report" / "report.json").read_text())
        assert [section["title"] for section in report["sections"]][-1] == "Files"
        assert "Average precision" in (data.parent / "report" / "report.html").read_text()
        assert "compared within one test size" in shown

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--strict"], "gone.png"),
            (["--size", "640"], "takes 32 x 32 only"),
            (["--size", "original"], "takes 32 x 32 only"),
        ],
    )
    def test_errors_in_one_line(self, data: Path, bright_square: Path, options: list[str], words: str) -> None:
        output = self.run(data, "--model", bright_square, *options, status=1)
        assert words in output
        assert "Traceback" not in output

    @pytest.mark.parametrize("options", [["--size", "big"], ["--size", "0"], ["--size", "640", "--max-side", "9"]])
    def test_a_wrong_call(self, data: Path, bright_square: Path, options: list[str]) -> None:
        self.run(data, "--model", bright_square, *options, status=2)
