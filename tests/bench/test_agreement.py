"""Answers are compared, and a wrong one is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from pocketface.artifact import load_artifact
from pocketface.bench.agreement import parity_with
from pocketface.bench.messages import Answers

FACE, NEAR, FAR = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 9.0), (50.0, 50.0, 60.0, 60.0)


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


def test_a_face_that_only_one_finds_counts_nothing(detector: Path) -> None:
    artifact = load_artifact(detector)
    parity = parity_with(Answers(boxes=[[FACE], [FACE]]), Answers(boxes=[[NEAR], [FAR]]), artifact)
    assert parity is not None
    assert parity.value == pytest.approx((0.9 + 0.9 + 0 + 0) / 4)
    assert not parity.passed
    same = parity_with(Answers(boxes=[[FACE], []]), Answers(boxes=[[FACE], []]), artifact)
    assert same is not None
    assert same.passed
    assert parity_with(Answers(boxes=[[]]), Answers(boxes=[[]]), artifact) is None
