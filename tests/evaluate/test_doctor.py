"""Every fault is planted through the runtime, with noise, and the doctor names it."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from pocketface.contract import Detection, InputSpec, ModelContract, Recognition
from pocketface.errors import InvalidData
from pocketface.evaluate.doctor import (
    FAULTS,
    Rehearsal,
    diagnose,
    expected_answers,
    golden_portraits,
    read_observed,
    write_golden,
)
from pocketface.evaluate.doctor.changes import input_changes
from pocketface.evaluate.doctor.observed import Observed
from pocketface.evaluate.doctor.readings import READINGS, RIGHT
from pocketface.evaluate.doctor.sightings import Inspection, agreement
from pocketface.evaluate.doctor.verdict import Hypothesis, choose, related

COUNT = 9
NOISE = 1e-3


def names(portraits):
    return tuple(p.name.removesuffix(".jpg") for p in portraits)


class App:
    """An app that runs the real model with faults, and writes down what it gets."""

    def __init__(self, artifact):
        self.artifact, self.portraits = artifact, golden_portraits(artifact.contract)[:COUNT]
        self.rehearsal = Rehearsal(artifact, self.portraits)
        self.random = np.random.default_rng(0)
        self.every = range(COUNT)
        self.changes = {(c.fault, c.detail): c for c in input_changes(artifact.contract)}

    def noisy(self, values):
        return values + self.random.normal(0, NOISE, values.shape)

    def embeddings(self, *faults):
        return self.noisy(self.rehearsal.embeddings(tuple(self.changes[f] for f in faults), self.every))

    def tensors(self, *faults):
        answers = self.rehearsal.answers(tuple(self.changes[f] for f in faults), self.every)
        return [{k: self.noisy(v.reshape(-1).astype(float)) for k, v in a.items()} for a, _ in answers]

    def faces(self, *faults, reading=RIGHT, threshold=None):
        changes = tuple(self.changes[f] for f in faults)
        inspection = Inspection(self.rehearsal, [np.full((1, 15), np.nan)] * COUNT, self.every)
        return [self.noisy(f) for f in inspection.expected((changes, reading, threshold), self.every)]

    def diagnose(self, values, kind):
        observed = Observed(kind, names(self.portraits), tuple(values), ())
        return diagnose(self.artifact, observed, rehearsal=self.rehearsal)


@pytest.fixture(scope="module")
def recognizer(exports):
    return App(exports["facelivtv2_xs", "onnx", "float32"].artifact)


@pytest.fixture(scope="module")
def detector(exports):
    return App(exports["mos_xs", "onnx", "float32"].artifact)


def planted(task):
    """Every change that our exports of this task can suffer."""
    contract = ModelContract(
        model="m",
        task=task,
        input=InputSpec(name="image", layout="NCHW", height=112, width=112),
        outputs={name: name for name in ("embedding", "scores", "boxes", "landmarks")},
        fingerprint="0" * 64,
        weights="seeded:0",
        trained=False,
    )
    return [(c.fault, c.detail) for c in input_changes(contract)]


BEFORE_RECOGNIZER = planted(Recognition(embedding_size=512))
BEFORE_DETECTOR = planted(Detection())


@pytest.mark.parametrize("fault", BEFORE_RECOGNIZER, ids="-".join)
def test_a_fault_before_a_recogniser_is_named(recognizer, fault):
    diagnosis = recognizer.diagnose(recognizer.embeddings(fault), "embeddings")
    assert (diagnosis.name, diagnosis.detail) == fault
    assert diagnosis.explained > 0.99
    assert diagnosis.share == 1
    assert diagnosis.margin > 1
    assert diagnosis.faults[0].cure


def test_every_fault_of_the_brief_is_planted_somewhere():
    tested = {f for f, _ in BEFORE_RECOGNIZER + BEFORE_DETECTOR} | {r.fault for r in READINGS}
    tested |= {"not dequantized", "not L2-normalised", "float16 overflow", "wrong order", "stuck picture"}
    tested |= {"wrong threshold", "normalisation missing", "wrong normalisation", "not decoded"}
    assert tested == FAULTS.keys()


def test_a_healthy_app_is_healthy(recognizer, detector):
    for app, values, kind in (
        (recognizer, recognizer.embeddings(), "embeddings"),
        (detector, detector.faces(), "faces"),
        (detector, detector.tensors(), "tensors"),
    ):
        diagnosis = app.diagnose(values, kind)
        assert diagnosis.healthy, diagnosis.name
        assert diagnosis.explained > 0.99


@pytest.mark.parametrize(
    "faults",
    [
        (("mirrored", "left for right"), ("channels swapped", "red for blue")),
        (("not aligned", "a square around the box, margin 20%"), ("channels swapped", "red for blue")),
        (("turned", "by 180°"), ("channels swapped", "red for blue")),
    ],
    ids=lambda pair: "+".join(f for f, _ in pair),
)
def test_two_faults_at_once_are_both_named(recognizer, faults):
    diagnosis = recognizer.diagnose(recognizer.embeddings(*faults), "embeddings")
    assert {f.name for f in diagnosis.faults} == {fault for fault, _ in faults}


def test_integers_are_not_dequantized_with_any_zero_point_and_fault_before(recognizer):
    for fault in (), (("channels swapped", "red for blue"),):
        integers = np.clip(np.rint(recognizer.embeddings(*fault) / 0.01) + 7, -128, 127)
        diagnosis = recognizer.diagnose(integers, "embeddings")
        assert [f.name for f in diagnosis.faults] == ["not dequantized", *(name for name, _ in fault)]


def test_lengths_other_than_one(recognizer):
    lengths = recognizer.random.uniform(5, 20, (COUNT, 1))
    diagnosis = recognizer.diagnose(recognizer.embeddings() * lengths, "embeddings")
    assert diagnosis.name == "not L2-normalised"
    assert "lengths are" in diagnosis.notes[0]


def test_overflow_is_named_and_the_rest_still_examined(recognizer):
    values = recognizer.embeddings(("channels swapped", "red for blue"))
    values[0], values[1, 5], values[2] = np.nan, np.inf, 0
    diagnosis = recognizer.diagnose(values, "embeddings")
    assert diagnosis.name == "float16 overflow + channels swapped"
    assert "NaN or infinity in 2, only zeros in 1 of 9" in diagnosis.notes[0]
    assert recognizer.diagnose(np.full_like(values, np.nan), "embeddings").name == "float16 overflow"


def test_answers_of_other_pictures(recognizer):
    values = recognizer.embeddings()
    late = recognizer.diagnose(np.roll(values, 1, axis=0), "embeddings")
    assert late.name == "wrong order"
    assert "late by 1 of 9" in late.notes[-1]
    shuffled = recognizer.diagnose(values[np.random.default_rng(1).permutation(COUNT)], "embeddings")
    assert "shuffled" in " ".join(shuffled.notes)
    both = recognizer.diagnose(
        np.roll(recognizer.embeddings(("channels swapped", "red for blue")), 2, axis=0), "embeddings"
    )
    assert both.name == "wrong order + channels swapped"
    assert recognizer.diagnose(recognizer.noisy(values[[3] * COUNT]), "embeddings").name == "stuck picture"


def test_a_few_bad_pictures_do_not_hide_the_fault(recognizer):
    values = recognizer.embeddings(("mirrored", "left for right"))
    values[:3] = recognizer.random.normal(0, 0.05, (3, values.shape[1]))
    diagnosis = recognizer.diagnose(values, "embeddings")
    assert diagnosis.name == "mirrored"
    assert diagnosis.share == pytest.approx(2 / 3)
    assert any("3 of 9 pictures are not explained" in note for note in diagnosis.notes)


def test_garbage_is_unknown(recognizer, detector):
    random = np.random.default_rng(5)
    unit = random.normal(size=(COUNT, 512))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    assert recognizer.diagnose(unit, "embeddings").name == "unknown"
    faces = [np.column_stack([random.uniform(0, 400, (2, 4)), random.random((2, 11))]) for _ in range(COUNT)]
    assert detector.diagnose(faces, "faces").name == "unknown"


def test_a_model_with_other_weights_is_stale(recognizer):
    """Another network of this kind: near pictures stay near, but nothing is where it was."""
    random = np.random.default_rng(2)
    turn = np.linalg.qr(random.normal(size=(512, 512)))[0]
    right = recognizer.embeddings()
    other = right @ turn + random.normal(0, 0.01, right.shape)
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    diagnosis = recognizer.diagnose(other, "embeddings")
    assert diagnosis.name == "stale model"
    assert diagnosis.explained < 0.5


@pytest.mark.parametrize("fault", BEFORE_DETECTOR, ids="-".join)
def test_a_fault_before_a_detector_is_named_from_its_tensors(detector, fault):
    diagnosis = detector.diagnose(detector.tensors(fault), "tensors")
    assert diagnosis.name == fault[0]
    assert diagnosis.explained > 0.99


@pytest.mark.parametrize("fault", BEFORE_DETECTOR, ids="-".join)
def test_a_fault_before_a_detector_is_named_from_its_faces(detector, fault):
    faces = detector.faces(fault)
    diagnosis = detector.diagnose(faces, "faces")
    if any(len(f) for f in faces):
        assert (diagnosis.name, diagnosis.detail) == fault
    else:  # faults that leave no face at all leave nothing to tell them apart by
        assert fault[0] in f"{diagnosis.name} {diagnosis.notes}"
        assert any("no faces tell little" in note for note in diagnosis.notes)


@pytest.mark.parametrize("reading", READINGS, ids=lambda r: f"{r.fault}-{r.detail}")
def test_a_fault_after_a_detector_is_named(detector, reading):
    diagnosis = detector.diagnose(detector.faces(reading=reading), "faces")
    assert (diagnosis.name, diagnosis.detail) == (reading.fault, reading.detail)


def test_a_fault_before_and_one_after_a_detector(detector):
    faces = detector.faces(("channels swapped", "red for blue"), reading=READINGS[0])
    assert detector.diagnose(faces, "faces").name == "channels swapped + letterbox not undone"


@pytest.mark.parametrize("share", [0.3, 3])
def test_another_threshold_is_named_with_its_value(detector, share):
    """The threshold that leaves so many times as many faces as the contract's."""
    scores = np.sort(np.concatenate([c.scores for c, _ in detector.rehearsal.candidates((), detector.every)]))[::-1]
    count = np.count_nonzero(scores >= detector.artifact.contract.task.score_threshold)
    threshold = float(scores[round(count * share)])
    diagnosis = detector.diagnose(detector.faces(threshold=threshold), "faces")
    assert diagnosis.name == "wrong threshold"
    assert float(diagnosis.detail) == pytest.approx(threshold, abs=0.05)


