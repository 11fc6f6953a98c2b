"""The bytes of here beside those of an emulated phone, file by file and processor by processor."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ...artifact import Artifact
from ...report import Column, Row, Section
from ...runtime.backends import open_backend
from ...runtime.backends.tensors import Array
from ..faces import bundled_portraits, inputs_for
from .integers import with_integers
from .probe import WAYS, answers

#: Without and with arithmetic in half, as QEMU calls them. "max" would emulate vector units at a tenth of the speed.
PROCESSORS = ("cortex-a53", "cortex-a76")
COLUMNS = (
    Column(key="file", name="file"),
    Column(key="precision", name="precision"),
    Column(key="engine", name="engine"),
    Column(key="cpu", name="processor"),
    Column(key="pictures", name="pictures", kind="number"),
    Column(key="cosine", name="cosine", kind="number", spec=".7f"),
    Column(key="max_abs", name="max |Δ|", kind="number", spec=".2g"),
    Column(key="relative", name="of the largest value", kind="number", spec=".2g"),
    Column(key="bytes", name="bytes of the outputs"),
)
WHOLE = Column(key="whole", name="last integers inside")
EQUAL = Column(key="equal", name="same integers", kind="verdict")
#: Ways of computing here that are compared with that in whole numbers -> what the table calls them.
_HERE = {way: f"here, {way}" for way in WAYS if way != "whole numbers"}
#: What float operations behind the integers may differ by, as a share of an output's largest value: the division by the
#: length, decoding, layers that were kept. One integer that is off by one moves an answer by about a thousandth.
LAST_DIGITS = 1e-5


class Guest(Protocol):
    """What runs a Python on an emulated processor, see :class:`~pocketface.evaluate.arm64.machine.Machine`."""

    def run(self, cpu: str, arguments: Sequence[str]) -> str:
        """Empty if all went well, else the last that it said."""


def compare(
    artifacts: Sequence[Artifact],
    guest: Guest | None,
    *,
    pictures: int = 4,
    processors: Sequence[str] = PROCESSORS,
    note: str = "",
    progress: Callable[[str], None] = lambda step: None,
) -> list[Section]:
    """Run files here and on emulated processors, on the bundled portraits.

    Files in whole numbers must give the same integers everywhere, so that nothing but the last digits of what is
    computed from them in float may differ; for the others, how near they are is information, but run they must.

    Args:
        artifacts: ONNX and TFLite files.
        guest: the emulated machine; None if there is none, and then nothing is compared.
        pictures: number of portraits.
        processors: as QEMU calls them.
        note: shown above the tables.
        progress: told in a few words what is being done.
    """
    exact, near, otherwise = list[Row](), list[Row](), list[Row]()
    for artifact in artifacts:
        whole = artifact.contract.precision == "int8"
        for row in _rows(artifact, guest, pictures, processors, progress):
            told = {key: row[key] for key in row if key != EQUAL.key}
            if row.get("cpu") in _HERE.values():
                otherwise.append(told)
            elif whole or (guest is not None and "max_abs" not in row):
                exact.append(row)
            else:
                near.append(told)
    inside = (*COLUMNS, WHOLE)
    tables: dict[str, tuple[Sequence[Column], list[Row]]] = {
        "Whole numbers: the same here and on arm64?": ((*inside, EQUAL), exact),
        "The same files here, computed otherwise: for information": (inside, otherwise),
        "Float: how near, for information": (COLUMNS, near),
    }
    notes = [note] if note else []
    return [
        Section(title=title, columns=columns, rows=rows, notes=notes)
        for title, (columns, rows) in tables.items()
        if rows
    ]


def _rows(
    artifact: Artifact, guest: Guest | None, pictures: int, processors: Sequence[str], progress: Callable[[str], None]
) -> Iterator[Row]:
    contract = artifact.contract
    head: Row = {"file": artifact.path.name, "precision": contract.precision, "pictures": pictures}
    if guest is None:
        yield {**head, EQUAL.key: None}
        return
    shown = inputs_for(contract, bundled_portraits()[:pictures])
    head["engine"] = open_backend(artifact, threads=1).name
    with tempfile.TemporaryDirectory(prefix="pocketface-") as folder:
        file, whole = with_integers(artifact, Path(folder))
        fed, target = Path(folder) / "pictures.npy", Path(folder) / "answers.npz"
        np.save(fed, shown)
        progress(f"{artifact.path.name} here")
        here = answers(file, shown, "whole numbers" if whole else "")
        for cpu in processors:
            progress(f"{artifact.path.name} on {cpu}")
            target.unlink(missing_ok=True)
            words = ("-P", "-m", "pocketface.evaluate.arm64.probe", str(file.resolve()), str(fed), str(target))
            fault = guest.run(cpu, words)
            row = {**head, "cpu": cpu}
            if fault:
                yield {**row, "engine": f"{head['engine']}: {fault}", EQUAL.key: False}
                continue
            with np.load(target, allow_pickle=False) as there:
                yield {**row, **_judged(here, there, whole)}
        for way, name in _HERE.items() if whole else ():
            yield {**head, "cpu": name, **_judged(here, answers(file, shown, way), whole)}


def _judged(here: Mapping[str, Array], there: Mapping[str, Array], whole: Sequence[str]) -> Row:
    """Outputs as :func:`differences` has them, and the integers before them, of which none may differ."""
    ours, theirs = ({name: each[name] for name in each if name not in whole} for each in (here, there))
    row = differences(ours, theirs)
    if not whole:
        return row
    same = all(name in there and _same(here[name], there[name]) for name in whole)
    told = ", ".join(name.removesuffix("_QuantizeLinear_Output") for name in whole)
    return {**row, WHOLE.key: f"{told}: {'same' if same else 'differ'}", EQUAL.key: row[EQUAL.key] and same}


def differences(here: Mapping[str, Array], there: Mapping[str, Array]) -> Row:
    """How two sets of answers differ.

    Other names or shapes, and values that are not finite, are an infinite difference unless all bytes are the same.

    Returns:
        ``bytes``: same or differ; ``max_abs``, the largest difference; ``relative``, that as a share of the largest
        value of its output; ``cosine``, the least of a picture; ``equal``: whether only last digits differ.
    """
    if here.keys() == there.keys() and all(_same(here[name], there[name]) for name in here):
        return {"bytes": "same", "max_abs": 0.0, "relative": 0.0, "cosine": 1.0, EQUAL.key: True}
    worst, relative, cosine = 0.0, 0.0, 1.0
    for name, ours in here.items():
        theirs = there.get(name)
        if theirs is None or theirs.shape != ours.shape or not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
            return {"bytes": "differ", "max_abs": np.inf, "relative": np.inf, "cosine": None, EQUAL.key: False}
        a, b = (np.asarray(each, np.float64).reshape(len(ours), -1) for each in (ours, theirs))
        apart = float(np.abs(a - b).max())
        worst, relative = max(worst, apart), max(relative, apart / max(float(np.abs(a).max()), 1e-300))
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        cosine = min(cosine, float(((a * b).sum(1) / np.maximum(lengths, 1e-300)).min()))
    few = relative <= LAST_DIGITS
    return {"bytes": "differ", "max_abs": worst, "relative": relative, "cosine": cosine, EQUAL.key: few}


def _same(one: Array, other: Array) -> bool:
    return (one.dtype, one.shape) == (other.dtype, other.shape) and one.tobytes() == other.tobytes()
