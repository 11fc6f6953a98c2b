"""What a page posts is believed only where it cannot be checked."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from pocketface.bench.perf import Perf
from pocketface.bench.serve.desk import Desk, Refused
from pocketface.bench.serve.exam import Exam
from pocketface.bench.serve.judge import settled
from pocketface.bench.serve.table import perf_report

Honest = Callable[[Desk], dict[str, Any]]


def body(report: Any) -> bytes:
    return json.dumps(report).encode()


def with_output(report: dict[str, Any], values: np.ndarray[Any, Any], dtype: str = "float32") -> dict[str, Any]:
    data = base64.b64encode(values.astype(dtype).tobytes()).decode()
    report["runs"][0]["outputs"]["embedding"] = {"dtype": dtype, "data": data}
    return report


def test_right_answers_pass_and_all_that_was_told_is_kept(desk: Desk, exam: Exam, honest: Honest) -> None:
    perf = desk.take(body(honest(desk)))
    (one,) = perf.measurements
    assert one.parity
    assert (one.parity.measure, one.parity.passed, one.parity.pictures) == ("cosine", True, len(exam.portraits))
    assert one.parity.value == pytest.approx(1)
    assert (one.model, one.sha256, one.engine) == ("tiny.onnx", exam.artifact.sha256, "onnxruntime-web wasm")
    assert (one.engine_version, one.precision, one.macs, len(one.times_ms)) == ("9.8.7", "float32", 7, 120)
    assert (perf.device.kind, perf.device.name, perf.device.facts["isolated"]) == ("browser", "a phone", "no")
    assert perf.packages["onnxruntime-web"] == "9.8.7"


def test_the_right_answers_are_the_means_of_the_pictures(exam: Exam) -> None:
    means = exam.feed.astype(np.float64).mean(axis=(2, 3))
    np.testing.assert_allclose(exam.right["embedding"], means, rtol=1e-5)
    assert exam.sent.dtype == np.uint8  # pixels travel as bytes
    np.testing.assert_array_equal(exam.sent, exam.feed)


def test_numbers_that_are_no_pixels_travel_as_they_are(exam: Exam) -> None:
    for feed in (exam.feed / 255, exam.feed - 256, exam.feed + 256):
        other = dataclasses.replace(exam, feed=feed)
        assert other.sent is other.feed


@pytest.mark.parametrize("fault", ["turned", "nan", "zeros", "infinite", "other pictures"])
def test_wrong_answers_are_found(desk: Desk, exam: Exam, fault: str, honest: Honest) -> None:
    right = exam.right["embedding"]
    wrong = {
        "turned": right[:, ::-1],
        "nan": np.full_like(right, np.nan),
        "zeros": np.zeros_like(right),
        "infinite": np.full_like(right, np.inf),
        "other pictures": np.roll(right, 1, axis=0),
    }[fault]
    (one,) = desk.take(body(with_output(honest(desk), wrong))).measurements
    assert one.parity
    assert not one.parity.passed
    assert one.notes


@pytest.mark.parametrize(
    ("precision", "cosine", "passed"),
    [
        ("float32", 0.9999, False),
        ("float16", 0.9995, True),
        ("float16", 0.998, False),
        ("int8", 0.995, True),
        ("int8", 0.98, False),
    ],
)
def test_the_tolerance_is_that_of_the_precision(
    exam: Exam, precision: str, cosine: float, passed: bool, honest: Honest
) -> None:
    """Short vectors, and each turned by an angle towards one that is upright on it."""
    contract = msgspec.structs.replace(exam.artifact.contract, precision=precision)
    unit = exam.right["embedding"] / np.linalg.norm(exam.right["embedding"], axis=1, keepdims=True) * np.float32(0.1)
    across = np.cross(unit, [1.0, 0.0, 0.0])
    across *= np.linalg.norm(unit, axis=1, keepdims=True) / np.linalg.norm(across, axis=1, keepdims=True)
    turned = unit * cosine + across * np.sqrt(1 - cosine**2)
    artifact = dataclasses.replace(exam.artifact, contract=contract)
    desk = Desk([dataclasses.replace(exam, artifact=artifact, right={"embedding": unit})])
    (one,) = desk.take(body(with_output(honest(desk), turned))).measurements
    assert one.parity
    assert one.parity.value == pytest.approx(cosine, abs=1e-6)
    assert one.parity.passed is passed


def test_half_precision_may_be_posted_and_is_judged_as_the_file_is(desk: Desk, exam: Exam, honest: Honest) -> None:
    (one,) = desk.take(body(with_output(honest(desk), exam.right["embedding"], "float16"))).measurements
    assert one.parity
    assert one.parity.value > 0.99999
    assert not one.parity.passed  # numbers up to 255, of which float16 has steps of an eighth


def test_a_run_that_failed_is_told_and_not_judged(desk: Desk, honest: Honest) -> None:
    report = honest(desk)
    report["runs"].append({"model": 0, "setting": "webgpu", "error": "no\x1b[2J\u202eadapter"})
    report["device"]["name"] = "\x1b]0;owned\x07 phone"
    perf = desk.take(body(report))
    assert perf.measurements[1].parity is None
    assert perf.measurements[1].notes == ("could not be run: no [2J adapter",)
    assert perf.device.name == "]0;owned phone"
    states = perf_report(perf).checks
    assert states == ["pass", "open"]


MALFORMED: dict[str, Any] = {
    "nothing": b"",
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "no text": b"\xff\xfe",
    "an unknown key": lambda r: r.update(more=1),
    "no runs": lambda r: r.update(runs=[]),
    "no device": lambda r: r.pop("device"),
    "a long name": lambda r: r["device"].update(name="x" * 81),
    "no name": lambda r: r["device"].update(name=""),
    "a long agent": lambda r: r["device"].update(agent="x" * 401),
    "negative time": lambda r: r["runs"][0].update(times_ms=[-1.0]),
    "endless time": lambda r: r["runs"][0].update(times_ms=[1e300]),
    "no times": lambda r: r["runs"][0].update(times_ms=[]),
    "times and an error": lambda r: r["runs"][0].update(error="x"),
    "too many times": lambda r: r["runs"][0].update(times_ms=[1.0] * 2001),
    "another model": lambda r: r["runs"][0].update(model=1),
    "model below zero": lambda r: r["runs"][0].update(model=-1),
    "another setting": lambda r: r["runs"][0].update(setting="npu"),
    "twice": lambda r: r["runs"].append(r["runs"][0]),
    "no outputs": lambda r: r["runs"][0].update(outputs={}),
    "more outputs": lambda r: r["runs"][0]["outputs"].update(more=r["runs"][0]["outputs"]["embedding"]),
    "a short output": lambda r: r["runs"][0]["outputs"]["embedding"].update(data="AAAA"),
    "no base64": lambda r: r["runs"][0]["outputs"]["embedding"].update(data="!"),
    "objects": lambda r: r["runs"][0]["outputs"]["embedding"].update(dtype="object"),
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_what_is_no_report_changes_nothing(desk: Desk, fault: str, honest: Honest) -> None:
    report, change = honest(desk), MALFORMED[fault]
    posted = copy.deepcopy(report)
    if callable(change):
        change(posted)
    with pytest.raises(Refused) as refused:
        desk.take(body(posted) if callable(change) else change)
    assert refused.value.status == 400
    assert isinstance(desk.take(body(report)), Perf)  # the ticket is as good as before


def test_a_ticket_is_good_once_and_only_ours(desk: Desk, honest: Honest) -> None:
    first, second = honest(desk), honest(desk)
    assert first["ticket"] != second["ticket"]
    for forged in (
        "",
        "x",
        "x.y",
        second["ticket"][:-1],
        first["ticket"].split(".")[0] + "." + second["ticket"].split(".")[1],
    ):
        with pytest.raises(Refused) as refused:
            desk.take(body({**first, "ticket": forged}))
        assert refused.value.status == 403
    desk.take(body(first))
    with pytest.raises(Refused) as replayed:
        desk.take(body(first))
    assert replayed.value.status == 409
    with pytest.raises(Refused) as late:
        desk.take(body(second))
    assert late.value.status == 410


def test_the_largest_honest_report_may_come(exam: Exam, honest: Honest) -> None:
    desk = Desk([exam, exam])
    report = honest(desk)
    run = {**report["runs"][0], "times_ms": [1234.1234567890123] * desk.limits.most}
    report["runs"] = [{**run, "model": m, "setting": s} for m in (0, 1) for s in desk.settings]
    report["device"] |= {"agent": "x" * 400, "gpu": "x" * 400}
    assert len(body(report)) <= desk.largest_report < 2 * len(body(report))


def test_notes_say_what_weakens_the_times(desk: Desk, honest: Honest) -> None:
    report = honest(desk)
    report["runs"][0] |= {"times_ms": [1.0] * 10 + [2.0] * 10, "hidden": True}
    notes = " ".join(desk.take(body(report)).measurements[0].notes)
    assert "had not settled after 20 runs" in notes
    assert "out of sight" in notes
    assert "steps of 0.1 ms" in notes


@pytest.mark.parametrize(
    ("times", "right"), [([], False), ([1.0], False), ([1.0, 1.0], True), ([1.0, 1.04], True), ([1.0, 1.2], False)]
)
def test_times_settle(times: list[float], right: bool) -> None:
    assert settled(times) is right