def test_a_detector_s_integers_overflow_and_order(detector):
    right = detector.tensors()
    steps = {k: max(np.abs(t[k]).max() for t in right) / 127 for k in right[0]}
    integers = [{k: np.rint(v / steps[k]) for k, v in t.items()} for t in right]
    assert detector.diagnose(integers, "tensors").name == "not dequantized"
    assert detector.diagnose(right[1:] + right[:1], "tensors").name == "wrong order"
    broken = [{k: v * (np.nan if i < 2 else 1) for k, v in t.items()} for i, t in enumerate(right)]
    assert detector.diagnose(broken, "tensors").name == "float16 overflow"
    scores = [np.where(np.arange(15) == 4, np.rint(255 * f), f) for f in detector.faces()]
    assert detector.diagnose(scores, "faces").name == "not dequantized"


def test_boxes_alone_are_enough(detector):
    boxes = [np.where(np.arange(15) < 4, f, np.nan) for f in detector.faces(reading=READINGS[0])]
    assert detector.diagnose(boxes, "faces").name == "letterbox not undone"


def test_a_contract_with_mean_and_std_knows_missing_and_doubled():
    spec = InputSpec(
        name="x", layout="NCHW", height=8, width=8, color="BGR", mean=(127.5, 127.5, 127.5), std=(128.0, 128.0, 128.0)
    )
    task = Recognition(embedding_size=4)
    contract = ModelContract(
        model="m", task=task, input=spec, outputs={"embedding": "e"}, fingerprint="0" * 64, weights="w", trained=True
    )
    found = {c.detail: (c.fault, c.spec(spec)) for c in input_changes(contract) if c.spec}
    assert found["values 0..255"][0] == "normalisation missing"
    assert found["values 0..1"][0] == "wrong normalisation"
    assert "values -1..1" not in found  # what the contract asks for
    fault, twice = found["mean and std twice"]
    assert fault == "normalisation doubled"
    once = (200 - 127.5) / 128
    assert (200 - twice.mean[0]) / twice.std[0] == pytest.approx((once - 127.5) / 128)


