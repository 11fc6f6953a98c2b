from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pocketface.contract import Recognition
from pocketface.evaluate.aligned import aligned_crops
from pocketface.evaluate.data import ImageSet, Sample


def test_faces_are_cut_out_once_and_pictures_without_one_fail():
    calls = []

    def detect(image):
        calls.append(image.shape)
        points = np.array(Recognition(embedding_size=48).template) + 20
        return [] if image[0, 0, 0] == 1 else [SimpleNamespace(box=np.array([20, 20, 130, 130]), landmarks=points)]

    contract = SimpleNamespace(to_json=lambda: "{}")
    artifact = SimpleNamespace(sha256="ef" * 32)
    detector = SimpleNamespace(detect=detect, artifact=artifact, contract=contract, backend="fake", size=(160, 160))
    wide = np.random.default_rng(0).integers(2, 255, (160, 160, 3), dtype=np.uint8)
    empty = np.ones((160, 160, 3), np.uint8)
    made = [Sample(name, lambda image=image: image, False) for name, image in (("a", wide), ("b", empty))]
    crops = aligned_crops(ImageSet("wild", tuple(made), "0" * 64), detector)
    assert [sample.aligned for sample in crops.samples] == [True, True]
    np.testing.assert_array_equal(crops.samples[0].read(), wide[20:132, 20:132])
    crops.samples[0].read()
    assert len(calls) == 1
    with pytest.raises(Exception, match="b: no face"):
        crops.samples[1].read()
