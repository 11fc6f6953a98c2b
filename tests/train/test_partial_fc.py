"""Sampled and sharded classes against plain softmax and torch's own AdamW, alone and over two gloo ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pocketface.train.margin import ARCFACE, COSFACE, Margin, MarginHead
from pocketface.train.partial_fc import PartialFC

CLASSES, FEATURES = 7, 5
MARGIN = Margin(m2=0.4, m3=0.1, scale=16.0)


def alone(share: float = 1.0, **more: Any) -> PartialFC:
    made = {"classes": CLASSES, "features": FEATURES, "margin": MARGIN, "learning_rate": lambda step: 0.1 / (step + 1)}
    return PartialFC(**{**made, "share": share, "weight_decay": 0.05, "seed": 3, **more}).double()


def batches(count: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        (
            torch.randn(4, FEATURES, generator=generator, dtype=torch.float64),
            torch.randint(CLASSES, (4,), generator=generator),
        )
        for _ in range(count)
    ]


def plain_loss(e: torch.Tensor, centres: torch.Tensor, label: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """The margin softmax over some classes, from the formula."""
    cosine = F.normalize(e) @ F.normalize(centres[columns, 0]).T
    true = columns == label[:, None]
    angle = cosine.clamp(-1 + 1e-15, 1 - 1e-15).acos()
    return F.cross_entropy(
        MARGIN.scale * torch.where(true, (angle + MARGIN.m2).cos() - MARGIN.m3, cosine), true.int().argmax(1)
    )


def test_with_all_classes_it_is_the_margin_head_under_adamw() -> None:
    head, other = alone(), MarginHead(CLASSES, FEATURES, MARGIN).double()
    other.load_state_dict({"centres": head.centres})
    optimizer = torch.optim.AdamW(other.parameters(), weight_decay=0.05)
    for step, (e, label) in enumerate(batches(5)):
        e.requires_grad_()
        loss, expected = head(e, label), other(e, label)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
        (grad,) = torch.autograd.grad(expected, e, retain_graph=True)
        optimizer.zero_grad()
        loss.backward()
        expected.backward(inputs=list(other.parameters()))
        assert torch.allclose(e.grad, grad, rtol=1e-10, atol=1e-14)
        optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
        optimizer.step()
        assert torch.allclose(head.centres, other.centres, rtol=1e-10, atol=1e-14)


def test_a_row_learns_as_if_steps_without_it_had_not_been() -> None:
    head = alone(0.4, margin=COSFACE)
    rows = [nn.Parameter(row.clone()) for row in head.centres]
    own = [torch.optim.AdamW([row], lr=0.01, weight_decay=0.05) for row in rows]
    head.learning_rate = lambda step: 0.01
    taken = set()
    for e, label in batches(12):
        before, columns = head.centres.clone(), head.sample(label)
        taken.add(tuple(columns.tolist()))
        head(e, label).backward()
        copy = before[columns].requires_grad_()
        local = torch.searchsorted(columns, label)
        rest = MarginHead(len(columns), FEATURES, COSFACE).double()
        torch.func.functional_call(rest, {"centres": copy}, (e, local)).backward()
        for place, number in enumerate(columns.tolist()):
            rows[number].grad = copy.grad[place]
            own[number].step()
        assert torch.allclose(head.centres, torch.stack([row.detach() for row in rows]), rtol=1e-9)
        untouched = [n for n in range(CLASSES) if n not in columns]
        assert torch.equal(head.centres[untouched], before[untouched])
    assert len(taken) > 3


def test_a_sample_has_all_classes_of_the_batch_and_fills_up_with_others() -> None:
    head = alone(0.3, classes=100)
    own = torch.tensor([7, -1, 93, 7, 12])
    sample = head.sample(own)
    assert len(sample) == 30
    assert torch.equal(sample, sample.unique())
    assert {7, 12, 93} <= set(sample.tolist())
    assert torch.equal(sample, head.sample(own))
    head.step += 1
    others = head.sample(own)
    assert not torch.equal(sample, others)
    assert torch.equal(head.sample(torch.arange(40)), torch.arange(40))  # more than the share: these alone
    assert torch.equal(alone(1.0, classes=100).sample(own), torch.arange(100))


def test_negatives_are_drawn_evenly() -> None:
    head, counts = alone(0.2, classes=50), torch.zeros(50)
    for step in range(1000):
        head.step.fill_(step)
        counts[head.sample(torch.tensor([0]))] += 1
    assert counts[0] == 1000
    expected = 1000 * 9 / 49  # binomial, deviation 12.2
    assert (counts[1:] - expected).abs().max() < 5 * 12.2


def test_without_a_gradient_nothing_moves() -> None:
    head, (e, label) = alone(0.5), batches(1)[0]
    before = {key: value.clone() for key, value in head.state_dict().items()}
    with torch.no_grad():
        head(e, label)
    assert all(torch.equal(value, before[key]) for key, value in head.state_dict().items())


def test_a_checkpoint_goes_on_as_if_it_had_not_stopped() -> None:
    whole, first, second = alone(0.4), alone(0.4), alone(0.4, seed=3)
    steps = batches(6)
    for e, label in steps:
        whole(e, label).backward()
    for e, label in steps[:3]:
        first(e, label).backward()
    second.load_state_dict(first.state_dict())
    for e, label in steps[3:]:
        second(e, label).backward()
    assert torch.equal(whole.centres, second.centres)


@pytest.mark.parametrize("wrong", [{"share": 0.0}, {"share": 1.5}, {"classes": 1, "ranks": 2}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a class per rank"):
        alone(**wrong)


WORKER = """
import sys, torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from pocketface.train.margin import Margin
from pocketface.train.partial_fc import PartialFC

