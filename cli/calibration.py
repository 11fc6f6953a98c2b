"""What `quantize` and `verdict` share: options that say which pictures give activations their ranges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import FILE
from .source import Source, picture_options

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..quantize.pictures import Pictures
    from ..runtime.detector import Detector

_OPTIONS = (
    picture_options,
    click.option(
        "--count", type=click.IntRange(32), default=128, show_default=True, help="Pictures to calibrate on, at most."
    ),
    click.option("--weights", type=FILE, help="What ARTIFACT was made from, where its weights change, unless bundled."),
)


def calibration_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that calibrates: see :func:`pictures_of`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def pictures_of(
    path: Path,
    artifact: Artifact,
    source: Source,
    finder: Detector | None,
    progress: Callable[[str], None],
    count: int,
) -> Pictures:
    """Pictures as a file's network takes them, with progress."""
    from ..quantize.pictures import open_pictures

    def told(done: int, total: int) -> None:
        progress(f"{path.name}: {done} of {total} pictures")

    options: dict[str, Any] = {"detector": finder, "aligned": source.aligned, "identities": source.identities}
    return open_pictures(path, artifact, count=count, progress=told, **options)


def judging(source: Source) -> Source:
    """The same for ``--judge``, but for ``--identities``, which names the people of ``--calibration`` alone."""
    return replace(source, identities=None)