def test_agreement_is_panoptic_quality():
    face = np.arange(15.0)[None]
    assert agreement(face, face) == 1
    assert agreement(np.zeros((0, 15)), np.zeros((0, 15))) == 1
    assert agreement(face, np.zeros((0, 15))) == 0
    assert agreement(face, np.concatenate([face, face + 100])) == pytest.approx(2 / 3)  # one match, one too many


def test_the_simpler_of_two_good_hypotheses_stands():
    def of(left, *faults):
        return Hypothesis(faults, "", np.full(4, left))

    assert choose([of(1e-4), of(1e-6, "mirrored")]).faults == ()
    assert choose([of(0.05), of(0.04, "mirrored")]).faults == ()
    assert choose([of(0.5), of(0.04, "mirrored"), of(0.03, "mirrored", "turned")]).faults == ("mirrored",)
    assert choose([of(0.5), of(0.4, "mirrored"), of(0.03, "mirrored", "turned")]).faults == ("mirrored", "turned")


def test_relations_are_found_where_they_are_and_only_there():
    random = np.random.default_rng(0)
    a = random.normal(size=(12, 40))
    turn = np.linalg.qr(random.normal(size=(40, 40)))[0]
    assert related(a, 3 * a @ turn)[1]
    assert related(a, a)[0] == pytest.approx(1)
    assert not related(a, random.normal(size=(12, 40)))[1]


