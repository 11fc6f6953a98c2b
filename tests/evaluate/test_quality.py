"""Where quality comes from, which pairs it orders, how alike two measures are; and the command."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from scipy.stats import spearmanr

from pocketface.artifact import Artifact, write_sidecar
from pocketface.cli import cli
from pocketface.contract import ARCFACE_TEMPLATE, InputSpec, ModelContract, Recognition
from pocketface.errors import InvalidContract, InvalidData, UnsupportedModel
from pocketface.evaluate import quality_sources
from pocketface.evaluate.data import ImageSet, PairSet, Sample
from pocketface.evaluate.discard import ListedImpostors, discard_curve
from pocketface.evaluate.embeddings import Embedded
from pocketface.evaluate.quality import AllImpostors, agreements, discard_all, pairs_of
from pocketface.evaluate.quality_sources import (
    is_scored,
    model_qualities,
    qualities_of,
    read_qualities,
    read_scored_pairs,
)
from pocketface.evaluate.quality_table import discarding_facts, quality_sections
from pocketface.runtime.backends import FakeBackend
from pocketface.runtime.embedder import Embedder

Write = Callable[..., Path]
SIDE = 112


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(text: str, name: str = "a.csv") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return make


def pictures(count: int, people: int = 0, shades: bool = False) -> ImageSet:
    """Aligned pictures 0, 1, ...; of so many people in turn; of their number's shade."""

    def read(i: int) -> Callable[[], np.ndarray]:
        return lambda: np.full((SIDE, SIDE, 3), i if shades else 0, np.uint8)

    samples = [Sample(str(i), read(i), True, f"p{i % people}" if people else None) for i in range(count)]
    return ImageSet("set", tuple(samples), "ab" * 32)


def embedded(count: int, seed: int = 0, failed: tuple[int, ...] = ()) -> Embedded:
    vectors = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    lost = np.isin(np.arange(count), failed)
    vectors[lost] = 0
    return Embedded(vectors, lost, np.ones(count, np.float32), (), 1.0, 0)


class TestNamesAndQualities:
    def test_read_in_any_order_with_other_columns(self, write: Write) -> None:
        file = write("quality, age, name\n0.5, 3, a\n-1e3, 4, b c\n")
        assert read_qualities(file) == {"a": 0.5, "b c": -1000.0}

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("name,score\na,1\n", "no column quality"),
            ("name,quality\n", "no line"),
            ("name,quality\na,nan\n", "line 2: quality is 'nan'"),
            ("name,quality\na,1\nb\n", "line 3: quality is ''"),
            ("name,quality\na,1\na,2\n", "a second time"),
            ("", "no column"),
        ],
    )
    def test_damage_is_named(self, write: Write, text: str, words: str) -> None:
        with pytest.raises(InvalidData, match=words) as e:
            read_qualities(write(text))
        assert "a.csv" in str(e.value)

    def test_a_file_that_is_not_there_or_no_text(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidData, match=r"none\.csv"):
            read_qualities(tmp_path / "none.csv")
        (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x00")
        with pytest.raises(InvalidData, match=r"b\.csv"):
            read_qualities(tmp_path / "b.csv")

    def test_a_picture_without_quality_comes_last(self) -> None:
        assert qualities_of(pictures(3), {"0": 1.0, "2": 2.0, "other": 3.0}).tolist() == [1, -math.inf, 2]
        with pytest.raises(InvalidData, match=r"'0'.*'x'"):
            qualities_of(pictures(3), {"x": 1.0})


class TestScoredPairs:
    def test_pairs_are_as_good_as_their_worse_picture(self, write: Write) -> None:
        file = write("a,b,same,score,quality_a,quality_b\nx,y,1,0.9,3,2\nx,z,0,0.1,3,5\n")
        assert is_scored(file)
        pairs = read_scored_pairs(file)
        assert (pairs.genuine.tolist(), pairs.quality.tolist()) == ([0.9], [2])
        assert (pairs.impostors.scores.tolist(), pairs.impostors.quality.tolist()) == ([0.1], [3])
        assert pairs.pictures == {"x": 3, "y": 2, "z": 5}

    def test_a_quality_of_the_pair(self, write: Write) -> None:
        pairs = read_scored_pairs(write("same,score,quality\n1,0.9,3\n0,0.1,2\n"))
        assert pairs.quality.tolist() == [3]
        assert pairs.pictures is None

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("same,score\n1,0.5\n", "no column quality_a"),
            ("same,score,quality\n1,0.5,1\n", "genuine pairs"),
            ("same,score,quality\n", "genuine pairs"),
            ("same,score,quality\nyes,0.5,1\n", "expected 1 or 0"),
            ("same,score,quality\n1,inf,1\n", "score is 'inf'"),
            (
                "a,b,same,score,quality_a,quality_b\nx,y,1,0.9,3,2\nx,z,0,0.1,4,5\n",
                "'x' has the quality 4.0, before 3.0",
            ),
        ],
    )
    def test_damage_is_named(self, write: Write, text: str, words: str) -> None:
        with pytest.raises(InvalidData, match=words):
            read_scored_pairs(write(text))

    def test_other_data_are_not_taken_for_it(self, write: Write, tmp_path: Path) -> None:
        assert not is_scored(write("a,b,same\nx,y,1\n"))
        assert not is_scored(tmp_path)
        assert not is_scored(tmp_path / "none.csv")


