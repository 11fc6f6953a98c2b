"""The whole way of a picture, beside the sum of what its parts take by themselves."""

from __future__ import annotations

from collections.abc import Sequence

from ..report import Column, Row, Section
from .perf import Measurement, Perf
from .ratio import ratio_to_sum
from .rows import RATIO, SPREAD, WHO, all_of, interval_row, spread, who

PIPELINE = (
    *WHO,
    *SPREAD,
    Column(key="read_ms", name="reading", unit="ms", kind="number", spec=".2f"),
    Column(key="parts_ms", name="sum of parts", unit="ms", kind="number", spec=".2f"),
    Column(key="ratio", name="whole by sum", kind="number", spec=".3f"),
    *RATIO,
    Column(key="load_ms", name="load", unit="ms", kind="number", spec=".1f"),
    Column(key="peak_memory_bytes", name="peak memory", kind="bytes"),
)


def pipeline_section(perfs: Sequence[Perf]) -> Section:
    """From a picture's file to the embedding of its best face, beside the sum of what its parts took by themselves."""
    rows = [
        who(perf, one)
        | spread(one)
        | _parts(perf, one)
        | {"load_ms": one.load_ms, "peak_memory_bytes": one.peak_memory_bytes}
        for perf, one in all_of(perfs, "pipeline")
    ]
    return Section(title="Pipeline: from a picture's file to an embedding", columns=PIPELINE, rows=rows)


def _parts(perf: Perf, whole: Measurement) -> Row:
    """The whole beside its parts, where all of them were measured in the same rounds."""
    kin = [one for one in perf.measurements if (one.engine, one.threads) == (whole.engine, whole.threads)]
    read = next((one for one in kin if one.stage == "read" and one.model == whole.model), None)
    names, stages = whole.model.split(" + "), ("preprocess", "network", "postprocess")
    parts = [one for one in kin if one.model in names and one.stage in stages]
    if read is None or len(parts) != len(names) * len(stages):
        return {}
    ratio = ratio_to_sum([read, *parts], whole)
    medians = [one.percentile_ms(50) or 0.0 for one in (read, *parts)]
    return {"read_ms": medians[0], "parts_ms": sum(medians)} | (interval_row(ratio) if ratio else {})
