"""Inputs that a model declares as images.

Core ML takes a picture for them and lays it out itself. The program sees planes ``(1, 3, H, W)`` of pixel values 0..255
in the channel order that the model declares; what scaling there is, is part of the program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InvalidContract, UnsupportedModel
from .elements import Array


@dataclass(frozen=True)
class ImageInput:
    """One image input.

    Attributes:
        name: of the input.
        order: ``RGB`` or ``BGR``, of the program's planes.
    """

    name: str
    order: str

    def planes(self, pictures: Array) -> Array:
        """``(N, H, W, 3) uint8`` RGB to ``(N, 3, H, W) float32`` in the program's channel order.

        Raises:
            InvalidContract: another shape or type.
        """
        if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype != np.uint8:
            raise InvalidContract(
                f"input {self.name!r} is {pictures.dtype} of shape {pictures.shape}, "
                "but the program takes a picture, uint8 RGB (1, H, W, 3)"
            )
        channels = pictures if self.order == "RGB" else pictures[..., ::-1]
        return np.ascontiguousarray(channels.transpose(0, 3, 1, 2), dtype=np.float32)


def image_inputs(description: Any) -> dict[str, ImageInput]:
    """The image inputs in a ``ModelDescription`` message, by name.

    Raises:
        UnsupportedModel: an image that is not RGB or BGR, an image as output, or several functions in one model,
            each of which has inputs of its own.
    """
    if description.functions:
        raise UnsupportedModel(f"the model has functions {[f.name for f in description.functions]}, expected one")
    outputs = [o.name for o in description.output if o.type.WhichOneof("Type") == "imageType"]
    if outputs:
        raise UnsupportedModel(f"the outputs {outputs} are images, expected tensors")
    images = [i for i in description.input if i.type.WhichOneof("Type") == "imageType"]
    return {i.name: ImageInput(i.name, _order(i.name, i.type.imageType)) for i in images}


def _order(name: str, kind: Any) -> str:
    order = str(kind.ColorSpace.Name(kind.colorSpace))
    if order not in ("RGB", "BGR"):
        raise UnsupportedModel(f"the image {name!r} is {order}, expected RGB or BGR")
    return order
