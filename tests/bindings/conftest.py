"""Golden vectors held against rules that were written a second time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pocketface.evaluate.golden import OPERATIONS, Case, Pictures, faults, read_vectors

VECTORS = Path(__file__).resolve().parents[2] / "bindings" / "golden" / "vectors"


@cache
def cases_of(operation: str) -> tuple[Case[Any, Any], ...]:
    return read_vectors(VECTORS, next(o for o in OPERATIONS if o.name == operation))


@pytest.fixture(scope="session")
def failures() -> Callable[..., list[str]]:
    """``failures(operation, answer, enough=n)``: names of at most n cases in which an answer is not the golden one.

    The answer is a function of the question and the pictures; a question that it refuses raises ValueError with the
    name of the error.
    """
    pictures = Pictures(VECTORS / "pictures")

    def find(operation: str, answer: Callable[..., dict[str, Any]], enough: int = 1000) -> list[str]:
        failed: list[str] = []
        for case in cases_of(operation):
            drawn = Pictures()
            told = {"name": case.name, "why": "", "given": None, "tolerance": {}}
            try:
                expected = answer(msgspec.to_builtins(case.given), pictures)
                if "picture" in expected:
                    expected["picture"] = drawn.put("answer.png", expected["picture"])
                got: Case[Any, Any] = Case(**told, expected=expected)
            except ValueError as e:
                got = Case(**told, error=str(e))
            if faults(case, got, pictures, drawn):
                failed.append(case.name)
            if len(failed) == enough:
                break
        return failed

    return find
