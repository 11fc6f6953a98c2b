"""Pictures made to be decided wrongly: projected gradients over all pixels, or over a patch that a person could wear.

After FACESEC (Tong et al. 2021), in levels of 0..255: PGD changes every value by at most 8 in steps of 2, 40 times; a
patch (sticker on the forehead, eyeglass frame, face mask of 16 x 8 cells) takes any colour, in steps of 4. FACESEC
gives patches 200 steps; the default here is 60, for CPUs. Dodging turns a picture away from its own person,
impersonation towards another; a universal change is one for a whole batch.

Torch is loaded when an attack runs. What comes out is whole levels, so an exported file sees the very same picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..contract import ARCFACE_TEMPLATE
from ..errors import InvalidData, InvalidImage, MissingExtra, UnsupportedModel
from .corruptions import mask_outline

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[np.uint8]
Kind = Literal["pgd", "sticker", "glasses", "mask"]
Goal = Literal["dodging", "impersonation"]
#: ``(B, 3, H, W)`` RGB 0..255 -> ``(B, D)`` embeddings of any length, or a dict with them under ``embedding``.
Network = Callable[[Any], Any]

KINDS: tuple[Kind, ...] = ("pgd", "sticker", "glasses", "mask")
GOALS: tuple[Goal, ...] = ("dodging", "impersonation")
_SIDE = 112
_CELLS = (8, 16)  # rows and columns of the face mask


@dataclass(frozen=True)
class Attack:
    """How a picture is attacked.

    Attributes:
        kind: all pixels a little, or a patch entirely.
        goal: away from the reference, or towards it.
        universal: one change for all pictures of a batch, instead of one for each.
        epsilon: levels that a value may change by; 255 for a patch.
        step: levels per iteration.
        iterations: number of steps.
    """

    kind: Kind
    goal: Goal
    universal: bool
    epsilon: int
    step: int
    iterations: int


def plan(kind: Kind, goal: Goal, *, universal: bool = False, iterations: int | None = None) -> Attack:
    """An attack with FACESEC's limits: 8, 2 and 40 iterations for PGD; 255, 4 and, fewer than there, 60 for a patch.

    Raises:
        InvalidData: no such kind or goal.
    """
    if kind not in KINDS or goal not in GOALS:
        raise InvalidData(f"expected an attack of {', '.join(KINDS)} for {' or '.join(GOALS)}, got {kind} for {goal}")
    epsilon, step, usual = (8, 2, 40) if kind == "pgd" else (255, 4, 60)
    return Attack(kind, goal, universal, epsilon, step, usual if iterations is None else iterations)


def attack(network: Network, images: Pixels, references: NDArray[np.float32], how: Attack, *, seed: int = 0) -> Pixels:
    """Change aligned crops so that their embeddings move away from references, or towards them.

    Args:
        network: differentiable, in torch.
        images: ``(B, H, W, 3) uint8`` RGB, with landmarks on the ArcFace template scaled to their side.
        references: ``(B, D)`` embeddings by the same network: of each picture's own person to dodge, of another to
            impersonate.
        how: the attack.
        seed: of where it starts.

    Returns:
        ``(B, H, W, 3) uint8`` RGB, within ``epsilon`` of the images, or equal to them outside the patch.

    Raises:
        InvalidImage: not such pictures.
        InvalidData: not one reference for each.
        MissingExtra: torch is not installed.
        UnsupportedModel: the network gives no gradient, or one with NaN.
    """
    try:
        import torch
    except ModuleNotFoundError as e:
        raise MissingExtra("torch", "export", "attack a network through its gradients") from e
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise InvalidImage(f"expected crops (B, H, W, 3) uint8, got {images.dtype} {images.shape}")
    if len(references) != len(images):
        raise InvalidData(f"{len(references)} references for {len(images)} pictures")
    clean = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32))
    wanted = torch.nn.functional.normalize(torch.from_numpy(np.asarray(references, np.float32)), dim=1)
    change = _Change(clean, how, seed)
    sign = 1 if how.goal == "impersonation" else -1
    for _ in range(how.iterations):
        values = change.values.requires_grad_()
        cosines = (_embed(network, change.wear(values)) * wanted).sum(1)
        (gradient,) = torch.autograd.grad(sign * cosines.sum(), values)
        if not torch.isfinite(gradient).all():
            raise UnsupportedModel("the network's gradient holds NaN or infinity, so it shows no way to attack")
        change.ascend(gradient)
    with torch.no_grad():
        worn = change.wear(change.values).round()
    made: Pixels = worn.numpy().astype(np.uint8).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(made)


def region(kind: Kind, size: tuple[int, int]) -> NDArray[np.bool_]:
    """``(H, W)`` the pixels of an aligned crop that an attack may change."""
    if kind == "pgd":
        return np.ones(size, bool)
    drawn = Image.new("1", (size[1], size[0]))
    pen, (x, y) = ImageDraw.Draw(drawn), (size[1] / _SIDE, size[0] / _SIDE)
    (left, top), (right, low) = ARCFACE_TEMPLATE[:2]
    middle, apart = (left + right) / 2, right - left
    if kind == "mask":
        pen.polygon([(px * x, py * y) for px, py in mask_outline(1.3).tolist()], fill=1)
    elif kind == "sticker":
        brow = top - 0.55 * apart
        pen.rectangle([(middle - 0.45 * apart) * x, (brow - 0.5 * apart) * y, (middle + 0.45 * apart) * x, brow * y], 1)
    else:
        _frame(pen, x, y, ((left, top), (right, low)), apart)
    return np.array(drawn)


def _frame(pen: ImageDraw.ImageDraw, x: float, y: float, eyes: Any, apart: float) -> None:
    """Two rims, the bridge between them, and the temples."""
    wide, high, rim = 0.4 * apart, 0.27 * apart, 0.11 * apart
    for ex, ey in eyes:
        pen.ellipse([(ex - wide) * x, (ey - high) * y, (ex + wide) * x, (ey + high) * y], 1)
        inner = wide - rim, high - rim
        pen.ellipse([(ex - inner[0]) * x, (ey - inner[1]) * y, (ex + inner[0]) * x, (ey + inner[1]) * y], 0)
    (left, ey), (right, _) = eyes
    for start, end in ((left + wide - 1, right - wide + 1), (0, left - wide + 1), (right + wide - 1, _SIDE - 1)):
        pen.rectangle([start * x, (ey - rim / 2) * y, end * x, (ey + rim / 2) * y], 1)


class _Change:
    """What is added to the pictures, or worn in them."""

    def __init__(self, clean: Tensor, how: Attack, seed: int) -> None:
        import torch

        self.clean, self.how, size = clean, how, (int(clean.shape[2]), int(clean.shape[3]))
        self.cells = torch.from_numpy(_cells(how.kind, size))
        self.region = torch.from_numpy(region(how.kind, size))
        start = torch.Generator().manual_seed(seed)
        shape = (1 if how.universal else len(clean), 3, int(self.cells.max()) + 1)
        values = torch.rand(shape, generator=start)
        self.values = (2 * values - 1) * how.epsilon if how.kind == "pgd" else 255 * values

    def wear(self, values: Tensor) -> Tensor:
        """The pictures with the change, each value 0..255."""
        import torch

        spread = values[:, :, self.cells]
        if self.how.kind == "pgd":
            return (self.clean + spread).clamp(0, 255)
        return torch.where(self.region, spread, self.clean)

    def ascend(self, gradient: Tensor) -> None:
        """One step up, and back within the limits."""
        how, moved = self.how, self.values.detach() + self.how.step * gradient.sign()
        if how.kind != "pgd":
            self.values = moved.clamp(0, 255)
        elif how.universal:
            self.values = moved.clamp(-how.epsilon, how.epsilon)
        else:  # a picture's own change need not lead out of 0..255
            flat = self.clean.flatten(2)
            self.values = (flat + moved.clamp(-how.epsilon, how.epsilon)).clamp(0, 255) - flat


def _cells(kind: Kind, size: tuple[int, int]) -> NDArray[np.int64]:
    """``(H, W)`` which value of the change a pixel takes: one of its own, or of a face mask its cell's."""
    if kind != "mask":
        return np.arange(size[0] * size[1]).reshape(size)
    inside = np.argwhere(region(kind, size))
    (top, left), (bottom, right) = inside.min(axis=0), inside.max(axis=0) + 1
    row, column = np.indices(size)
    rows = ((row - top) * _CELLS[0] // (bottom - top)).clip(0, _CELLS[0] - 1)
    columns = ((column - left) * _CELLS[1] // (right - left)).clip(0, _CELLS[1] - 1)
    return np.asarray(rows * _CELLS[1] + columns, np.int64)


def _embed(network: Network, images: Tensor) -> Tensor:
    import torch

    answer = network(images)
    vectors: Tensor = answer["embedding"] if isinstance(answer, dict) else answer
    if not vectors.requires_grad:
        raise UnsupportedModel("the network passes no gradient to its input; attack it as a torch module")
    return torch.nn.functional.normalize(vectors, dim=1)
