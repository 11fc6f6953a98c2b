"""What a page posts, and nothing else: every field has a type and a limit, and unknown ones are refused."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec

from ...errors import InvalidData
from .engines import Setting

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Line = Annotated[str, msgspec.Meta(max_length=400)]
Milliseconds = Annotated[float, msgspec.Meta(ge=0.0, le=3.6e6)]

#: Runs that one setting may have.
MOST_RUNS = 2000


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the browser says of the device.

    Attributes:
        name: what its user calls it.
        agent: the browser's user agent.
        cores: logical ones; browsers may say fewer.
        secure: whether the page came over https or from the device itself.
        isolated: whether threads may share memory.
        clock_step_ms: smallest step of the browser's clock.
        gpu: the adapter of WebGPU, empty if none is offered.
    """

    name: Name
    agent: Line
    cores: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 0
    secure: bool
    isolated: bool
    clock_step_ms: Milliseconds
    gpu: Line = ""


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tensor's numbers for all pictures, in little-endian bytes, which JSON holds in base64."""

    dtype: Literal["float32", "float16"]
    data: bytes


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model at one setting.

    Attributes:
        model: place of the model in the list.
        setting: one of ``engines.SETTINGS``.
        threads: that the engine was given.
        load_ms: from the engine's start to a first answer.
        times_ms: of single runs.
        outputs: name of the output tensor -> its numbers.
        hidden: whether the page was out of sight meanwhile, where browsers slow it down.
        error: why it could not be run; empty if it was.
    """

    model: Annotated[int, msgspec.Meta(ge=0)]
    setting: Setting
    threads: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    load_ms: Milliseconds = 0.0
    times_ms: Annotated[tuple[Milliseconds, ...], msgspec.Meta(max_length=MOST_RUNS)] = ()
    outputs: dict[str, Output] = {}
    hidden: bool = False
    error: Line = ""

    def __post_init__(self) -> None:
        if bool(self.times_ms) == bool(self.error):
            raise ValueError("expected either times or an error")
        if not all(map(math.isfinite, self.times_ms)):
            raise ValueError("expected finite times")


class Posted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that one page posts, once."""

    ticket: Annotated[str, msgspec.Meta(max_length=200)]
    device: Told
    runs: Annotated[tuple[Run, ...], msgspec.Meta(min_length=1, max_length=300)]

    def __post_init__(self) -> None:
        if len({(run.model, run.setting) for run in self.runs}) != len(self.runs):
            raise ValueError("expected each model once at a setting")


def parse_posted(body: bytes) -> Posted:
    """Read what a page posted, which may be a stranger's.

    Raises:
        InvalidData: it is something else.
    """
    try:
        return msgspec.json.decode(body, type=Posted)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as e:
        raise InvalidData(f"not a report of this page: {e}") from e


def one_line(text: str) -> str:
    """A stranger's words without what could steer a terminal or turn a line around."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
