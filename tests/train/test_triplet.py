"""Triplets against a loop over all of them, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pocketface.train.triplet import TripletHead, harmonic_loss, triplet_loss


def by_loop(anchor: np.ndarray, other: np.ndarray, label: list[int], other_label: list[int], margin: float) -> float:
    """Every anchor with every positive, and the nearest of the negatives that are farther, but within the margin."""
    a = anchor / np.linalg.norm(anchor, axis=1, keepdims=True)
    b = other / np.linalg.norm(other, axis=1, keepdims=True)
    losses = []
    for i, x in enumerate(a):
        for p, y in enumerate(b):
            if p == i or label[i] != other_label[p]:
                continue
            near = ((x - y) ** 2).sum()
            far = [((x - z) ** 2).sum() for n, z in enumerate(b) if other_label[n] != label[i]]
            semi_hard = [d for d in far if near < d < near + margin]
            losses.append(near - min(semi_hard) + margin if semi_hard else 0.0)
    return float(np.mean(losses)) if losses else 0.0


@pytest.fixture
def batch() -> tuple[torch.Tensor, list[int]]:
    generator = torch.Generator().manual_seed(1)
    label = [0, 0, 0, 1, 1, 2, 2, 2, 2, 3]  # of 3 there is no second picture
    people = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    return 3 * (people[label] + 0.8 * torch.randn(10, 6, generator=generator, dtype=torch.float64)), label


@pytest.mark.parametrize("margin", [0.2, 0.1, 1.0])
def test_all_pairs_with_semi_hard_negatives(batch: tuple[torch.Tensor, list[int]], margin: float) -> None:
    e, label = batch
    expected = by_loop(e.numpy(), e.numpy(), label, label, margin)
    assert expected > 0
    assert triplet_loss(e, torch.tensor(label), margin).item() == pytest.approx(expected, rel=1e-9)
    assert TripletHead(margin)(e, torch.tensor(label)).item() == pytest.approx(expected, rel=1e-9)
    assert torch.autograd.gradcheck(lambda x: triplet_loss(x, torch.tensor(label), margin), e.clone().requires_grad_())


def test_harmonic_triplets_mix_both_networks(batch: tuple[torch.Tensor, list[int]]) -> None:
    new, label = batch
    old = (new.roll(1, 1) + 0.5 * new).requires_grad_()
    both = torch.cat([new, old.detach()])
    expected = by_loop(new.numpy(), both.numpy(), label, label * 2, 0.2)
    new.requires_grad_()
    loss = harmonic_loss(new, old, torch.tensor(label))
    assert loss.item() == pytest.approx(expected, rel=1e-9)
    assert loss.item() != pytest.approx(triplet_loss(new, torch.tensor(label)).item(), rel=1e-3)
    loss.backward()
    assert old.grad is None
    assert new.grad.abs().max() > 0


def test_descending_the_harmonic_loss_makes_old_and_new_comparable() -> None:
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(8).repeat_interleave(4)
    people = torch.randn(8, 16, generator=generator)[label]
    old = people + 0.3 * torch.randn(32, 16, generator=generator)
    new = torch.nn.Linear(16, 16)

    def separation() -> float:
        cosine = torch.nn.functional.normalize(new(people).detach()) @ torch.nn.functional.normalize(old).T
        same = label[:, None] == label
        return float(cosine[same].mean() - cosine[~same].mean())

    before, optimizer = separation(), torch.optim.Adam(new.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        harmonic_loss(new(people), old, label, 0.5).backward()
        optimizer.step()
    assert separation() > before + 0.3


@pytest.mark.parametrize("label", [[0, 0, 0], [0, 1, 2], [0, 0, 1]])
def test_without_a_triplet_it_is_0_and_has_a_gradient_of_0(label: list[int]) -> None:
    e = torch.tensor([[1.0, 0.0], [0.99, 0.01], [-1.0, 0.0]], requires_grad=True)
    loss = triplet_loss(e, torch.tensor(label))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(e.grad, torch.zeros_like(e))


def test_autocast_does_not_round_the_distances(batch: tuple[torch.Tensor, list[int]]) -> None:
    e, label = batch[0].float(), torch.tensor(batch[1])
    with torch.autocast("cpu", torch.bfloat16):
        inside = triplet_loss(e, label)
    assert inside.item() == pytest.approx(triplet_loss(e, label).item(), rel=1e-5)
