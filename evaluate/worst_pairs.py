"""The pairs that a recogniser is most wrong about: where mislabelled data, bad crops and look-alikes come to light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageDraw

from .crops import Cropper
from .data import Image, PairSet, Sample
from .embeddings import Embedded
from .scores import all_pairs, owners_of, score_pairs
from .verification import Data, images_of

#: Side of a crop on a contact sheet, and the height of the line below a pair, in pixels.
SIDE, LINE = 112, 18


@dataclass(frozen=True, eq=False)
class Pairs:
    """Some pairs of pictures, the worst first.

    Attributes:
        pictures: ``(K, 2) int64`` into the samples.
        scores: ``(K,) float32`` cosines.
    """

    pictures: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)


def worst_pairs(data: Data, embedded: Embedded, count: int = 12) -> tuple[Pairs, Pairs]:
    """The genuine pairs that are least alike, and the impostor pairs that are most alike.

    Pictures without an embedding are left out; of pairs with equal scores, those that come first in the data stay.

    Args:
        data: pairs, or pictures with identities, of which every pair counts.
        embedded: in the order of its pictures.
        count: at most so many of each kind.
    """
    if isinstance(data, PairSet):
        scores, _ = score_pairs(embedded.vectors, embedded.failed, data.pairs, data.same)
        usable = np.isfinite(scores)
        genuine, impostor = (usable & kind for kind in (data.same, ~data.same))
        return (
            _first(-scores[genuine], data.pairs[genuine], count, sign=-1),
            _first(scores[impostor], data.pairs[impostor], count),
        )
    return _of_all(data, embedded, count)


def _of_all(data: Data, embedded: Embedded, count: int) -> tuple[Pairs, Pairs]:
    """Block by block; of each only what may still be among the worst is kept."""
    usable = np.flatnonzero(~embedded.failed)
    owners = owners_of([str(sample.identity) for sample in images_of(data).samples])[usable]
    vectors = embedded.vectors[usable]
    found = [Pairs(np.empty((0, 2), np.int64), np.empty(0, np.float32)) for _ in range(2)]
    for rows, columns, same, other in all_pairs(owners):
        cosines = vectors[rows] @ vectors[columns].T
        for kind, (wanted, badness) in enumerate(((same, -cosines), (other, cosines))):
            worst = found[kind]
            least = worst.scores[-1] if len(worst) == count else -np.inf
            row, column = np.nonzero(wanted & (badness > least))
            pairs = usable[np.stack([row + rows.start, column + columns.start], axis=1)]
            both = np.concatenate([worst.scores, badness[row, column]])
            found[kind] = _first(both, np.concatenate([worst.pictures, pairs]), count)
    return Pairs(found[0].pictures, -found[0].scores), found[1]


def _first(badness: NDArray[np.float32], pairs: NDArray[np.int64], count: int, sign: int = 1) -> Pairs:
    order = np.argsort(-badness, kind="stable")[:count]
    return Pairs(pairs[order], sign * badness[order])


def contact_sheet_of(pairs: Pairs, samples: Sequence[Sample], crop: Cropper, columns: int = 4) -> Image:
    """The pairs side by side as the recogniser sees them, each with its number and its score below, on white."""
    tiles = [
        _tile(i, pair, score, samples, crop) for i, (pair, score) in enumerate(zip(*_parts(pairs), strict=True), 1)
    ]
    height, width = LINE + SIDE, 2 * SIDE
    rows = -(-len(tiles) // columns)
    sheet = Pictures.new("RGB", (min(columns, len(tiles)) * (width + 12) - 12, rows * (height + 6) - 6), "white")
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % columns * (width + 12), i // columns * (height + 6)))
    return np.asarray(sheet)


def _parts(pairs: Pairs) -> tuple[list[list[int]], list[float]]:
    return pairs.pictures.tolist(), pairs.scores.tolist()


def _tile(number: int, pair: Sequence[int], score: float, samples: Sequence[Sample], crop: Cropper) -> Pictures.Image:
    tile = Pictures.new("RGB", (2 * SIDE, SIDE + LINE), "white")
    for i, picture in enumerate(pair):
        pixels = crop(samples[picture])
        if not isinstance(pixels, str):  # it was embedded, so it can be cropped, unless the file has changed since
            tile.paste(Pictures.fromarray(pixels).resize((SIDE, SIDE), Pictures.Resampling.BICUBIC), (i * SIDE, 0))
    ImageDraw.Draw(tile).text((2, SIDE + 3), f"{number}.  {score:.3f}", fill="#15181e")
    return tile
