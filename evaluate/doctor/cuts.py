"""Ways to cut a face, or a whole picture, to the model's size: ours is not among them, only what apps do instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image as Pillow

from ...contract import ModelContract, Recognition
from ...runtime.align import align_face
from ...runtime.preprocess import letterbox
from ..faces import Image, Portrait

#: The picture that the model sees, and the scale (x, y) that took it there.
Placed = tuple[Image, tuple[float, float]]
Cut = Callable[[Portrait, ModelContract], Placed]
#: Fault, variant, cut.
Named = tuple[str, str, Cut]

#: Sides of crops, relative to ours, so close together that whatever an app takes is explained by its neighbour.
SCALES = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5, 1.6, 1.75)
#: Margins around the detector's box, as shares of its longer side.
MARGINS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
#: Detail of the one cut that differs from another only in how coordinates are taken back.
SAME_INPUT = "both sides undone by one scale"
#: From the order of landmarks as seen in the picture to the person's own left and right.
OTHER_SIDE = [1, 0, 2, 4, 3]


def right_cut(portrait: Portrait, contract: ModelContract) -> Placed:
    """What the contract says: aligned for a recogniser, letterboxed to the top left for a detector."""
    if isinstance(contract.task, Recognition):
        return align_face(portrait.image, portrait.landmarks, contract.task.template, _size(contract)), (1.0, 1.0)
    return _fitted(portrait.image, contract)


def _fitted(image: Image, contract: ModelContract) -> Placed:
    canvas, scale = letterbox(np.ascontiguousarray(image), _size(contract))
    return canvas, (scale, scale)


def recognition_cuts() -> list[Named]:
    """What apps embed instead of an aligned face."""
    cuts: list[Named] = [("not aligned", "the box, squeezed", _box(0, square=False))]
    cuts += [("not aligned", f"a square around the box, margin {m:.0%}", _box(m, square=True)) for m in MARGINS]
    cuts += [("not aligned", "the whole picture", _whole)]
    cuts += [("wrong crop scale", f"too {'tight' if s < 1 else 'loose'}, side x {s}", _template(s)) for s in SCALES]
    cuts += [("wrong crop scale", "8 pixels of 112 to the left (template of 96 x 112)", _template(1, shift=-8 / 112))]
    return [*cuts, ("landmarks out of order", "left for right", _other_side)]


def detection_cuts() -> list[Named]:
    """What apps fit into a detector's input instead of a letterboxed picture."""
    return [
        ("letterbox centred", "border not subtracted", _centred),
        ("stretched", "each side undone by its own scale", _stretched),
        ("stretched", SAME_INPUT, _stretched_undone_by_one),
        ("mirrored", "left for right", lambda portrait, contract: _fitted(portrait.image[:, ::-1], contract)),
        ("turned", "by 90° to the left", lambda portrait, contract: _fitted(np.rot90(portrait.image), contract)),
        ("turned", "by 180°", lambda portrait, contract: _fitted(np.rot90(portrait.image, 2), contract)),
        ("turned", "by 90° to the right", lambda portrait, contract: _fitted(np.rot90(portrait.image, 3), contract)),
    ]


def resize(image: Image, size: tuple[int, int], box: Sequence[float] | None = None) -> Image:
    """A picture, or its box xyxy, to a size (h, w) with its aspect lost, bilinearly; black beyond the picture."""
    picture = Pillow.fromarray(image)
    if box is not None:
        x1, y1, x2, y2 = (round(float(v)) for v in box)
        picture = picture.crop((x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)))
    return np.asarray(picture.resize(size[::-1], Pillow.Resampling.BILINEAR))


def _box(margin: float, *, square: bool) -> Cut:
    def cut(portrait: Portrait, contract: ModelContract) -> Placed:
        x1, y1, x2, y2 = portrait.box
        half = np.array([x2 - x1, y2 - y1]) / 2
        half = np.full(2, half.max() * (1 + 2 * margin)) if square else half
        centre = np.array([x1 + x2, y1 + y2]) / 2
        box = np.concatenate([centre - half, centre + half])
        return resize(portrait.image, _size(contract), box.tolist()), (1.0, 1.0)

    return cut


def _whole(portrait: Portrait, contract: ModelContract) -> Placed:
    return resize(portrait.image, _size(contract)), (1.0, 1.0)


def _template(side: float, shift: float = 0.0) -> Cut:
    """Aligned, but with crops of a side ``side`` times ours, shifted by a share of the width."""

    def cut(portrait: Portrait, contract: ModelContract) -> Placed:
        assert isinstance(contract.task, Recognition)
        h, w = size = _size(contract)
        centre = np.array([w - 1, h - 1]) / 2
        template = (np.array(contract.task.template) - centre) / side + centre + (shift * w, 0)
        return align_face(portrait.image, portrait.landmarks, template, size), (1.0, 1.0)

    return cut


def _other_side(portrait: Portrait, contract: ModelContract) -> Placed:
    assert isinstance(contract.task, Recognition)
    crop = align_face(portrait.image, portrait.landmarks[OTHER_SIDE], contract.task.template, _size(contract))
    return crop, (1.0, 1.0)


def _centred(portrait: Portrait, contract: ModelContract) -> Placed:
    (h, w), (height, width) = _size(contract), portrait.image.shape[:2]
    canvas, scale = letterbox(portrait.image, (h, w))
    rows, columns = round(height * scale), round(width * scale)
    return np.roll(canvas, ((h - rows) // 2, (w - columns) // 2), (0, 1)), (scale, scale)


def _stretched(portrait: Portrait, contract: ModelContract) -> Placed:
    (h, w), (height, width) = _size(contract), portrait.image.shape[:2]
    return resize(portrait.image, (h, w)), (w / width, h / height)


def _stretched_undone_by_one(portrait: Portrait, contract: ModelContract) -> Placed:
    image, (x, _) = _stretched(portrait, contract)
    return image, (x, x)


def _size(contract: ModelContract) -> tuple[int, int]:
    return contract.input.height, contract.input.width
