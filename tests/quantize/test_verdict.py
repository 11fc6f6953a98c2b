"""Take it or leave it: what can be had is made, measured beside its float file, and judged by the gate."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pocketface.errors import InvalidData, InvalidModel
from pocketface.evaluate.data import PairSet, Sample
from pocketface.evaluate.data.samples import ImageSet
from pocketface.evaluate.detection import open_detection_set
from pocketface.evaluate.faces import bundled_portraits
from pocketface.evaluate.gate import parse_gate
from pocketface.quantize import verdict as module
from pocketface.quantize.decisions import some_people
from pocketface.quantize.detections import Detections
from pocketface.quantize.policy import available
from pocketface.quantize.recipe import parse_recipe
from pocketface.quantize.verdict import WEIGHED, Trial, weigh
from pocketface.quantize.verdict_table import verdict_facts, verdict_section

DETECTOR = "mos_xs"


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """The last twelve portraits with their boxes, as a set that `evaluate detection` reads."""
    folder, listed = tmp_path_factory.mktemp("marked"), []
    for i, portrait in enumerate(bundled_portraits()[36:]):
        Image.fromarray(portrait.image).save(folder / f"{i}.png")
        listed.append({"file": f"{i}.png", "faces": [{"box": portrait.box.astype(float).tolist()}]})
    (folder / "faces.json").write_text(json.dumps(listed))
    return open_detection_set(folder / "faces.json")


class Told:
    """Evidence that says of every file but the first what it is told to."""

    told = "a story"

    def __init__(self, pictures, **figures):
        self._pictures, self.figures = pictures, figures

    def require_apart(self, calibration):
        pass

    def pictures(self, file):
        return self._pictures

    def compare(self, files, progress):
        return [{"ap": 0.9}, *({"ap": 0.9, "missed": 0.0, "box_iou": 1.0, **self.figures} for _ in files[1:])]


@pytest.fixture
def trial(job_for, tmp_path, monkeypatch):
    """Figures -> a trial of the detector in ONNX; every file takes as long as float does."""
    job = job_for(DETECTOR, "onnx", "static_wi8_ai8")
    monkeypatch.setattr(module, "_latencies", lambda files, backend: ("made", [{"latency": 1.0} for _ in files]))

    def make(recipes=(), figures=None, **options):
        evidence = Told(job._pictures, **{"ap_drop": 0.0, "landmarks": 0.001, **(figures or {})})
        return job.parent, Trial([parse_recipe(r) for r in recipes], job.calibration, evidence, tmp_path, **options)

    return make


def test_all_that_a_format_can_have_is_made_and_taken_where_it_meets_the_gate(trial):
    parent, given = trial()
    lines, notes = weigh([parent], given)
    assert [line.how for line in lines] == ["float32", *available("onnx")]
    assert [line.word for line in lines] == ["float", *["take"] * len(available("onnx"))]
    assert notes == []
    for line in lines[1:]:
        assert line.artifact.contract.quantization.parent == parent.sha256
        assert line.figures["size"] == line.artifact.size_bytes / parent.size_bytes < 0.9
        assert line.why.endswith("of the bytes, 1.00 of the time")


@pytest.mark.parametrize(
    ("figures", "latency", "why"),
    [
        ({"ap_drop": 0.011}, 1.0, "ap_drop is 0.011, ap_drop <= 0.01 is wanted"),
        ({"landmarks": float("nan")}, 1.0, "landmarks is nan, landmarks <= 0.01 is wanted"),
        ({}, 1.534, "1.53 times as slow as float on this made"),
    ],
)
def test_what_costs_too_much_or_is_slower_is_left_with_the_reason(trial, monkeypatch, figures, latency, why):
    parent, given = trial(["fp16"], figures)
    told = lambda files, backend: ("made", [{"latency": 1.0}, {"latency": latency}])  # noqa: E731
    monkeypatch.setattr(module, "_latencies", told)
    (_, line), _ = weigh([parent], given)
    assert (line.word, line.why) == ("leave", why)


def test_without_a_time_none_is_asked_for(trial, monkeypatch):
    monkeypatch.setattr(module, "_latencies", lambda files, backend: ("mil", [{} for _ in files]))
    (_, line), _ = weigh(*_listed(trial(["fp16"])))
    assert line.word == "take"
    section = verdict_section([line], "a story", [])
    assert any("Core ML has no time here" in note for note in section.notes)


def _listed(given):
    return [given[0]], given[1]


def test_core_ml_s_palettes_and_weights_in_8_bits_stand_beside_its_halves(job_for, tmp_path):
    """One layer is quantized and the others kept by rule, so that it is quick; the interpreter runs what is made."""
    job = job_for(DETECTOR, "coreml", "w8a8")
    files = [job_for(DETECTOR, "coreml", "palettize_6").parent, job.parent]
    few = [
        parse_recipe(name).keeping(r"^(?!stages\.2\.0)") for name in ("weight_only_wi8_afp32", "palettize_6", "w8a8")
    ]
    evidence = Told(replace(job._pictures, inputs=job._pictures.inputs[:2]), ap_drop=0.0, landmarks=0.001)
    lines, notes = weigh(files, Trial(few, job.calibration, evidence, tmp_path))
    assert [line.how for line in lines] == ["float32", "float16", *(recipe.name for recipe in few)]
    assert {line.engine for line in lines} == {"mil"}
    assert {line.artifact.contract.quantization.parent for line in lines[2:]} == {files[1].sha256}
    assert [line.word for line in lines] == ["float", *["take"] * 4]
    assert notes == []


def test_a_recipe_that_cannot_be_had_is_a_note_and_the_others_go_on(trial):
    lines, notes = weigh(*_listed(trial(["palettize_6", "fp16"])))
    assert [line.how for line in lines] == ["float32", "fp16"]
    (note,) = notes
    assert note.startswith("Not to be had: palettize_6 for mos_xs_320_fp32.onnx: only Core ML")


def test_where_the_gate_is_missed_layers_are_rescued_or_a_note_says_why_not(trial):
    """All but two layers are kept by rule, so that it is quick."""
    few = parse_recipe("static_wi8_ai8").keeping(r"^(?!stem\.0|stages\.2)")
    parent, given = trial(rescuing=True, gate=parse_gate("box_iou>=0.99999", WEIGHED["detection"]))
    object.__setattr__(given, "recipes", [few])
    lines, notes = weigh([parent], given)
    rescued = [line for line in lines if line.how.endswith("rescued")]
    assert len(rescued) + len([note for note in notes if note.startswith("Not rescued")]) == 1
    assert all(len(line.kept) > len(lines[1].kept) for line in rescued)


def test_a_row_has_shares_in_percent_and_facts_have_them_plain(trial):
    lines, _ = weigh(*_listed(trial(["fp16"], {"ap_drop": 0.004, "landmarks": 0.002})))
    row = verdict_section(lines, "a story", []).rows[1]
    assert (row["ap_drop"], row["landmarks"], row["word"]) == (pytest.approx(0.4), pytest.approx(0.2), "take")
    assert verdict_facts(lines[1])["ap_drop"] == 0.004


def test_a_quantized_file_has_no_verdict(quantized, trial):
    _, given = trial()
    with pytest.raises(InvalidModel, match="quantized already"):
        weigh([quantized(DETECTOR, "onnx", "static_wi8_ai8").artifact], given)


def test_faces_are_compared_with_the_first_file_s(quantized, job_for, marked):
    parent = job_for(DETECTOR, "onnx", "static_wi8_ai8").parent
    child = quantized(DETECTOR, "onnx", "static_wi8_ai8").artifact
    first, same, other = Detections(marked).compare([parent, parent, child])
    assert first.keys() == {"ap"}
    assert (same["ap_drop"], same["missed"], same["landmarks"]) == (0, 0, 0)
    assert same["box_iou"] == pytest.approx(1)
    assert other["ap_drop"] == first["ap"] - other["ap"]
    assert 0 < other["landmarks"] < 0.1


def test_marked_faces_that_were_calibrated_on_may_not_judge(marked, pictures_of, job_for):
    contract = job_for(DETECTOR, "onnx", "static_wi8_ai8").parent.contract
    Detections(marked).require_apart(pictures_of(contract, bundled_portraits()[:32]))
    with pytest.raises(InvalidData, match="share 4 pictures"):
        Detections(marked).require_apart(pictures_of(contract, bundled_portraits()[8:40]))


def test_fewer_pictures_are_those_of_whole_people():
    samples = tuple(Sample(f"{i}", lambda: None, True, f"p{i % 7}") for i in range(70))
    data = ImageSet("set", samples, "f" * 64)
    some = some_people(data, 25)
    counts = [sum(sample.identity == one for sample in some.samples) for one in {s.identity for s in some.samples}]
    assert counts == [10, 10, 10]
    assert some.fingerprint != data.fingerprint
    assert some_people(data, 25).samples == some.samples
    assert len(some_people(data, 1000)) == 70
    none = np.zeros(0, np.int64)
    pairs = PairSet(data, none.reshape(0, 2), none.astype(bool), none)
    with pytest.raises(InvalidData, match="a list of pairs is judged as a whole"):
        some_people(pairs, 25)
