"""Options of every command that is given pictures of people, as one record: where they are, how they become crops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from .output import FILE, PATH

if TYPE_CHECKING:
    from ..evaluate.cache import Cache
    from ..evaluate.verification import Data
    from ..runtime.detector import Detector

no_cache = click.option("--no-cache", is_flag=True, help="Compute everything anew and keep nothing.")
_PICTURES = (
    click.option("--identities", type=FILE, help="JSON file: name of a picture -> who it is."),
    click.option("--aligned", is_flag=True, help="The pictures are square crops on the ArcFace template."),
    click.option("--detector", type=PATH, help="Exported detector, for pictures that are not aligned."),
)
_DATA = (
    click.option("--images", type=PATH, help="Folder or tar with the pictures of a list. Default: the list's folder."),
    *_PICTURES,
    click.option("--strict", is_flag=True, help="Stop at a fault of the data instead of listing it."),
    no_cache,
)


@dataclass(frozen=True)
class Source:
    """What was given of these options; of one that a command does not have, its default."""

    identities: Path | None = None
    aligned: bool = False
    detector: Path | None = None
    images: Path | None = None
    strict: bool = False
    no_cache: bool = False

    def open(self, path: Path, **labels: Any) -> Data:
        """A list of pairs or a set of pictures; ``labels`` are further arguments of ``open_data``."""
        from ..evaluate.data import open_data

        return open_data(
            path,
            images=self.images,
            identities=self.identities,
            aligned=self.aligned,
            strict=self.strict,
            **labels,
        )

    def finder(self, threads: int | None) -> Detector | None:
        """The detector for pictures that are not aligned, if one was named."""
        from ..runtime.detector import Detector

        return Detector(self.detector, threads=threads) if self.detector else None


def data_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that embeds one data set the options, and their values as its parameter ``source``."""
    return _with_source(command, _DATA)


def picture_options(command: Callable[..., None]) -> Callable[..., None]:
    """The same for a command that takes several sets: only what can be said of all of them."""
    return _with_source(command, _PICTURES)


def _with_source(command: Callable[..., None], options: Sequence[Callable[..., Any]]) -> Callable[..., None]:
    @wraps(command)
    def with_source(**given: Any) -> None:
        told = {field.name: given.pop(field.name) for field in fields(Source) if field.name in given}
        command(source=Source(**told), **given)

    for option in reversed(options):
        with_source = option(with_source)
    return with_source


@contextmanager
def a_cache(temporary: bool) -> Iterator[Cache]:
    """The cache of this machine; or an empty one for as long as the context lasts, so that it does nothing twice.

    What was wrong with it is told at the end, on standard error.
    """
    from ..evaluate.cache import Cache

    if temporary:
        with TemporaryDirectory() as folder:
            yield Cache(Path(folder))
        return
    cache = Cache()
    yield cache
    for note in cache.notes:
        click.echo(f"pocketface: cache: {note}", err=True)
