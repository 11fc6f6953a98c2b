"""What a golden vector is: a question that was put to this runtime, its answer, and how far another may be off.

An operation is one function, from a struct with the question to a struct with the answer. The schema, the files and
the test all follow from its types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar, get_type_hints

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...errors import PocketfaceError
from .pictures import Pictures

#: JSON has no other way to write what is not finite.
Number = float | Literal["NaN", "Infinity", "-Infinity"]
XY = tuple[Number, Number]
XYXY = tuple[Number, Number, Number, Number]
Vector3 = tuple[Number, Number, Number]
Matrix3 = tuple[Vector3, Vector3, Vector3]

#: What geometry is computed in.
Array = NDArray[np.float64]

Given = TypeVar("Given")
Expected = TypeVar("Expected")


class Struct(msgspec.Struct, forbid_unknown_fields=True):
    """What all questions and answers are."""


class Tensor(Struct):
    """An array: its shape, and its numbers in row-major order."""

    shape: tuple[int, ...]
    data: tuple[Number, ...]


class Case(msgspec.Struct, Generic[Given, Expected], forbid_unknown_fields=True, kw_only=True):
    """One golden vector.

    Attributes:
        name: within its operation.
        why: what it is there to catch.
        given: the question.
        expected: the answer; absent where the question is to be refused.
        error: which error it is to be refused with; absent where there is an answer.
        tolerance: field of the answer -> greatest absolute difference of any number in it, 0 for none at all. A field
            that is not named has that of the field that it is in. Texts, lengths, orders and pixels are to be equal.
    """

    name: str
    why: str
    given: Given
    expected: Expected | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET
    tolerance: dict[str, float]


class Question(NamedTuple):
    """A case without its answer."""

    name: str
    why: str
    given: Any


@dataclass(frozen=True)
class Operation:
    """What another runtime must do as this one does.

    Attributes:
        name: also of its file.
        answer: does it; pictures come from and go to its second argument.
        questions: makes the cases; pictures that they need are drawn into its argument.
        tolerance: see :class:`Case`.
    """

    name: str
    answer: Callable[[Any, Pictures], Any]
    questions: Callable[[Pictures], Iterable[Question]]
    tolerance: Mapping[str, float]

    def cases(self, pictures: Pictures) -> Iterator[Case[Any, Any]]:
        """Every question, answered; pictures are drawn into ``pictures``."""
        for question in self.questions(pictures):
            yield self.case(question, pictures)

    def case(self, question: Question, pictures: Pictures) -> Case[Any, Any]:
        """A question, answered or refused."""
        told = question._asdict()
        try:
            answer = self.answer(question.given, pictures.for_result(f"{self.name}_{question.name}.png"))
        except PocketfaceError as e:
            return Case(**told, error=type(e).__name__, tolerance={})
        return Case(**told, expected=answer, tolerance=dict(self.tolerance))

    @property
    def file_type(self) -> type[msgspec.Struct]:
        """What the operation's file holds, for the schema and for reading it back."""
        hints = get_type_hints(self.answer)
        generic: Any = Case
        case = generic[hints["given"], hints["return"]]
        fields: list[Any] = [("operation", Literal[self.name]), ("cases", tuple[case, ...])]  # type: ignore[valid-type]
        return msgspec.defstruct(f"{self.name}_vectors", fields, frozen=True, forbid_unknown_fields=True)


def array(numbers: Any) -> Array:
    """Nested numbers, those written as text among them, as float64."""
    return np.array(numbers, dtype=object).astype(np.float64)


def numbers(array: Any) -> Any:
    """An array as nested tuples; float32 is written as exactly the float64 that it is."""
    if isinstance(array, np.ndarray):
        array = array.tolist()
    if isinstance(array, list | tuple):
        return tuple(numbers(value) for value in array)
    if isinstance(array, float) and not np.isfinite(array):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(array)]
    return array


def tensor(array: NDArray[Any]) -> Tensor:
    """An array as one."""
    return Tensor(tuple(array.shape), numbers(array.reshape(-1)))


def floats(tensor: Tensor) -> NDArray[np.float32]:
    """A tensor as an array of float32."""
    return array(tensor.data).astype(np.float32).reshape(tensor.shape)
