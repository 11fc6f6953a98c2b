"""Margin losses against their formulas in float64, their slopes, and what happens at the ends of the range."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pocketface.train.margin import ARCFACE, COSFACE, MARGINS, Margin, MarginHead, cosines, margin_logits, with_margin

COMBINED = Margin(m1=1.2, m2=0.3, m3=0.2, scale=30.0)


def by_formula(e: np.ndarray, centres: np.ndarray, label: np.ndarray, margin: Margin, dropped: float = 9.0) -> float:
    """The mean loss, written picture by picture and class by class."""
    total = 0.0
    for x, true in zip(e, label, strict=True):
        terms = {}
        for c, subs in enumerate(centres):
            cos = max(float(x @ w) / (np.linalg.norm(x) * np.linalg.norm(w)) for w in subs)
            if c == true:
                cos = math.cos(margin.m1 * math.acos(cos) + margin.m2) - margin.m3
            elif cos > dropped:
                continue
            terms[c] = margin.scale * cos
        top = max(terms.values())
        total += math.log(sum(math.exp(t - top) for t in terms.values())) + top - terms[int(true)]
    return total / len(e)


@pytest.fixture
def case() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    centres = torch.randn(6, 1, 8, generator=generator, dtype=torch.float64)
    label = torch.tensor([0, 5, 2, 2, 1])
    embedding = torch.randn(5, 8, generator=generator, dtype=torch.float64) + centres[label, 0]
    return 7 * embedding, centres, label


def head_of(centres: torch.Tensor, margin: Margin) -> MarginHead:
    head = MarginHead(*(centres.shape[i] for i in (0, 2)), margin, centres.shape[1]).double()
    head.load_state_dict({"centres": centres})
    return head


def test_the_named_margins_are_those_of_the_papers() -> None:
    assert (ARCFACE.m1, ARCFACE.m2, ARCFACE.m3, ARCFACE.scale) == (1, 0.5, 0, 64)
    assert (COSFACE.m1, COSFACE.m2, COSFACE.m3, COSFACE.scale) == (1, 0, 0.4, 64)
    assert MARGINS == {"arcface": ARCFACE, "cosface": COSFACE}


@pytest.mark.parametrize("margin", [ARCFACE, COSFACE, COMBINED, Margin()])
@pytest.mark.parametrize("k", [1, 3])
def test_the_loss_is_the_formula(case: tuple[torch.Tensor, ...], margin: Margin, k: int) -> None:
    embedding, centres, label = case
    centres = torch.cat([centres, *(torch.randn_like(centres) for _ in range(k - 1))], 1)
    expected = by_formula(embedding.numpy(), centres.numpy(), label.numpy(), margin)
    assert head_of(centres, margin)(embedding, label).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("margin", [ARCFACE, COSFACE, COMBINED])
def test_the_gradient_is_that_of_the_loss(case: tuple[torch.Tensor, ...], margin: Margin) -> None:
    embedding, centres, label = case
    head = head_of(centres, margin)
    assert torch.autograd.gradcheck(lambda e: head(e, label), embedding.requires_grad_())
    head.zero_grad()
    assert torch.autograd.gradcheck(
        lambda w: torch.func.functional_call(head, {"centres": w}, (embedding, label)), head.centres
    )


def test_the_slope_is_the_formulas_and_not_the_published_codes() -> None:
    theta = torch.linspace(0.05, 2.6, 50, dtype=torch.float64)
    cosine = theta.cos().requires_grad_()
    with_margin(cosine, ARCFACE).sum().backward()
    assert torch.allclose(cosine.grad, (theta + 0.5).sin() / theta.sin(), rtol=1e-9)
    assert cosine.grad[0] > 10
    assert cosine.grad[-1] < 0.1  # the published code descends with 1 at both
    turn = math.radians(76)
    assert torch.equal(cosine.grad > 1, theta < math.atan(math.sin(0.5) / (1 - math.cos(0.5))))
    assert math.atan(math.sin(0.5) / (1 - math.cos(0.5))) == pytest.approx(turn, abs=0.01)


@pytest.mark.parametrize("margin", [ARCFACE, COMBINED, Margin(m1=4.0), Margin(m2=3.0)])
def test_a_larger_angle_never_has_a_larger_logit(margin: Margin) -> None:
    cosine = torch.linspace(-1, 1, 4001, dtype=torch.float64, requires_grad=True)
    out = with_margin(cosine, margin)
    assert (out.diff() > 0).all()
    assert out.diff().max() < 0.2  # and it does not jump
    out.sum().backward()
    assert cosine.grad.min() > -1e-6  # at multiples of pi it is 0 but for rounding


def test_before_pi_it_is_the_published_formula_and_beyond_sphereface() -> None:
    theta = torch.tensor([2.0, 2.6, 2.7, 3.1], dtype=torch.float64)
    expected = [math.cos(2.5), math.cos(3.1), -2 - math.cos(3.2), -2 - math.cos(3.6)]
    assert with_margin(theta.cos(), ARCFACE).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("margin", [ARCFACE, COSFACE, COMBINED])
def test_on_the_centre_and_opposite_everything_is_finite(dtype: torch.dtype, margin: Margin) -> None:
    centres = torch.randn(4, 1, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
    near = centres[0, 0] + 1e-5 * torch.randn(16, generator=torch.Generator().manual_seed(1)).to(dtype)
    embedding = torch.stack([centres[0, 0], 3 * centres[0, 0], -centres[0, 0], near, torch.zeros(16, dtype=dtype)])
    embedding.requires_grad_()
    head = MarginHead(4, 16, margin).to(dtype)
    head.load_state_dict({"centres": centres})
    loss = head(embedding, torch.zeros(5, dtype=torch.int64))
    loss.backward()
    assert loss.isfinite()
    assert embedding.grad.isfinite().all()
    assert head.centres.grad.isfinite().all()
    # The slope has no bound near the centre; the gradient by the embedding has one, scale * m1 * |sin| / length.
    assert embedding.grad[:4].norm(dim=1).max() < margin.scale * 2.5 / centres[0].norm()


def test_cosines_beyond_one_by_rounding_are_taken_as_one() -> None:
    cosine = torch.tensor([[1.0000002, -1.0000002]], requires_grad=True)
    logits = margin_logits(cosine, torch.tensor([0]), ARCFACE)
    assert logits.tolist()[0] == pytest.approx([64 * math.cos(0.5), -64], rel=1e-3)
    logits.sum().backward()
    assert cosine.grad.isfinite().all()


def test_conflicting_classes_are_left_out(case: tuple[torch.Tensor, ...]) -> None:
    embedding, centres, label = case
    centres = centres.clone()
    centres[4] = centres[2] + 0.3 * centres[4]  # one person under two labels
    e = embedding.requires_grad_()
    plain, dropping = (head_of(centres, Margin(m3=0.4, scale=20.0, drop_above=d)) for d in (None, 0.4))
    expected = by_formula(e.detach().numpy(), centres.numpy(), label.numpy(), plain.margin, dropped=0.4)
    assert dropping(e, label).item() == pytest.approx(expected, rel=1e-12)
    assert dropping(e, label) < plain(e, label) - 0.1
    dropping(e[2:4], label[2:4]).backward()  # both pictures are nearer to class 4 than 0.4
    assert (cosines(e[2:4], centres)[:, 4] > 0.4).all()
    assert dropping.centres.grad[4].abs().max() == 0
    assert dropping.centres.grad[2].abs().max() > 0
    assert dropping.centres.grad.isfinite().all()


def test_a_label_that_is_in_no_column_gets_no_margin() -> None:
    cosine = torch.tensor([[0.3, 0.2], [0.1, -0.5]])
    logits = margin_logits(cosine, torch.tensor([-1, 1]), COSFACE)
    assert torch.allclose(logits, 64 * torch.tensor([[0.3, 0.2], [0.1, -0.9]]))


def test_autocast_does_not_round_the_logits(case: tuple[torch.Tensor, ...]) -> None:
    embedding, centres, label = (x.float() if x.is_floating_point() else x for x in case)
    head = MarginHead(6, 8)
    head.load_state_dict({"centres": centres})
    with torch.autocast("cpu", torch.bfloat16):
        inside = head(embedding, label)
    assert inside.item() == pytest.approx(head(embedding, label).item(), rel=1e-6)


@pytest.mark.parametrize("wrong", [{"m1": 0.5}, {"m2": -0.1}, {"m2": 4.0}, {"m3": -1.0}, {"scale": 0.0}])
def test_a_margin_that_makes_it_easier_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected m1 >= 1"):
        Margin(**wrong)
