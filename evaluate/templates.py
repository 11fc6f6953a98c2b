"""Templates: sets of pictures of one person, each pooled to one embedding, as the protocols of IJB compare people.

The frames of one video say little more than one frame, so the pictures of a medium are averaged first, and then the
media, as in InsightFace's ``eval_ijbc.py``. Its weights are here, too: a feature is multiplied by its norm or by its
quality before it is averaged, so that a blurred frame hardly counts, neither in its video nor against the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidData
from .metrics import tar_at_far
from .scores import score_pairs

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]
#: The media of one template ``(K, D)`` to its embedding ``(D,)``, of any length: see :mod:`.aggregator`.
Aggregate = Callable[[Floats], Floats]


@dataclass(frozen=True, eq=False)
class TemplateSet:
    """Which pictures make which template. A picture may be in several.

    Attributes:
        pictures: ``(M,)`` of each membership the picture, as a row of the embeddings.
        templates: ``(M,)`` its template, 0..count - 1; every template has a member.
        media: ``(M,)`` the still or video that the picture is of, any number; equal within a template: one medium.
        names: of the templates, as the data call them.
    """

    pictures: Indices
    templates: Indices
    media: Indices
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.pictures) == len(self.templates) == len(self.media):
            raise ValueError("pictures, templates and media must be of one length")
        if not np.array_equal(np.unique(self.templates), np.arange(len(self.names))):
            raise InvalidData("a template without a picture, or a picture without a template; every template needs one")

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, eq=False)
class Pooled:
    """Templates as embeddings.

    Attributes:
        vectors: ``(T, D) float32`` rows of length 1; zeros where a template failed.
        failed: ``(T,) bool`` templates of which no picture has an embedding.
    """

    vectors: NDArray[np.float32]
    failed: Flags


def pool(
    vectors: Floats,
    sets: TemplateSet,
    *,
    failed: Flags | None = None,
    weights: Floats | None = None,
    aggregate: Aggregate | None = None,
) -> Pooled:
    """One embedding for each template.

    Args:
        vectors: ``(N, D)`` of length 1, of the pictures.
        sets: which of them make which template.
        failed: ``(N,)`` pictures without an embedding; they are left out of their templates.
        weights: ``(N,)`` zero or more: norms of the embeddings before they were normalised, or qualities.
        aggregate: pools the media of a template instead of the mean.

    Raises:
        ValueError: weights that are negative or not finite, or of another length.
    """
    if weights is not None and (len(weights) != len(vectors) or not np.isfinite(weights).all() or min(weights) < 0):
        raise ValueError(f"expected {len(vectors)} weights of zero or more, got {np.shape(weights)} or others")
    used = np.ones(len(sets.pictures), bool) if failed is None else ~failed[sets.pictures]
    features = vectors[sets.pictures[used]]
    if weights is not None:
        features = features * weights[sets.pictures[used], None]
    media, owners = _media_means(features, sets.templates[used], sets.media[used])
    pooled = np.zeros((len(sets), vectors.shape[1]), np.float64)
    for template, rows in _groups(owners):
        pooled[template] = media[rows].sum(axis=0) if aggregate is None else aggregate(media[rows])
    lengths = np.linalg.norm(pooled, axis=1)
    unit = (pooled / np.where(lengths > 0, lengths, 1)[:, None]).astype(np.float32)
    return Pooled(unit, lengths == 0)


def compare_pooling(
    vectors: Floats,
    sets: TemplateSet,
    pairs: Indices,
    same: Flags,
    *,
    fars: Sequence[float] = (1e-2, 1e-3, 1e-4),
    failed: Flags | None = None,
    weights: Mapping[str, Floats] | None = None,
    aggregate: Aggregate | None = None,
) -> list[dict[str, str | float | int]]:
    """TAR at FAR of each way to pool, on the same pairs of templates, the plain mean always first.

    Args:
        vectors: ``(N, D)`` of length 1, of the pictures.
        sets: which of them make which template.
        pairs: ``(P, 2)`` templates.
        same: ``(P,)`` whether a pair shows one person.
        fars: to give the TAR at.
        failed: ``(N,)`` pictures without an embedding.
        weights: what to call a weighting -> ``(N,)`` weights of the pictures.
        aggregate: a learnt aggregator, if there is one.

    Returns:
        A row each: ``pooling``, ``tar_at_<far>``, ``failed`` templates.
    """
    ways: dict[str, Pooled] = {"mean": pool(vectors, sets, failed=failed)}
    for name, values in (weights or {}).items():
        ways[name] = pool(vectors, sets, failed=failed, weights=values)
    if aggregate is not None:
        ways["learnt"] = pool(vectors, sets, failed=failed, aggregate=aggregate)
    rows: list[dict[str, str | float | int]] = []
    for name, pooled in ways.items():
        _, scores = score_pairs(pooled.vectors, pooled.failed, pairs, same)
        tars = {f"tar_at_{far:g}": tar_at_far(scores.genuine, scores.impostor, far) for far in fars}
        rows.append({"pooling": name, **tars, "failed": int(pooled.failed.sum())})
    return rows


def random_templates(
    identities: Sequence[str], size: int, *, seed: int = 0
) -> tuple[TemplateSet, Indices, NDArray[np.str_]]:
    """Cut each identity's pictures into templates of ``size``, at random; what is left over is not used.

    For data that have identities and no templates. Every picture is its own medium.

    Returns:
        The templates, every pair of them ``(P, 2)``, and who is in each template ``(T,)``.

    Raises:
        InvalidData: no identity has ``size`` pictures.
    """
    rng = np.random.default_rng(seed)
    who = np.asarray(identities, dtype=str)
    members: list[NDArray[np.int64]] = []
    for name in np.unique(who):
        own = rng.permutation(np.flatnonzero(who == name))
        members += np.split(own[: len(own) // size * size], max(len(own) // size, 1)) if len(own) >= size else []
    if not members:
        raise InvalidData(f"no identity has {size} pictures, so there is no template of that size; take smaller ones")
    pictures = np.concatenate(members)
    owners = np.repeat(np.arange(len(members)), size)
    sets = TemplateSet(pictures, owners, np.arange(len(pictures)), tuple(str(i) for i in range(len(members))))
    first, second = np.triu_indices(len(members), 1)
    return sets, np.stack([first, second], axis=1), who[[own[0] for own in members]]


def _media_means(features: Floats, templates: Indices, media: Indices) -> tuple[Floats, Indices]:
    """``(K, D)`` mean feature of each medium of each template, and its template ``(K,)``, ascending."""
    both, of, counts = np.unique(np.stack([templates, media], axis=1), axis=0, return_inverse=True, return_counts=True)
    if not len(both):
        return np.empty((0, features.shape[1])), np.empty(0, np.int64)
    order = np.argsort(of.ravel(), kind="stable")
    sums = np.add.reduceat(features[order].astype(np.float64), np.cumsum(counts) - counts, axis=0)
    return sums / counts[:, None], both[:, 0]


def _groups(owners: Indices) -> list[tuple[int, slice]]:
    """Runs of equal numbers in an ascending array."""
    numbers, starts = np.unique(owners, return_index=True)
    ends = np.append(starts, len(owners))[1:]
    return [(int(n), slice(int(a), int(b))) for n, a, b in zip(numbers, starts, ends, strict=True)]