class TestModelOutput:
    def embedder(self, values: Callable[[float], float], outputs: tuple[str, ...]) -> Embedder:
        def answer(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            shades = feeds["image"][:, 0, 0, 0]
            quality = np.array([[values(shade)] for shade in shades], np.float32)
            return {"embedding": np.ones((len(shades), 4), np.float32), "quality": quality}

        contract = ModelContract(
            model="fake",
            task=Recognition(embedding_size=4),
            input=InputSpec(name="image", layout="NCHW", height=SIDE, width=SIDE),
            outputs={name: name for name in outputs},
            fingerprint="ab" * 32,
            weights="by hand",
            trained=False,
        )
        return Embedder(Artifact(Path("fake.onnx"), contract, "0" * 64, 0), backend=FakeBackend(answer))

    @pytest.fixture(autouse=True)
    def same_backend(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def session(artifact: Artifact, *_: object) -> object:
            return self.made._session

        monkeypatch.setattr(quality_sources, "Session", session)

    def test_in_the_order_of_the_pictures_and_in_batches(self) -> None:
        self.made = self.embedder(lambda shade: shade / 100, ("embedding", "quality"))
        found = model_qualities(pictures(19, shades=True), self.made, None)
        np.testing.assert_allclose(found, np.arange(19) / 100, rtol=1e-6)

    def test_without_such_an_output_and_with_nan(self) -> None:
        self.made = self.embedder(lambda shade: math.nan, ("embedding",))
        with pytest.raises(InvalidContract, match="names no output quality or recognizability"):
            model_qualities(pictures(1), self.made, None)
        self.made = self.embedder(lambda shade: math.nan, ("embedding", "quality"))
        with pytest.raises(UnsupportedModel, match="NaN"):
            model_qualities(pictures(1), self.made, None)


class TestPairs:
    def test_every_pair_that_identities_make(self) -> None:
        """Against a loop over all pairs, with a picture that failed."""
        data, found = pictures(12, people=3), embedded(12, failed=(4,))
        quality = np.random.default_rng(1).uniform(size=12)
        genuine, worse, impostors = pairs_of(data, found, quality)
        expected, others = [], []
        for i, j in combinations(range(12), 2):
            score = -math.inf if 4 in (i, j) else float(found.vectors[i] @ found.vectors[j])
            (expected if i % 3 == j % 3 else others).append((min(quality[i], quality[j]), score))
        np.testing.assert_allclose(sorted(zip(worse, genuine, strict=True)), sorted(expected), rtol=1e-6)
        listed = ListedImpostors(*(np.array([other[k] for other in others]) for k in (1, 0)))
        for lowest in (-math.inf, *np.sort(quality)[[2, 5, 8]]):
            assert impostors.count(lowest) == listed.count(lowest)
            for fmr in (0.05, 0.2):
                left = listed.scores[listed.quality >= lowest].astype(np.float32)
                passed = (left >= impostors.threshold(fmr, lowest)).sum()
                assert passed == math.floor(fmr * len(left) + 1e-9)

    def test_a_list_of_pairs(self) -> None:
        same = np.array([True, False, True])
        data = PairSet(pictures(4), np.array([[0, 1], [1, 2], [2, 3]]), same, np.zeros(3, np.int64))
        found, quality = embedded(4), np.array([4.0, 3, 2, 1])
        genuine, worse, impostors = pairs_of(data, found, quality)
        np.testing.assert_allclose(genuine, [found.vectors[0] @ found.vectors[1], found.vectors[2] @ found.vectors[3]])
        assert worse.tolist() == [3, 1]
        assert (impostors.count(-math.inf), impostors.count(2.5)) == (1, 0)

    def test_what_has_no_pairs_is_named(self) -> None:
        with pytest.raises(InvalidData, match="no identity"):
            pairs_of(pictures(4), embedded(4), np.ones(4))
        with pytest.raises(InvalidData, match="no genuine pair"):
            pairs_of(pictures(4, people=4), embedded(4), np.ones(4))

    def test_scores_are_made_once_for_each_quality(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = embedded(12)
        everyone = AllImpostors(found.vectors, found.failed, [str(i) for i in range(12)], np.arange(12.0))
        everyone.threshold(0.1, 3.0)
        monkeypatch.setattr("pocketface.evaluate.quality.score_all_pairs", None)
        everyone.threshold(0.2, 3.0)


def synthetic(seed: int, informed: float) -> tuple[np.ndarray, np.ndarray, ListedImpostors]:
    """Genuine scores that fall with hidden difficulty, and a quality that knows of it to some extent."""
    rng = np.random.default_rng(seed)
    ease = rng.uniform(size=2000)
    quality = informed * ease + (1 - informed) * rng.uniform(size=2000)
    return (
        0.2 + 0.6 * ease + rng.normal(0, 0.05, 2000),
        quality,
        ListedImpostors(rng.normal(0, 0.15, 40000), np.ones(40000)),
    )


def test_a_better_measure_has_the_smaller_area_between_oracle_and_chance() -> None:
    areas = []
    for informed in (0.0, 0.5, 1.0):
        first, *_ = discard_all("m", *synthetic(0, informed))
        (area, wider) = first.areas
        assert (area.most, wider.most) == (0.2, 0.3)
        assert area.oracle <= area.normalised
        assert area.random == pytest.approx(1, abs=0.05)
        areas.append(area.normalised)
    assert areas[0] == pytest.approx(1, abs=0.1)
    assert areas[0] > areas[1] > areas[2] > 0


def test_what_the_impostors_cannot_support_is_said_and_not_shown() -> None:
    results = discard_all("m", *synthetic(0, 1.0), re_estimated=True)
    assert [(r.curve.fmr, r.curve.threshold) for r in results] == [
        (1e-2, "fixed"),
        (1e-2, "re-estimated"),
        (1e-3, "fixed"),
        (1e-3, "re-estimated"),
        (1e-4, "fixed"),
        (1e-4, "re-estimated"),
    ]
    few = ListedImpostors(np.zeros(1000), np.ones(1000))
    results = discard_all("m", *synthetic(0, 1.0)[:2], few, re_estimated=True)
    assert [(r.curve.fmr, bool(r.areas), bool(r.note)) for r in results if r.curve.threshold == "fixed"] == [
        (1e-2, True, True),
        (1e-3, False, True),
        (1e-4, False, True),
    ]
    assert np.isnan(results[-1].curve.fnmr).all()
    (section,) = quality_sections(results, [])
    assert any("cannot be measured" in note for note in section.notes)


def test_facts_are_the_curve() -> None:
    genuine, quality, impostors = synthetic(0, 1.0)
    facts = json.loads(json.dumps(discarding_facts(discard_all("m", genuine, quality, impostors)[0])))
    np.testing.assert_allclose(facts["fnmr"], discard_curve(genuine, quality, impostors, 1e-2).fnmr)
    assert (facts["measure"], facts["genuine"], facts["impostors"]) == ("m", 2000, 40000)


def test_agreement_is_over_the_pictures_that_both_know() -> None:
    rng = np.random.default_rng(0)
    a = {str(i): value for i, value in enumerate(rng.normal(size=50))}
    b = {name: value + rng.normal() for name, value in list(a.items())[10:]} | {"more": 1.0, "11": -math.inf}
    (one,) = agreements({"a": a, "b": b})
    both = [name for name in a if name in b and name != "11"]
    assert one.pictures == len(both) == 39
    assert one.correlation == pytest.approx(spearmanr([a[n] for n in both], [b[n] for n in both]).statistic)
    assert one.low < one.correlation < one.high
    assert agreements({"a": a}) == []
    with pytest.raises(InvalidData, match="a and c have 0"):
        agreements({"a": a, "c": {"x": 1.0}})


def recognizer(folder: Path) -> Path:
    """An ONNX recogniser of 32 x 32: the embedding is the picture averaged over blocks of 8 x 8, less 127."""
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Sub", ["flat", "offset"], ["embedding"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 32, 32])
    result = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, None)
    offset = numpy_helper.from_array(np.float32(127), "offset")
    graph = helper.make_graph(nodes, "tiny", [image], [result], [offset])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / "recognizer.onnx").write_bytes(model.SerializeToString())
    scaled = tuple((x * 32 / 112, y * 32 / 112) for x, y in ARCFACE_TEMPLATE)
    contract = ModelContract(
        model="tiny",
        task=Recognition(embedding_size=48, normalized=False, template=scaled),
        input=InputSpec(name="image", layout="NCHW", height=32, width=32, dynamic_batch=True),
        outputs={"embedding": "embedding"},
        fingerprint="ab" * 32,
        weights="by hand",
        trained=False,
    )
    write_sidecar(folder / "recognizer.onnx", contract)
    return folder / "recognizer.onnx"


class TestCommand:
    def run(self, *arguments: object, status: int = 0) -> str:
        done = CliRunner().invoke(cli, ["evaluate", "quality", *map(str, arguments)])
        assert done.exit_code == status, done.output
        return done.stdout if status == 0 else done.output

    @pytest.fixture
    def scored(self, write: Write) -> list[Path]:
        rng, files = np.random.default_rng(0), []
        ease = rng.uniform(size=120)
        for name, noise in (("float.csv", 0.05), ("int8.csv", 0.4)):
            quality = ease + rng.normal(0, noise, 120)
            lines = ["a,b,same,score,quality_a,quality_b"]
            for i, j in combinations(range(120), 2):
                same = i // 2 == j // 2
                score = min(ease[i], ease[j]) if same else rng.normal(0, 0.1)
                lines.append(f"{i},{j},{int(same)},{score},{quality[i]},{quality[j]}")
            files.append(write("\n".join(lines) + "\n", name))
        return files

    def test_files_of_two_backends(self, scored: list[Path]) -> None:
        found = json.loads(self.run(*scored, "--re-estimate", "--json"))["results"]
        assert {curve["measure"] for curve in found["curves"]} == set(map(str, scored))
        by_name = {c["measure"]: c["areas"][0]["normalised"] for c in found["curves"] if c["fmr"] == 1e-2}
        assert by_name[str(scored[0])] < by_name[str(scored[1])]
        (alike,) = found["agreement"]
        assert alike["pictures"] == 120
        assert 0.3 < alike["correlation"] < 0.95
        shown = self.run(*scored)
        assert "Spearman" in shown
        assert "cannot be measured" in shown

    def test_a_data_set_with_the_norm_and_a_list(
        self, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("POCKETFACE_CACHE", str(tmp_path / "cache"))
        model, rng = recognizer(tmp_path), np.random.default_rng(0)
        lines = ["name,quality"]
        for i in range(60):
            path = tmp_path / "people" / f"p{i % 20:02}" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(path)
            lines.append(f"p{i % 20:02}/{i}.png,{i}")
        listed = write("\n".join(lines[:-1]) + "\n", "listed.csv")
        options = ["--model", model, "--quality", "norm", "--quality", listed, "--aligned"]
        found = json.loads(self.run(tmp_path / "people", *options, "--json"))["results"]
        assert {c["measure"] for c in found["curves"]} == {"recognizer.onnx, norm", "recognizer.onnx, listed.csv"}
        assert {(c["genuine"], c["impostors"]) for c in found["curves"]} == {(60, 1710)}
        assert found["agreement"][0]["pictures"] == 59
        assert "1 of 60 pictures have no quality" in found["notes"][0]
        assert "norm" in self.run(tmp_path / "people", *options, "--no-cache", "--out", tmp_path / "report")
        report = json.loads((tmp_path / "report" / "report.json").read_text())
        assert len(report["sections"][2]["pictures"]) == 1
        assert "names no output" in self.run(tmp_path / "people", *options, "--quality", "output", status=1)

    def test_wrong_calls_and_data(self, scored: list[Path], write: Write, tmp_path: Path) -> None:
        assert "--model" in self.run(tmp_path, status=1)
        assert "column score" in self.run(write("a,b,same\n"), status=1)
        self.run(*scored, "--model", "r.onnx", status=2)
        self.run(scored[0], "--model", "r.onnx", status=2)
