"""``perf.json``: what every benchmark here writes, on this machine, in a browser or on a phone, and what joins them.

One file is one device at one time. Times are kept one by one, not only as percentiles, so that two files can be
compared with an interval and not by eye.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from ..artifact import atomic
from ..errors import InvalidData

#: Of the schema; a reader refuses another one.
VERSION: Literal[1] = 1

_MOST_BYTES = 64 << 20
Milliseconds = Annotated[float, msgspec.Meta(ge=0.0)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Stage = Literal["network", "preprocess", "postprocess", "read", "pipeline"]
Text = Annotated[str, msgspec.Meta(max_length=500)]


class Device(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it ran on; never a host's, a user's or an owner's name.

    Attributes:
        kind: how it was reached: this ``host``, a ``browser`` that opened our page, a phone over ``adb``.
        name: the processor's model, or what the phone or its user says it is.
        system: operating system and release, or the browser's user agent.
        machine: instruction set: ``x86_64``, ``arm64``; empty if not known.
        cores: logical cores that could be used; 0 if not known.
        facts: what else a reader needs: governor, temperature in degrees before and after, isolation, as text.
    """

    kind: Literal["host", "browser", "adb"]
    name: Text
    system: Text = ""
    machine: Text = ""
    cores: Count = 0
    facts: dict[Text, Text] = {}


class Parity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How near the answers on the device were to the right ones.

    Attributes:
        measure: ``cosine`` (lowest over the pictures), ``iou`` (lowest of matched boxes), or ``max_difference``.
        value: of it.
        pictures: number of pictures that were compared.
        passed: whether it is within the tolerance of the export's precision.
    """

    measure: Literal["cosine", "iou", "max_difference"]
    value: float
    pictures: Count
    passed: bool


class Measurement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file, in one engine, at one setting.

    Attributes:
        model: name of the artifact's file; of a pipeline, both names with `` + `` between them.
        network: the architecture's name in the contract: files of one network may be ranked; empty if not known.
        sha256: of the file.
        engine: ``onnxruntime``, ``litert``, ``onnxruntime-web wasm``, ``benchmark_model`` ...
        engine_version: empty if not known.
        precision: the contract's: ``fp32``, ``fp16``, ``static_wi8_ai8`` ...
        threads: that the engine was given.
        stage: what was timed: the engine's run of the ``network`` alone; what our runtime does before it
            (``preprocess``: letterbox or align, lay out as a tensor) or after it (``postprocess``: decode and suppress,
            or normalise); the ``read`` of a picture's file; or the ``pipeline`` from that file to a face's embedding.
        times_ms: of single runs after the warm-up, in the order they ran; empty where only ``percentiles_ms`` is known.
        rounds: number of equal pieces that ``times_ms`` falls into. The pieces of one number, of all measurements of a
            file with as many, ran right after each other, so their ratio is the same on a busy machine; 0 where each
            measurement ran by itself.
        percentiles_ms: ``p50``, ``p90``, ``p99``, as told by a benchmark program that keeps its times to itself.
        mean_ms: as told by a program that keeps its times to itself; None where there are times.
        load_ms: from the file's bytes to a first answer; None if not measured.
        peak_memory_bytes: of the process that ran it; None if not measured.
        macs: multiply-accumulates of one run; None if not known.
        roof_macs_per_s: what a float32 matrix product reached between the runs, on as many threads; None if not
            measured.
        parity: None if not checked.
        notes: sentences.
    """

    model: Text
    network: Text = ""
    sha256: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")] = ""
    engine: Text
    engine_version: Text = ""
    precision: Text = ""
    threads: Count = 1
    stage: Stage = "network"
    times_ms: tuple[Milliseconds, ...] = ()
    rounds: Count = 0
    percentiles_ms: dict[Literal["p50", "p90", "p99"], Milliseconds] = {}
    mean_ms: Milliseconds | None = None
    load_ms: Milliseconds | None = None
    peak_memory_bytes: Count | None = None
    macs: Count | None = None
    roof_macs_per_s: Annotated[float, msgspec.Meta(gt=0.0)] | None = None
    parity: Parity | None = None
    notes: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        if self.rounds and (not self.times_ms or len(self.times_ms) % self.rounds):
            raise ValueError(f"{len(self.times_ms)} times cannot be {self.rounds} equal rounds")

    def percentile_ms(self, percent: int) -> float | None:
        """Latency below which ``percent`` of the runs stay; None if there are no times and none was told."""
        if len(self.times_ms):
            return float(np.percentile(self.times_ms, percent))
        return self.percentiles_ms.get(f"p{percent}")  # type: ignore[call-overload,no-any-return]


class Perf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All measurements of one device at one time.

    Attributes:
        device: what they were made on.
        measurements: one per file, engine and setting.
        command: that made them, without paths.
        created: date and time, UTC, ISO 8601.
        packages: package -> version of what measured.
        version: of this schema.
    """

    device: Device
    measurements: tuple[Measurement, ...]
    command: Text = ""
    created: Text = ""
    packages: dict[Text, Text] = {}
    version: Literal[1] = VERSION

    def save(self, path: Path) -> None:
        """Write it as indented JSON.

        Raises:
            OutputError: the folder cannot be written to.
        """
        with atomic(path) as temporary:
            temporary.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


def load_perf(path: Path) -> Perf:
    """Read a ``perf.json``.

    Raises:
        InvalidData: no such file, a huge one, or not one of these.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InvalidData(f"{path}: {path.stat().st_size} bytes; a perf.json has at most {_MOST_BYTES}")
        return parse_perf(path.read_bytes())
    except OSError as e:
        raise InvalidData(f"{path}: cannot be read: {e.strerror or e}") from e
    except InvalidData as e:
        raise InvalidData(f"{path}: {e}") from e


def parse_perf(text: bytes) -> Perf:
    """A perf.json from its text, which may come from a stranger's phone.

    Raises:
        InvalidData: not one of these.
    """
    try:
        return msgspec.json.decode(text, type=Perf)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as e:
        raise InvalidData(f"not a perf.json of version {VERSION}: {e}") from e