# Files


def contract_of(app):
    return app.artifact.contract


def test_what_the_golden_folder_expects_is_healthy(recognizer, detector, tmp_path):
    for app in (recognizer, detector):
        folder = tmp_path / app.artifact.contract.model
        assert write_golden(app.artifact, folder, app.portraits) == COUNT
        observed = read_observed(folder / "expected.json", contract_of(app), [p.name for p in app.portraits])
        assert diagnose(app.artifact, observed, rehearsal=app.rehearsal).healthy
        assert len(list((folder / "inputs").glob("*.png"))) == len(list((folder / "pictures").glob("*.png"))) == COUNT


def test_json_csv_and_npz_say_the_same(recognizer, tmp_path):
    wanted = names(recognizer.portraits)
    vectors = recognizer.embeddings()
    (tmp_path / "a.json").write_text(json.dumps({"embeddings": dict(zip(wanted, vectors.tolist(), strict=True))}))
    lines = [f"{n}.jpg," + ",".join(map(repr, row)) for n, row in zip(wanted, vectors.tolist(), strict=True)]
    (tmp_path / "a.csv").write_text("\n".join(["name,values", *reversed(lines)]))
    np.savez(tmp_path / "a.npz", names=np.array(wanted), embeddings=vectors)
    for name in ("a.json", "a.csv", "a.npz"):
        observed = read_observed(tmp_path / name, contract_of(recognizer), wanted)
        assert observed.names == wanted
        np.testing.assert_array_equal(np.stack(observed.values), vectors)


