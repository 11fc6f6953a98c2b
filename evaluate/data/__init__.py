"""Read the data sets that the field uses, and those that people have: pictures, who they show, and pairs of them."""

from __future__ import annotations

from pathlib import Path

from .samples import Image, ImageSet, PairSet, Sample, contiguous_folds

__all__ = ["Image", "ImageSet", "PairSet", "Sample", "contiguous_folds", "open_images", "open_pairs"]


def open_images(
    path: Path,
    *,
    identities: Path | None = None,
    columns: Path | None = None,
    scheme: str | None = None,
    aligned: bool = False,
    strict: bool = False,
) -> ImageSet:
    """Open a folder, a tar file or a folder of tar shards, or the pictures of an InsightFace ``.bin``.

    Args:
        path: the data. Who a picture shows is said by ``identities``, by an ``identities.json`` in or beside it, or by
            the folder that the picture lies in.
        identities: a JSON file: name of a picture -> identity.
        columns: a CSV file with a column ``name``; its other columns go to the samples of that name.
        scheme: what the pictures' names say: ``utkface`` (age, gender, group) or ``allage`` (age).
        aligned: whether the pictures are square crops on the ArcFace template, scaled to their side.
        strict: whether to stop at a fault of the data instead of listing it in ``problems``.

    Raises:
        InvalidData: nothing that can be read, no picture in it, or with ``strict`` any fault.
    """
    raise NotImplementedError


def open_pairs(path: Path, *, images: Path | None = None, aligned: bool = False, strict: bool = False) -> PairSet:
    """Open a list of pairs: LFW's ``pairs.txt`` or a folder with one, an InsightFace ``.bin``, or a CSV.

    Args:
        path: the list. A CSV has columns a, b, same (1 or 0) and, if it has folds, fold; others go to ``columns``.
        images: folder or tar with the pictures; by default the list's folder.
        aligned: whether the pictures are square crops on the ArcFace template; those of a ``.bin`` always are.
        strict: whether to stop at a fault of the data instead of listing it in ``images.problems``.

    Raises:
        InvalidData: not such a list, no pair whose pictures are there, or with ``strict`` any fault.
    """
    raise NotImplementedError
