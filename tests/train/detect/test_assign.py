"""Assignment: against one written as loops in float64, and what must hold of any."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from pocketface.models.priors import priors
from pocketface.runtime.boxes import iou
from pocketface.train.detect.assign import CELLS, MOST, NEAR, OVERLAP, assign

SIDE = 64


@pytest.fixture
def scene() -> dict[str, Tensor]:
    """Two pictures, four faces, and a network that says anything, though some of it is near."""
    rng = np.random.default_rng(3)
    points, strides = priors(SIDE, SIDE, torch.zeros((), dtype=torch.float64))
    faces = torch.tensor([[3.0, 4, 20, 22], [12, 4, 30, 25], [5, 5, 60, 62], [40, 40, 46, 47]], dtype=torch.float64)
    picture = torch.tensor([0, 0, 1, 0])
    scores = torch.from_numpy(rng.normal(size=(2, points.shape[1])))
    half = torch.from_numpy(rng.uniform(0.5, 2, (2, points.shape[1], 2))) * strides[:, None]
    middle = points.T + torch.from_numpy(rng.normal(size=(2, points.shape[1], 2))) * strides[:, None] / 2
    boxes = torch.cat([middle - half, middle + half], 2)
    return {
        "scores": scores, "boxes": boxes, "points": points, "strides": strides, "faces": faces, "picture": picture
    }  # fmt: skip


def octaves(cells: float, stride: float) -> float:
    if cells < CELLS[0]:
        return 0.0 if stride == 8 else math.log2(CELLS[0] / cells)
    if cells > CELLS[1]:
        return 0.0 if stride == 32 else math.log2(cells / CELLS[1])
    return 0.0


def by_hand(scores: Tensor, boxes: Tensor, points: Tensor, strides: Tensor, faces: Tensor, picture: Tensor) -> dict:
    """(picture, prior) -> (face, IoU), one pair at a time."""
    takers: dict[tuple[int, int], list[tuple[float, int, float]]] = {}
    for f, (face, b) in enumerate(zip(faces.tolist(), picture.tolist(), strict=True)):
        x, y = (face[0] + face[2]) / 2, (face[1] + face[3]) / 2
        w, h = face[2] - face[0], face[3] - face[1]
        near = []
        for n, stride in enumerate(strides.tolist()):
            dx, dy = abs(float(points[0, n]) - x), abs(float(points[1, n]) - y)
            if dx >= max(w / 2, NEAR * stride) or dy >= max(h / 2, NEAR * stride):
                continue
            overlap = float(iou(np.array([face]), boxes[b, n : n + 1].numpy())[0, 0])
            p = 1 / (1 + math.exp(-float(scores[b, n])))
            cross = -(overlap * math.log(p) + (1 - overlap) * math.log(1 - p))
            cost = cross * (overlap - p) ** 2 - OVERLAP * math.log(max(overlap, 1e-7))
            cost += 10 ** min(math.hypot(dx, dy) / stride - 3, 3)
            cost += OVERLAP * octaves(math.sqrt(w * h) / stride, stride) ** 2
            near.append((cost, n, overlap))
        count = max(1, int(sum(sorted((o for _, _, o in near), reverse=True)[:MOST])))
        for cost, n, overlap in sorted(near)[:count]:
            takers.setdefault((b, n), []).append((cost, f, overlap))
    return {place: min(claims)[1:] for place, claims in takers.items()}


def test_it_is_the_rule_written_as_loops(scene: dict[str, Tensor]) -> None:
    given, wanted = assign(**scene), by_hand(**scene)
    assert {tuple(place) for place in torch.nonzero(given.positive).tolist()} == wanted.keys()
    for (b, n), (face, overlap) in wanted.items():
        assert int(given.face[b, n]) == face
        assert float(given.quality[b, n]) == pytest.approx(overlap, rel=1e-9)
    assert len(wanted) > len(scene["faces"])  # some face has several


def test_what_is_not_assigned_is_background(scene: dict[str, Tensor]) -> None:
    given = assign(**scene)
    assert (given.quality[~given.positive] == 0).all()
    assert (given.face[~given.positive] == 0).all()


def test_no_face_takes_a_prior_of_another_picture(scene: dict[str, Tensor]) -> None:
    given = assign(**scene)
    of = scene["picture"][given.face[given.positive]]
    assert (of == torch.nonzero(given.positive)[:, 0]).all()


@pytest.mark.parametrize(("side", "stride"), [(10.0, 8.0), (30.0, 8.0), (200.0, 32.0)])
def test_small_faces_go_to_the_fine_level_and_large_ones_to_the_coarse(side: float, stride: float) -> None:
    """All priors say the same box, of so small an IoU that one prior is all that the face gets."""
    points, strides = priors(320, 320, torch.zeros((), dtype=torch.float64))
    face = torch.tensor([[155.0, 155, 155, 155]]).double() + torch.tensor([-0.5, -0.5, 0.5, 0.5]).double() * side
    boxes = (155 + (face - 155) * 0.3).expand(1, len(strides), 4)
    given = assign(torch.zeros(1, len(strides)).double(), boxes, points, strides, face, torch.tensor([0]))
    assert strides.expand_as(given.positive)[given.positive].tolist() == [stride]


def test_a_picture_without_faces_has_only_background(scene: dict[str, Tensor]) -> None:
    empty = scene | {"faces": torch.zeros(0, 4).double(), "picture": torch.zeros(0, dtype=torch.int64)}
    assert not assign(**empty).positive.any()
