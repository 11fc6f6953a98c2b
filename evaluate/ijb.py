"""Read the lists of IJB-B and IJB-C in the form that InsightFace gives out: templates, and pairs of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InvalidData
from .templates import Flags, Indices, TemplateSet


def read_ijb(members: Path, pairs: Path) -> tuple[TemplateSet, tuple[str, ...], Indices, Flags]:
    """Read the lists of IJB-B or IJB-C as InsightFace gives them out.

    Args:
        members: ``ijbc_face_tid_mid.txt``: name of a picture, template, medium, on each line.
        pairs: ``ijbc_template_pair_label.txt``: two templates and 1 or 0, on each line.

    Returns:
        The templates; the pictures' names, in the order that the templates count them; the pairs ``(P, 2)`` and
        whether each is of one person ``(P,)``.

    Raises:
        InvalidData: a file is missing or malformed, or a pair names a template that has no picture.
    """
    rows = [line.split() for line in _text(members).splitlines() if line.strip()]
    wrong = next((i for i, row in enumerate(rows) if len(row) != 3 or not (row[1] + row[2]).isdecimal()), None)
    if wrong is not None or not rows:
        raise InvalidData(f"{members}: line {(wrong or 0) + 1} is not `picture template medium`, two of them numbers")
    numbers, templates = np.unique(np.array([row[1] for row in rows], np.int64), return_inverse=True)
    media = np.array([row[2] for row in rows], np.int64)
    pictures = {row[0]: i for i, row in enumerate({row[0]: row for row in rows}.values())}
    sets = TemplateSet(
        np.array([pictures[row[0]] for row in rows], np.int64),
        templates.ravel().astype(np.int64),
        media,
        tuple(map(str, numbers.tolist())),
    )
    try:
        lines = _text(pairs).splitlines()
        listed = np.loadtxt(lines, np.int64, ndmin=2) if lines else np.empty((0, 0), np.int64)
    except ValueError as e:
        raise InvalidData(f"{pairs}: expected `template template label` in numbers on each line: {e}") from e
    if listed.shape[1:] != (3,) or not np.isin(listed[:, 2], (0, 1)).all():
        raise InvalidData(f"{pairs}: expected `template template label` on each line, the label 1 or 0")
    at = np.searchsorted(numbers, listed[:, :2]).clip(max=len(numbers) - 1)
    if (lost := numbers[at] != listed[:, :2]).any():
        names = sorted({str(n) for n in listed[:, :2][lost].tolist()})
        raise InvalidData(f"{pairs}: {len(names)} templates have no picture in {members.name}, first {names[0]}")
    return sets, tuple(pictures), at.astype(np.int64), listed[:, 2] == 1


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeError) as e:
        raise InvalidData(f"{path}: cannot be read as text: {e}") from e
