"""The inpainting game: a score for saliency maps of face matching that asks the network, not a person.

After Williford, May and Byrne, "Explainable Face Recognition" (ECCV 2020) and their code (stresearch/xfr). Of a probe
there is a copy in which one region, say the nose, was painted anew until it is somebody else's. A map that knows where
the two differ names few pixels outside that region before the named pixels, swapped into the probe, turn its match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidData
from .explain import Embed

Image = NDArray[np.uint8]
Map = NDArray[np.floating[Any]]
#: Shares of a map's total at which it is cut.
DENSITIES = tuple(np.round(np.r_[0.01, 0.02, np.arange(0.05, 1.0001, 0.05)], 2).tolist())


@dataclass(frozen=True, eq=False)
class Triplet:
    """One round of the game.

    Attributes:
        probe: ``(h, w, 3) uint8`` RGB aligned crop.
        inpainted: the same, with one region painted anew.
        region: ``(h, w) bool`` where that was.
        mate: ``(D,)`` embedding of another picture of the probe's person, of length 1.
        non_mate: ``(D,)`` embedding of another inpainted picture with the same change, likewise.
    """

    probe: Image
    inpainted: Image
    region: NDArray[np.bool_]
    mate: NDArray[np.float32]
    non_mate: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Game:
    """How maps fared, at each density.

    Attributes:
        densities: ``(K,)`` shares of a map's total that were swapped in.
        flipped: ``(K,)`` share of rounds in which the blend is taken for the non-mate: higher is better.
        false_positives: ``(K,)`` mean share of the pixels outside the region that were named: lower is better.
        played: number of rounds.
        left_out: rounds that the network itself does not see: it takes the probe for the non-mate, or the wholly
            inpainted probe still for the mate. No map could win them.
    """

    densities: NDArray[np.float64]
    flipped: NDArray[np.float64]
    false_positives: NDArray[np.float64]
    played: int
    left_out: int

    def flipped_at(self, false_positives: float) -> float:
        """Highest share of flips among the densities that name at most so many pixels outside the region."""
        return float(self.flipped[self.false_positives <= false_positives].max(initial=0.0))


def play(
    triplets: Sequence[Triplet],
    explain: Callable[[Triplet], Map],
    embed: Embed,
    *,
    threshold: float = -1.0,
    densities: Sequence[float] = DENSITIES,
) -> Game:
    """Score a way of explaining.

    Args:
        triplets: the rounds.
        explain: saliency of what tells the mate from the non-mate in the probe, ``(h, w)``, zero or more.
        embed: aligned crops to embeddings of length 1.
        threshold: cosine from which on two crops match, as at FMR 1e-4 in the paper: the probe must match its mate, and
            a blend its non-mate. By default only the nearer of the two counts.
        densities: 0..1, rising.

    Raises:
        InvalidData: no round that the network sees, or a map of another shape, negative or not finite.
    """
    flips, wrong, left_out = [], [], 0
    for triplet in triplets:
        if not _seen(triplet, embed, threshold):
            left_out += 1
            continue
        named = [salient(_checked(explain(triplet), triplet), density) for density in densities]
        blends = np.stack([np.where(mask[..., None], triplet.inpainted, triplet.probe) for mask in named])
        flips.append(np.concatenate([_flipped(embed(part), triplet, threshold) for part in _parts(blends)]))
        outside = ~triplet.region
        wrong.append([np.count_nonzero(mask & outside) / max(np.count_nonzero(outside), 1) for mask in named])
    if not flips:
        raise InvalidData(f"{len(triplets)} triplets, and the network tells the inpainted from the probe in none")
    return Game(np.array(densities), np.mean(flips, axis=0), np.mean(wrong, axis=0), len(flips), left_out)


def salient(saliency: Map, density: float) -> NDArray[np.bool_]:
    """The fewest pixels that hold a share of a map's total, ``(h, w) bool``; of equal pixels all or none.

    A map of zeros names nothing.
    """
    values = np.asarray(saliency, np.float64)
    falling = np.sort(values.ravel())[::-1]
    held = np.cumsum(falling)
    if held[-1] <= 0 or density <= 0:
        return np.zeros(values.shape, bool)
    enough = min(int(np.searchsorted(held, density * held[-1] * (1 - 1e-12))), len(falling) - 1)
    mask: NDArray[np.bool_] = values >= max(falling[enough], np.nextafter(0, 1))
    return mask


def _seen(triplet: Triplet, embed: Embed, threshold: float) -> bool:
    probe, inpainted = embed(np.stack([triplet.probe, triplet.inpainted]))
    matches = probe @ triplet.mate >= threshold and probe @ triplet.mate > probe @ triplet.non_mate
    return bool(matches and _flipped(inpainted[None], triplet, threshold)[0])


def _flipped(vectors: NDArray[np.float32], triplet: Triplet, threshold: float) -> NDArray[np.bool_]:
    towards = vectors @ triplet.non_mate
    result: NDArray[np.bool_] = (towards > vectors @ triplet.mate) & (towards >= threshold)
    return result


def _checked(saliency: Map, triplet: Triplet) -> Map:
    if saliency.shape != triplet.region.shape or not np.isfinite(saliency).all() or saliency.min() < 0:
        raise InvalidData(f"expected a map {triplet.region.shape} of zero or more, got {saliency.shape} or others")
    return saliency


def _parts(blends: Image) -> Iterator[Image]:
    for start in range(0, len(blends), 32):
        yield blends[start : start + 32]