folder = sys.argv[1]
dist.init_process_group("gloo")
rank = dist.get_rank()

class Network(nn.Module):
    def __init__(self, head):
        super().__init__()
        self.backbone, self.head = nn.Linear(3, 5), head
        names = [f"head.{name}" for name in head.unshared()]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(self, names)
    def forward(self, x, label):
        return self.head(self.backbone(x), label)

x, label, weight, whole = torch.load(f"{folder}/case.pt")
kept = []
for share in (1.0, 0.5):
    margin = Margin(m2=0.4, m3=0.1, scale=16.0)
    head = PartialFC(7, 5, margin, share=share, learning_rate=lambda step: 0.1, seed=3, rank=rank, ranks=2)
    network = Network(head).double()
    network.load_state_dict({"backbone.weight": weight, "backbone.bias": torch.zeros(5).double(), **whole})
    ranks = DistributedDataParallel(network)
    own = torch.where((label >= head.first) & (label < head.first + len(head.centres)), label - head.first, -1)
    sample = head.sample(own) + head.first
    mine = slice(3 * rank, 3 * rank + 3)
    loss = ranks(x[mine], label[mine])
    loss.backward()
    state = {key: value.clone() for key, value in network.state_dict().items()}
    kept.append({"loss": loss.detach(), "grad": network.backbone.weight.grad, "sample": sample,
                 "own": len(head.centres), "state": state})
torch.save(kept, f"{folder}/rank{rank}.pt")
del ranks  # see Ranks
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def ranks(
    on_two_ranks: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, torch.Tensor], list[list[dict[str, Any]]]]:
    """The same step on two ranks, with all classes and with half of them."""
    folder = tmp_path_factory.mktemp("ranks")
    generator = torch.Generator().manual_seed(8)
    x = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    weight = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    label = torch.tensor([0, 6, 3, 2, 0, 5])
    whole = {f"head.{key}": value for key, value in alone().state_dict().items()}
    torch.save((x, label, weight, whole), folder / "case.pt")
    (folder / "worker.py").write_text(WORKER)
    on_two_ranks(folder / "worker.py", folder)
    case = {"x": x, "label": label, "weight": weight, "centres": whole["head.centres"]}
    return case, [torch.load(folder / f"rank{r}.pt") for r in range(2)]


@pytest.mark.parametrize(("number", "classes"), [(0, 7), (1, 4)])
def test_two_ranks_give_the_loss_and_gradients_of_one_process(
    ranks: tuple[dict[str, torch.Tensor], list[list[dict[str, Any]]]], number: int, classes: int
) -> None:
    case, (first, second) = ranks[0], [rank[number] for rank in ranks[1]]
    columns = torch.cat([first["sample"], second["sample"]])
    assert set(case["label"].tolist()) <= set(columns.tolist())
    assert len(columns) >= classes
    assert (len(columns) == CLASSES) == (number == 0)
    weight, centres = case["weight"].clone().requires_grad_(), case["centres"].clone().requires_grad_()
    expected = plain_loss(case["x"] @ weight.T, centres, case["label"], columns)
    expected.backward()
    for rank in (first, second):
        assert rank["loss"].item() == pytest.approx(expected.item(), rel=1e-12)
        assert torch.allclose(rank["grad"], weight.grad, rtol=1e-9, atol=1e-13)
        # After one step the first moment is a tenth of the gradient; a checkpoint has all classes, on both ranks.
        assert torch.allclose(rank["state"]["head.mean"] * 10, centres.grad, rtol=1e-6, atol=1e-13)
        assert rank["state"]["head.centres"].shape == (CLASSES, 1, FEATURES)
    assert (first["own"], second["own"]) == (3, 4)
    assert all(torch.equal(first["state"][key], second["state"][key]) for key in first["state"])


def test_two_ranks_and_one_process_move_the_centres_alike(
    ranks: tuple[dict[str, torch.Tensor], list[list[dict[str, Any]]]],
) -> None:
    case, state = ranks[0], ranks[1][0][0]["state"]
    single = alone(1.0, weight_decay=0.0, learning_rate=lambda step: 0.1)
    single(case["x"] @ case["weight"].T, case["label"]).backward()
    assert torch.allclose(single.centres, state["head.centres"], rtol=1e-9, atol=1e-13)
    assert not np.allclose(single.centres, case["centres"], atol=0.05)


def test_arcface_is_the_default() -> None:
    assert PartialFC(2, 2, share=1.0, learning_rate=lambda step: 0.1).margin == ARCFACE
