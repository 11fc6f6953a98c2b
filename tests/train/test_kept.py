"""What is kept of a generated picture: nothing that a detector is not sure of."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pocketface.train.kept import crop_of, whole_of

STEP = np.array([100, 0], np.float32)
FIVE = np.array([[40, 50], [80, 50], [60, 70], [45, 90], [75, 90]], np.float32)
PICTURE = np.tile(np.arange(128, dtype=np.uint8)[:, None, None], (1, 128, 3))


class Finder:
    """A detector that finds faces of given scores, each 100 pixels to the right of the one before."""

    def __init__(self, *scores: float, landmarks: np.ndarray = FIVE) -> None:
        self.scores, self.landmarks = scores, landmarks

    def detect(
        self, image: np.ndarray, *, score_threshold: float = 0.0, max_faces: int | None = None
    ) -> list[SimpleNamespace]:
        box = np.array([30.126, -2.5, 90, 110], np.float32)
        return [
            SimpleNamespace(box=box + i * np.tile(STEP, 2), landmarks=self.landmarks + i * STEP, score=score)
            for i, score in enumerate(self.scores[:max_faces])
            if score >= score_threshold
        ]


def test_a_whole_picture_has_every_face_and_the_doubtful_ones_are_to_be_ignored():
    kept = whole_of(PICTURE, Finder(0.9, 0.8, 0.79, 0.5, 0.49))
    assert [face.ignore for face in kept.faces] == [False, False, True, True]
    assert kept.faces[0].bbox_xywh == (30.13, -2.5, 59.87, 112.5)
    assert kept.faces[1].landmarks5_yunet == (FIVE + STEP).tolist()
    decoded = Image.open(io.BytesIO(kept.encoded))
    assert (decoded.format, decoded.size) == ("JPEG", (128, 128))
    assert np.abs(np.asarray(decoded).astype(int) - PICTURE).max() <= 3


def test_a_crop_is_of_the_surest_face_whatever_its_score():
    kept = crop_of(PICTURE, Finder(0.3, 0.2))
    decoded = Image.open(io.BytesIO(kept.encoded))
    assert (decoded.format, decoded.size, kept.faces) == ("PNG", (112, 112), [])


@pytest.mark.parametrize(
    ("keep", "finder"),
    [
        (whole_of, Finder()),
        (whole_of, Finder(0.79)),
        (crop_of, Finder()),
        (crop_of, Finder(0.9, landmarks=np.ones((5, 2), np.float32))),
    ],
)
def test_nothing_is_kept_where_no_face_is_good_enough(keep, finder):
    assert keep(PICTURE, finder) is None