def test_faces_as_json_and_csv_and_tensors_as_npz(detector, tmp_path):
    wanted = names(detector.portraits)
    expected = expected_answers(detector.artifact, detector.portraits)
    (tmp_path / "a.json").write_text(json.dumps(expected))
    rows = []
    for name, faces in expected["faces"].items():
        rows += [",".join(map(str, [name, *f["box"], f["score"], *np.ravel(f["landmarks"])])) for f in faces] or [name]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    a, b = (read_observed(tmp_path / f, contract_of(detector), wanted) for f in ("a.json", "a.csv"))
    for one, other in zip(a.values, b.values, strict=True):
        np.testing.assert_allclose(one, other)
    answers = [answer for answer, _ in detector.rehearsal.answers((), detector.every)]
    np.savez(tmp_path / "a.npz", names=np.array(wanted), **{k: np.stack([x[k] for x in answers]) for k in answers[0]})
    observed = read_observed(tmp_path / "a.npz", contract_of(detector), wanted)
    assert diagnose(detector.artifact, observed, rehearsal=detector.rehearsal).healthy


def test_hostile_and_wrong_files_are_one_clear_error(recognizer, detector, tmp_path):
    wanted = names(recognizer.portraits)
    vectors = recognizer.embeddings()

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    np.savez(tmp_path / "pickled.npz", names=np.array(wanted), embeddings=np.array([Evil()] * COUNT, dtype=object))
    np.savez(tmp_path / "count.npz", names=np.array(wanted), embeddings=vectors[:-1])
    np.savez(tmp_path / "dims.npz", names=np.array(wanted), embeddings=vectors[:, :100])
    np.savez(tmp_path / "none.npz", names=np.array(wanted))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "count.npz").read_bytes()[:-200])
    (tmp_path / "raw.pickle.npz").write_bytes(pickle.dumps(vectors))
    (tmp_path / "twice.csv").write_text("person_000,1\nperson_000.jpg,2\n")
    (tmp_path / "stranger.csv").write_text("nobody,1\n")
    (tmp_path / "few.csv").write_text("person_000" + ",0.1" * 512)
    (tmp_path / "text.json").write_text("{")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "words.json").write_text(json.dumps({"embeddings": {key: ["a"] for key in wanted}}))
    (tmp_path / "x.txt").write_text("")
    for file, message in {
        "pickled.npz": "not an NPZ of plain arrays",
        "count.npz": "there are 9 names",
        "dims.npz": "100 numbers, the model gives 512",
        "none.npz": "expected names and embeddings",
        "cut.npz": "not an NPZ of plain arrays",
        "raw.pickle.npz": "not an NPZ of plain arrays",
        "twice.csv": "two answers for",
        "stranger.csv": "no golden picture is called 'nobody'",
        "few.csv": "answers for 1 of 9",
        "text.json": "not JSON",
        "deep.json": "not JSON",
        "list.json": "expected",
        "words.json": "expected numbers",
        "x.txt": "unknown kind of file",
        "absent.json": "no such file",
    }.items():
        with pytest.raises(InvalidData, match=message):
            read_observed(tmp_path / file, contract_of(recognizer), wanted)
    assert not (tmp_path / "owned").exists()
    (tmp_path / "nan.json").write_text(json.dumps({"faces": {key: [{"box": [1, 2, None, 4]}] for key in wanted}}))
    with pytest.raises(InvalidData, match="a box with NaN"):
        read_observed(tmp_path / "nan.json", contract_of(detector), wanted)
    with pytest.raises(InvalidData, match="faces, but the model is for recognition"):
        read_observed(tmp_path / "nan.json", contract_of(recognizer), wanted)
    (tmp_path / "size.json").write_text(json.dumps({"tensors": {key: {"scores": [0.5]} for key in wanted}}))
    observed = read_observed(tmp_path / "size.json", contract_of(detector), wanted)
    with pytest.raises(InvalidData, match="scores has 1 numbers, the model gives 2100"):
        diagnose(detector.artifact, observed, rehearsal=detector.rehearsal)
