"""Answers are compared, and a wrong one is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from pocketface.artifact import load_artifact
from pocketface.bench.agreement import parity_with
from pocketface.bench.messages import Answers, Seen


def _seen(x1: float, y1: float, x2: float, y2: float) -> Seen:
    return Seen((x1, y1, x2, y2), 0.9, [(x1, y1)] * 5)


FACE, NEAR, FAR = _seen(0, 0, 10, 10), _seen(0, 0, 10, 9), _seen(50, 50, 60, 60)


@pytest.mark.parametrize(
    ("precision", "cosine", "passed"),
    [
        ("float32", 1.0, True),
        ("float32", 0.999, False),
        ("float16", 0.9995, True),
        ("int8", 0.95, True),
        ("int8", 0.5, False),
    ],
)
def test_the_lowest_cosine_counts(recognizer: Path, precision: str, cosine: float, passed: bool) -> None:
    artifact = load_artifact(recognizer)
    quantized = replace(artifact, contract=msgspec.structs.replace(artifact.contract, precision=precision))
    turned = [cosine, (1 - cosine**2) ** 0.5]
    parity = parity_with(Answers(vectors=[[1, 0]] * 2), Answers(vectors=[[1, 0], turned]), quantized)
    assert parity is not None
    assert (parity.measure, parity.value, parity.pictures) == ("cosine", pytest.approx(cosine), 2)
    assert parity.passed is passed


def _answers(*pictures: tuple[Seen, ...]) -> Answers:
    return Answers(kept=[list(faces) for faces in pictures], seen=[list(faces) for faces in pictures])


@pytest.mark.parametrize(
    ("precision", "theirs", "value", "passed"),
    [
        ("float32", FACE, 1.0, True),
        ("float32", NEAR, 0.9, False),
        ("int8", NEAR, 0.9, True),
        ("int8", FAR, 0.0, False),
        ("float32", None, 0.0, False),
    ],
)
def test_the_lowest_overlap_counts_and_each_face_is_seen_by_both(
    detector: Path, precision: str, theirs: Seen | None, value: float, passed: bool
) -> None:
    artifact = load_artifact(detector)
    other = replace(artifact, contract=msgspec.structs.replace(artifact.contract, precision=precision))
    parity = parity_with(_answers((FACE,)), _answers((theirs,) if theirs else ()), other)
    assert parity is not None
    assert (parity.measure, parity.value, parity.passed) == ("iou", pytest.approx(value), passed)


def test_a_face_that_only_one_sees_fails_though_others_match(detector: Path) -> None:
    parity = parity_with(_answers((FACE,), (FACE,)), _answers((FACE,), (FACE, FAR)), load_artifact(detector))
    assert parity is not None
    assert parity.value == 1.0
    assert not parity.passed


def test_a_face_that_is_kept_by_one_and_seen_by_the_other_is_seen_by_both(detector: Path) -> None:
    fainter = Answers(kept=[[]], seen=[[FACE]])
    parity = parity_with(_answers((FACE,)), fainter, load_artifact(detector))
    assert parity is not None
    assert parity.passed


def test_without_a_face_nothing_is_compared(detector: Path) -> None:
    assert parity_with(_answers(()), _answers(()), load_artifact(detector)) is None
