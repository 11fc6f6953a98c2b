"""Other light, colour, sharpness, noise and compression for a crop of the detector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ...evaluate.corruptions import jpeg, noise
from ..augment import relight

#: Largest change of brightness, contrast and saturation.
MOST = 0.4
#: Shares of crops with that changed, without colour, in the dark, blurred, through JPEG, with noise.
SHARES = (0.6, 0.1, 0.08, 0.1, 0.1, 0.05)


def disturbed(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A changed picture of the same shape; faces stay where they are."""
    changed, grey, dark, blurred, compressed, noisy = rng.random(len(SHARES)) < SHARES
    if changed:
        image = np.asarray(relight(Image.fromarray(image), MOST, rng))
    if grey:
        image = np.repeat(np.asarray(Image.fromarray(image).convert("L"))[..., None], 3, axis=2)
    if dark:
        curve = 255 * rng.uniform(0.2, 0.7) * np.linspace(0, 1, 256) ** rng.uniform(1, 2)
        image = curve.astype(np.uint8)[image]
    if blurred:
        image = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5))))
    if compressed:
        image = jpeg(image, rng.uniform(25, 90), rng)
    return noise(image, rng.uniform(2, 12), rng) if noisy else image
