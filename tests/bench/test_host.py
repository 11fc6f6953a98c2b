"""Files against each other: with processes that make their times up, and once with real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pocketface.artifact import load_artifact
from pocketface.bench.entries import Model, entries_of, model_of
from pocketface.bench.host import measure_host
from pocketface.bench.pages import perf_report
from pocketface.bench.perf import parse_perf
from pocketface.bench.subjects import ROOF_SIDE
from pocketface.bench.turns import Settings
from pocketface.contract import Quantization

Write = Callable[..., Path]


@pytest.fixture
def settings(fake: list[str]) -> Settings:
    return Settings(processes=2, rounds=3, runs=4, warmup=1, timeout_s=60, command=fake)


def _models(*paths: Path) -> list[Model]:
    return [model_of(load_artifact(path)) for path in paths]


def test_every_file_takes_part_in_every_round(settings: Settings, make_recognizer: Write, tmp_path: Path) -> None:
    models = _models(make_recognizer(tmp_path / "quick.onnx"), make_recognizer(tmp_path / "slow.onnx"))
    steps: list[tuple[int, int]] = []
    outcome = measure_host(models, settings=settings, progress=lambda what, done, total: steps.append((done, total)))
    assert outcome.failures == ()
    quick, *_, slow = (one for one in outcome.perf.measurements if one.stage == "network")
    assert (quick.times_ms, slow.times_ms) == ((1.0,) * 24, (2.0,) * 24)
    assert (quick.rounds, quick.load_ms, quick.peak_memory_bytes, quick.macs) == (6, 5.0, 1000, 1000)
    assert quick.roof_macs_per_s == ROOF_SIDE**3 / 1e-3
    assert {one.stage for one in outcome.perf.measurements} == {"network", "preprocess", "postprocess"}
    assert outcome.perf.device.facts["share of their time, matrix product, 1 thread"] == "50%"
    assert [done for done, _ in steps[:-1]] == list(range(24))  # 3 entries, 2 processes, opening and 3 rounds
    assert steps[0][1] == 24
    ranking = next(s for s in perf_report([outcome.perf], title="t", plots=False).sections if "faster" in s.title)
    assert [(row["model"], row["place"]) for row in ranking.rows] == [("quick.onnx", 1), ("slow.onnx", 2)]


@pytest.mark.parametrize("bad", ["crash", "mute", "refused"])
def test_what_fails_is_named_and_the_others_go_on(
    settings: Settings, make_recognizer: Write, tmp_path: Path, bad: str
) -> None:
    models = _models(make_recognizer(tmp_path / f"{bad}.onnx"), make_recognizer(tmp_path / "quick.onnx"))
    outcome = measure_host(models, settings=settings)
    assert len(outcome.failures) == 1
    assert outcome.failures[0].startswith(f"{bad}.onnx@onnxruntime, 1 thread: ")
    assert {one.model for one in outcome.perf.measurements} == {"quick.onnx"}
    assert len(outcome.perf.measurements[0].times_ms) == 24


def test_a_wrong_answer_is_found(settings: Settings, make_recognizer: Write, tmp_path: Path) -> None:
    names = {"right.onnx": "float32", "wrong.onnx": "int8", "alike.onnx": "int8"}
    models = _models(*(make_recognizer(tmp_path / name, precision=p) for name, p in names.items()))
    perf = measure_host(models, settings=settings).perf
    parities = {one.model: one.parity for one in perf.measurements if one.stage == "network"}
    assert parities["right.onnx"] is None
    assert parities["wrong.onnx"] is not None
    assert not parities["wrong.onnx"].passed
    assert parities["alike.onnx"] is not None
    assert parities["alike.onnx"].passed
    assert perf_report([perf], title="t", plots=False).state == "fail"


def test_a_pipeline_needs_one_engine_and_one_precision(detector: Path, make_recognizer: Write, tmp_path: Path) -> None:
    same, other = make_recognizer(tmp_path / "a.onnx"), make_recognizer(tmp_path / "b.onnx", precision="int8")
    names = [entry.name for entry in entries_of(_models(detector, same, other), [1])]
    assert names == ["", "finder.onnx", "a.onnx", "b.onnx", "finder.onnx + a.onnx"]
    finder, model = _models(detector, same)
    apart = [entry.name for entry in entries_of([finder, model_of(model.artifact, "another")], [1])]
    assert apart == ["", "finder.onnx", "a.onnx"]
    quantization = Quantization(recipe="static_wi8_ai8", parent="ab" * 32)
    quantized = make_recognizer(tmp_path / "q.onnx", precision="int8", quantization=quantization)
    assert [entry.precision for entry in entries_of(_models(same, quantized), [1])[1:]] == ["float32", "static_wi8_ai8"]


def test_files_of_one_name_are_told_apart_by_their_folders(make_recognizer: Write, tmp_path: Path) -> None:
    paths = [tmp_path / folder / "m.onnx" for folder in ("old", "new")]
    for path in paths:
        path.parent.mkdir()
        make_recognizer(path)
    other = make_recognizer(tmp_path / "other.onnx")
    assert [entry.name for entry in entries_of(_models(*paths, other), [1])] == [
        "",
        "old/m.onnx",
        "new/m.onnx",
        "other.onnx",
    ]


def test_more_threads_than_cores_are_refused(recognizer: Path) -> None:
    with pytest.raises(ValueError, match="threads need as many cores"):
        entries_of(_models(recognizer), [4096])
    with pytest.raises(ValueError, match="this process may use the cores"):
        entries_of(_models(recognizer), [1], [100_000])


def test_real_processes_measure_a_detector_a_recogniser_and_their_pipeline(detector: Path, recognizer: Path) -> None:
    settings = Settings(processes=1, rounds=2, runs=2, warmup=1)
    outcome = measure_host(_models(detector, recognizer), settings=settings, command="typed")
    assert outcome.failures == ()
    found = {(one.model, one.stage): one for one in outcome.perf.measurements}
    stages = ("network", "preprocess", "postprocess")
    assert list(found) == [
        *((name, stage) for name in ("finder.onnx", "tiny.onnx") for stage in stages),
        ("finder.onnx + tiny.onnx", "pipeline"),
        ("finder.onnx + tiny.onnx", "read"),
    ]
    for one in found.values():
        assert len(one.times_ms) == 4
        assert min(one.times_ms) > 0
        assert (one.engine, one.threads, one.rounds) == ("onnxruntime", 1, 2)
    whole, read = found["finder.onnx + tiny.onnx", "pipeline"], found["finder.onnx + tiny.onnx", "read"]
    assert all(a > b for a, b in zip(whole.times_ms, read.times_ms, strict=True))
    assert (whole.load_ms or 0) > 0
    assert (whole.peak_memory_bytes or 0) > 1 << 20
    assert parse_perf(msgspec.json.encode(outcome.perf)) == outcome.perf
    pipeline = next(s for s in perf_report([outcome.perf], title="t", plots=False).sections if "Pipeline" in s.title)
    assert float(pipeline.rows[0]["parts_ms"] or 0) > 0


def test_a_missing_engine_is_named(recognizer: Path) -> None:
    settings = Settings(processes=1, rounds=1, runs=1)
    outcome = measure_host([model_of(load_artifact(recognizer), "nonsense")], settings=settings)
    assert len(outcome.failures) == 1
    assert "no backend 'nonsense' for onnx files" in outcome.failures[0]
    assert outcome.perf.measurements == ()
