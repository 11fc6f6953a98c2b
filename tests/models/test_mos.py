"""The detector as a whole: its budget, its folding, the sizes it takes, and whether it can learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pocketface.errors import InvalidImage
from pocketface.models import create_model, macs, parameters, reparameterize
from pocketface.models.mos import Mos
from pocketface.models.priors import Faces, Raw

ROOT = Path(__file__).parents[2]
NAMES = ("mos_xs", "mos_s")
BUDGETS = {"mos_xs": (150_000, 70_000_000), "mos_s": (700_000, 300_000_000)}
CHANNELS = {"score": (), "box": (4,), "landmarks": (10,), "pose": (6,)}


def picture(*shape: int, seed: int = 0) -> Tensor:
    coarse = torch.rand(shape[0], 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return nn.functional.interpolate(coarse, shape[1:], mode="bilinear")


def portrait(i: int) -> Tensor:
    """One of the bundled faces as (1, 3, 320, 320) in -1..1."""
    image = Image.open(ROOT / "evaluate" / "faces" / f"person_{i:03d}.jpg").convert("RGB").resize((320, 320))
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1


@pytest.fixture(scope="module", params=NAMES)
def trained_form(request: pytest.FixtureRequest) -> Mos:
    return create_model(request.param, seed=1).double()  # type: ignore[return-value]


@pytest.fixture(scope="module")
def deployed(trained_form: Mos) -> Mos:
    return reparameterize(trained_form)  # type: ignore[return-value]


@pytest.mark.parametrize("name", NAMES)
def test_the_budget_of_the_deployed_detector_holds(name: str) -> None:
    network = reparameterize(create_model(name))
    most_parameters, most_macs = BUDGETS[name]
    assert parameters(network) <= most_parameters
    assert macs(network, (320, 320)) <= most_macs


@pytest.mark.parametrize("size", [(96, 160), (320, 320)])
def test_folding_changes_no_answer(trained_form: Mos, deployed: Mos, size: tuple[int, int]) -> None:
    image = picture(2, *size).double()
    with torch.no_grad():
        for name, before, after in zip(Raw._fields, trained_form(image), deployed(image), strict=True):
            spread = before.flatten(0, 1).std(0).min()  # within one answer: what is the same everywhere proves nothing
            assert spread > 1e-3, f"{name} says nothing"
            assert (before - after).abs().max() <= 1e-10 * spread, name


def test_only_plain_operations_are_left(deployed: Mos) -> None:
    assert not any(isinstance(module, nn.BatchNorm2d) for module in deployed.modules())
    program = torch.export.export(deployed, (picture(1, 96, 96).double(),))
    operations = [str(node.target).split(".")[1] for node in program.graph.nodes if "aten" in str(node.target)]
    shaping = {"flatten", "cat", "slice", "split_with_sizes", "transpose", "select"}
    assert set(operations) <= {"conv2d", "relu", "add", "upsample_nearest2d"} | shaping
    assert operations.count("add") == operations.count("upsample_nearest2d") == 2, "the neck's, and no branch's"
    assert operations.count("conv2d") == sum(isinstance(module, nn.Conv2d) for module in deployed.modules())


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (192, 32)])
def test_there_are_21_answers_for_1024_pixels(trained_form: Mos, size: tuple[int, int]) -> None:
    count = 21 * size[0] * size[1] // 1024
    with torch.no_grad():
        raw = trained_form(picture(2, *size).double())
    for name, answer in raw._asdict().items():
        assert answer.shape == (2, count, *CHANNELS[name])
    shapes = [tuple(answer.shape) for answer in trained_form.decode(raw, *size)]
    assert shapes == [(2, count), (2, count, 4), (2, count, 5, 2), (2, count, 3, 3)]


@pytest.mark.parametrize("size", [(320, 300), (33, 32)])
def test_a_size_that_the_strides_do_not_divide_is_refused(trained_form: Mos, size: tuple[int, int]) -> None:
    with pytest.raises(InvalidImage, match=f"{size[0]} x {size[1]} pixels.*multiples of 32"):
        trained_form(picture(1, *size).double())


def test_pictures_of_a_batch_do_not_see_each_other(deployed: Mos) -> None:
    images = torch.cat([picture(1, 96, 96, seed=seed) for seed in (3, 4)]).double()
    with torch.no_grad():
        together = deployed(images)
        apart = [deployed(image[None]) for image in images]
    for i, answer in enumerate(together):
        torch.testing.assert_close(answer, torch.cat([one[i] for one in apart]), rtol=1e-11, atol=1e-11)


class Pixels(nn.Module):
    def __init__(self, network: Mos) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Faces:
        return self.network.decode(self.network(image), *image.shape[2:])


def test_one_graph_serves_every_size() -> None:
    """What the ONNX export rests on: batch, height and width stay symbols through priors and decoding."""
    graph = Pixels(reparameterize(create_model("mos_xs", seed=0)))  # type: ignore[arg-type]
    dim = torch.export.Dim
    sides = {2: 32 * dim("h", min=2, max=64), 3: 32 * dim("w", min=2, max=64)}
    program = torch.export.export(graph, (picture(2, 96, 128),), dynamic_shapes=({0: dim("batch"), **sides},)).module()
    for shape in ((1, 320, 320), (2, 64, 192), (3, 256, 96)):
        image = picture(*shape)
        with torch.no_grad():
            for expected, got in zip(graph(image), program(image), strict=True):
                torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_every_parameter_learns(name: str, layout: torch.memory_format) -> None:
    """In both layouts: torch 2.13 crashes in the gradient of a strided 1 x 1 over a channels-last picture."""
    torch.manual_seed(0)
    network = create_model(name).train()
    image = picture(2, 64, 96).contiguous(memory_format=layout)
    faces = network.decode(network(image), 64, 96)  # type: ignore[operator]
    sum((answer * torch.randn_like(answer)).sum() for answer in faces).backward()  # type: ignore[union-attr]
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), f"{key} has no part in the answers"


@pytest.mark.parametrize("name", NAMES)
def test_training_starts_without_faces_and_with_heads_that_look_ahead(name: str) -> None:
    torch.manual_seed(0)
    network = create_model(name).train()
    with torch.no_grad():
        scores, boxes, _, rotation = network.decode(network(picture(4, 128, 128)), 128, 128)  # type: ignore[operator]
    assert 0.005 < scores.mean() < 0.02
    side = (boxes[..., 2:] - boxes[..., :2])[:, :256]  # of stride 8
    assert 2.4 * 8 < side.mean() < 3.0 * 8
    assert (rotation.diagonal(dim1=-2, dim2=-1).sum(-1).mean() - 1) / 2 > 0.7, "the mean angle's cosine"


@pytest.mark.parametrize("name", NAMES)
def test_seeded_weights_find_something_but_not_everything(name: str) -> None:
    faces = torch.cat([portrait(i) for i in range(4)])
    network = create_model(name, seed=0)
    with torch.no_grad():
        scores = network.decode(network(faces), 320, 320).scores  # type: ignore[operator]
    assert 0.0005 < (scores > 0.5).float().mean() < 0.6
    assert all(one.unique().numel() > 0.9 * one.numel() for one in scores), "scores that cannot be ranked"


def test_it_learns_one_face() -> None:
    """Forty steps on one bright square: the best score belongs to a box around it."""
    torch.manual_seed(0)
    image = torch.full((1, 3, 96, 96), -0.5)
    image[..., 30:62, 22:54] = 0.8
    target = torch.tensor([21.5, 29.5, 53.5, 61.5])  # left, top, right, bottom of those pixels
    network = create_model("mos_xs").train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for _ in range(40):
        raw = network(image)
        boxes = network.decode(raw, 96, 96).boxes  # type: ignore[operator]
        near = ((boxes[..., :2] + boxes[..., 2:]) / 2 - (target[:2] + target[2:]) / 2).abs().amax(-1) < 8
        score = nn.functional.binary_cross_entropy_with_logits(raw.score, near.float())
        box = nn.functional.l1_loss(boxes[near], target.expand_as(boxes[near])) / 32
        optimizer.zero_grad()
        (score + box).backward()
        optimizer.step()
    with torch.no_grad():
        faces = network.decode(network(image), 96, 96)  # type: ignore[operator]
    best = faces.boxes[0, faces.scores[0].argmax()]
    assert (best - target).abs().max() < 3
