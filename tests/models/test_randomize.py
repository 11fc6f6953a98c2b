"""Seeded weights: the same everywhere, sane in size, and no branch is silent."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pocketface.contract import ARCFACE_TEMPLATE
from pocketface.evaluate.faces import bundled_portraits
from pocketface.models import create_model, list_models
from pocketface.runtime.align import align_face


@pytest.fixture(scope="module")
def faces() -> Tensor:
    crops = [align_face(p.image, p.landmarks, ARCFACE_TEMPLATE, (112, 112)) for p in bundled_portraits()[:16]]
    return torch.stack([torch.from_numpy(crop.copy()) for crop in crops]).permute(0, 3, 1, 2) / 127.5 - 1


def test_a_seed_gives_the_same_bits_whatever_the_threads() -> None:
    threads = torch.get_num_threads()
    states = []
    for count in (1, 2):
        torch.set_num_threads(count)
        states.append(create_model("facelivtv2_xs", seed=7).state_dict())
    torch.set_num_threads(threads)
    assert all(torch.equal(states[0][key], value) for key, value in states[1].items())


def test_seeds_differ() -> None:
    a, b = (create_model("facelivtv2_xs", seed=seed).state_dict()["head.classifier.l.weight"] for seed in (0, 1))
    assert (a - b).abs().mean() > a.abs().mean() / 2


@pytest.mark.parametrize("name", list_models())
def test_no_scale_is_tiny(name: str) -> None:
    for key, value in create_model(name, seed=0).named_parameters():
        assert value.abs().mean() > 1e-3, key


@pytest.mark.parametrize("name", list_models("recognition"))
def test_faces_pass_in_float16_and_differ(name: str, faces: Tensor) -> None:
    model = create_model(name, seed=0)
    largest: list[float] = []
    for module in model.modules():
        module.register_forward_hook(lambda _module, _inputs, output: largest.append(float(output.abs().max())))
    with torch.no_grad():
        embeddings = nn.functional.normalize(model(faces))
    assert max(largest) < 1000  # float16 ends at 65504
    cosines = (embeddings @ embeddings.T).fill_diagonal_(-1)
    assert cosines.max() < 0.99
    assert cosines.mean() < 0.75
