"""Online feedback: mosaics while small faces are a small share of the loss, and wrong detections that come back."""

from __future__ import annotations

import numpy as np
import torch

from pocketface.train.detect.feedback import LENGTH, NEWEST, SHARE, SIDE, Feedback
from pocketface.train.detect.scenes import scene


def test_mosaics_are_wanted_below_the_share_and_not_above() -> None:
    feedback = Feedback()
    assert not feedback.wants_small
    loss, sides = torch.tensor([1.0, 3.0]), torch.tensor([10.0, 100.0])
    expected = 1.0
    for _ in range(20):
        feedback.weigh(loss, sides)
        expected += NEWEST * (0.25 - expected)
    np.testing.assert_allclose(float(feedback.share), expected, rtol=1e-5)
    steps = 0
    while not feedback.wants_small:
        feedback.weigh(torch.ones(4), torch.full((4,), 100.0))  # large faces only
        steps += 1
    assert float(feedback.share) < SHARE
    assert steps == int(np.ceil(np.log(SHARE / expected) / np.log(1 - NEWEST)))
    while feedback.wants_small:
        feedback.weigh(torch.ones(4), torch.full((4,), 8.0))


def test_a_batch_without_loss_says_nothing() -> None:
    feedback = Feedback()
    feedback.weigh(torch.zeros(0), torch.zeros(0))
    assert float(feedback.share) == 1


def remembered(score: float, *, clean: bool = True) -> Feedback:
    feedback = Feedback()
    images = torch.zeros(1, 3, 128, 128, dtype=torch.uint8)
    images[0, :, 40:88, 30:78] = 200
    boxes = torch.tensor([[[44.0, 54.0, 64.0, 74.0], [0, 0, 9, 9]]])
    feedback.remember(images, torch.tensor([[score, 0.1]]), boxes, torch.tensor([[clean, True]]))
    return feedback


def test_a_wrong_detection_is_kept_and_pasted_where_no_face_is() -> None:
    feedback = remembered(0.9)
    assert int(feedback.count) == 1
    assert (feedback.queue[0] == 200).all()
    empty = scene("a", "a", np.zeros((128, 128, 3), np.uint8), np.empty((0, 4)))
    full = scene("a", "a", np.zeros((128, 128, 3), np.uint8), [(0, 0, 127, 127)])
    rng = np.random.default_rng(0)
    shown = [int((feedback.pasted(empty, rng).image == 200).sum()) for _ in range(200)]
    assert set(shown) == {0, SIDE * SIDE * 3}
    assert 5 < np.count_nonzero(shown) < 40
    assert all((feedback.pasted(full, rng).image == 0).all() for _ in range(100))
    assert (empty.image == 0).all()


def test_unsure_ones_and_ones_on_faces_are_not_kept() -> None:
    assert int(remembered(0.4).count) == 0
    assert int(remembered(0.9, clean=False).count) == 0


def test_its_state_goes_through_a_checkpoint() -> None:
    feedback, other = remembered(0.9), Feedback()
    feedback.weigh(torch.ones(1), torch.full((1,), 100.0))
    other.load_state_dict(feedback.state_dict())
    assert float(other.share) == float(feedback.share) < 1
    assert int(other.count) == 1
    assert torch.equal(other.queue, feedback.queue)
    assert len(other.queue) == LENGTH
