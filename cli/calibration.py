"""What `quantize` and `verdict` share: options that say which pictures give activations their ranges, and a gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import FILE, PATH

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..evaluate.gate import Condition
    from ..quantize.pictures import Pictures
    from ..runtime.detector import Detector

_OPTIONS = (
    click.option("--detector", type=PATH, help="Exported detector, for pictures of faces that are not aligned."),
    click.option("--aligned", is_flag=True, help="The pictures are square crops on the ArcFace template."),
    click.option("--identities", type=FILE, help="JSON: picture -> identity, for --calibration."),
    click.option(
        "--count", type=click.IntRange(32), default=128, show_default=True, help="Pictures to calibrate on, at most."
    ),
    click.option("--weights", type=FILE, help="What ARTIFACT was made from, where its weights change, unless bundled."),
)


def calibration_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that calibrates: see :func:`pictures_of` and :func:`finder_of`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def pictures_of(
    path: Path,
    artifact: Artifact,
    finder: Detector | None,
    progress: Callable[[str], None],
    *,
    aligned: bool,
    count: int,
    identities: Path | None = None,
) -> Pictures:
    """Pictures as a file's network takes them, with progress."""
    from ..quantize.pictures import open_pictures

    def told(done: int, total: int) -> None:
        progress(f"{path.name}: {done} of {total} pictures")

    options: dict[str, Any] = {"detector": finder, "aligned": aligned, "identities": identities, "count": count}
    return open_pictures(path, artifact, progress=told, **options)


def finder_of(detector: Path | None) -> Detector | None:
    """The detector that finds faces in pictures that are not aligned, if one was named."""
    from ..runtime.detector import Detector

    return Detector(detector, threads=1) if detector else None


def read_gate(text: str | None, figures: Sequence[str]) -> tuple[Condition, ...]:
    """The conditions of ``--gate``; none where it was not given."""
    from ..evaluate.gate import parse_gate

    try:
        return parse_gate(text, figures) if text else ()
    except ValueError as e:
        raise click.BadParameter(str(e), param_hint="--gate") from e
