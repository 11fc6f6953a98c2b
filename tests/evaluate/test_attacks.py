"""Attacks on networks small enough to know what must come out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pocketface.artifact import Artifact
from pocketface.contract import ARCFACE_TEMPLATE, InputSpec, ModelContract, Recognition
from pocketface.errors import InvalidData, InvalidImage, UnsupportedModel
from pocketface.evaluate.attacks import KINDS, attack, plan, region
from pocketface.evaluate.crops import Cropper
from pocketface.evaluate.data import ImageSet, PairSet, Sample
from pocketface.evaluate.transfer import attack_and_transfer, crops_of, draw_pairs, run_attacks, successes
from pocketface.runtime.embedder import Embedder

torch = pytest.importorskip("torch")
SIDE = 56
HALF = tuple((x / 2, y / 2) for x, y in ARCFACE_TEMPLATE)


class Small(torch.nn.Module):
    """A convolution, a bend and a projection."""

    def __init__(self, levels=None):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layers = torch.nn.Sequential(
                torch.nn.Conv2d(3, 8, 7, stride=7),
                torch.nn.Tanh(),
                torch.nn.Flatten(),
                torch.nn.Linear(8 * (SIDE // 7) ** 2, 16, bias=False),
            )
        if levels:  # as int8 has it: weights on a grid
            for weight in self.parameters():
                step = weight.detach().abs().max() / levels
                weight.data = (weight.detach() / step).round() * step

    def forward(self, image):
        return {"embedding": self.layers(image / 127.5 - 1)}


class Engine:
    name = "torch"

    def __init__(self, module):
        self.module = module

    @torch.no_grad()
    def run(self, feeds):
        return {"embedding": self.module(torch.from_numpy(np.ascontiguousarray(feeds["image"])))["embedding"].numpy()}


@pytest.fixture(scope="module")
def network():
    return Small().eval()


@pytest.fixture
def embedder(tmp_path):
    def make(module, precision="float32"):
        contract = ModelContract(
            model="small",
            task=Recognition(
                embedding_size=16, normalized=False, template=[(x / 2, y / 2) for x, y in ARCFACE_TEMPLATE]
            ),
            input=InputSpec(name="image", layout="NCHW", height=SIDE, width=SIDE, dynamic_batch=True),
            outputs={"embedding": "embedding"},
            precision=precision,
            fingerprint="ab" * 32,
            weights="by hand",
            trained=True,
        )
        return Embedder(Artifact(tmp_path / f"{precision}.onnx", contract, "cd" * 32, 1), backend=Engine(module))

    return make


@pytest.fixture(scope="module")
def faces():
    rng = np.random.default_rng(0)
    return np.repeat(np.repeat(rng.integers(0, 256, (8, 8, 8, 3), dtype=np.uint8), 7, 1), 7, 2)


def unit(network, images):
    with torch.no_grad():
        vectors = network(torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32)))["embedding"].numpy()
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def cosines(network, images, references):
    return (unit(network, images) * references).sum(axis=1)


@pytest.mark.parametrize("universal", [False, True])
def test_pgd_stays_within_eight_levels_and_turns_away(network, faces, universal):
    references = unit(network, faces)
    made = attack(network, faces, references, plan("pgd", "dodging", universal=universal, iterations=10))
    assert (made.dtype, made.shape) == (np.uint8, faces.shape)
    moved = made.astype(int) - faces
    assert 0 < np.abs(moved).max() <= 8
    assert cosines(network, made, references).mean() < 1 - 1e-3
    inner = (faces >= 8) & (faces <= 247)
    shared = all((moved[i] == moved[0])[inner[i] & inner[0]].all() for i in range(8))
    assert shared == universal


@pytest.mark.parametrize("kind", KINDS)
def test_impersonation_comes_nearer_to_another_and_more_steps_come_nearer_still(network, faces, kind):
    references = unit(network, faces[::-1].copy())
    before = cosines(network, faces, references)
    few, many = (
        cosines(network, attack(network, faces, references, plan(kind, "impersonation", iterations=n)), references)
        for n in (2, 40)
    )
    assert (many > before).all()
    assert many.mean() > few.mean()


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_patch_changes_its_region_alone_and_a_universal_one_is_the_same_for_all(network, faces, kind):
    inside = region(kind, (SIDE, SIDE))
    assert 0.02 < inside.mean() < 0.5
    made = attack(network, faces, unit(network, faces), plan(kind, "dodging", universal=True, iterations=3))
    np.testing.assert_array_equal(made[:, ~inside], faces[:, ~inside])
    assert all((made[i][inside] == made[0][inside]).all() for i in range(8))
    own = attack(network, faces, unit(network, faces), plan(kind, "dodging", iterations=3))
    np.testing.assert_array_equal(own[:, ~inside], faces[:, ~inside])
    assert (own[1][inside] != own[0][inside]).any()
    assert cosines(network, own, unit(network, faces)).mean() < 0.99


def test_a_mask_is_made_of_sixteen_by_eight_cells(network, faces):
    made = attack(network, faces[:1], unit(network, faces[:1]), plan("mask", "dodging", iterations=2))
    colours = np.unique(made[0][region("mask", (SIDE, SIDE))], axis=0)
    assert 64 < len(colours) <= 128


def test_regions_lie_where_they_are_worn():
    eyes, nose, mouth = np.array(ARCFACE_TEMPLATE)[:2], ARCFACE_TEMPLATE[2], np.array(ARCFACE_TEMPLATE)[3:]
    sticker, glasses, mask = (region(kind, (112, 112)) for kind in KINDS[1:])
    assert np.argwhere(sticker)[:, 0].max() < eyes[:, 1].min() - 10
    for x, y in eyes.round().astype(int):
        assert not glasses[y, x]  # one sees through them
        assert glasses[y - 9 : y + 10, x].any()
    for x, y in mouth.round().astype(int):
        assert mask[y, x]
    assert mask[int(nose[1]) + 1, int(nose[0])]
    assert not (mask & sticker).any()
    large = region("glasses", (224, 224))
    assert large.mean() == pytest.approx(glasses.mean(), rel=0.1)


def test_a_linear_network_gives_the_step_that_can_be_worked_out():
    weights = torch.zeros(2, 3 * 4)
    weights[0, :6], weights[1, 6:] = 1, 1

    def linear(image):
        return image.flatten(1) @ weights.T

    image = np.full((1, 2, 2, 3), 100, np.uint8)  # channels first: the first six values are red and half of green
    made = attack(linear, image, np.array([[1, 0]], np.float32), plan("pgd", "impersonation", iterations=20))
    planes = made[0].transpose(2, 0, 1).ravel().astype(int) - 100
    assert planes.tolist() == [8] * 6 + [-8] * 6


def test_the_same_seed_gives_the_same_picture(network, faces):
    how, references = plan("glasses", "dodging", iterations=2), unit(network, faces)
    first, again, other = (attack(network, faces, references, how, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_success_is_counted_among_the_pairs_that_were_right_before():
    before, after = np.array([0.9, 0.6, 0.2, 0.1]), np.array([0.4, 0.7, 0.1, 0.5])
    eligible, won = successes(before, after, "dodging", 0.5)
    assert (eligible.tolist(), won.tolist()) == ([True, True, False, False], [True, False, False, False])
    eligible, won = successes(before, after, "impersonation", 0.5)
    assert (eligible.tolist(), won.tolist()) == ([False, False, True, True], [False, False, False, True])


def test_an_attack_on_float_transfers_to_coarser_weights(network, embedder, faces):
    partners = faces[::-1].copy()
    files = embedder(network), embedder(Small(levels=31).eval(), "int8")
    how = plan("pgd", "impersonation", iterations=40)
    start = cosines(network, faces, unit(network, partners))
    threshold = float(start.max()) + 0.01
    changed, (source, other) = attack_and_transfer(
        network, files[0], files[1:], faces, partners, how, (threshold, threshold), at_once=3
    )
    assert (source.engine, other.file) == ("torch", "int8.onnx")
    assert source.eligible == 8
    end = cosines(network, changed, unit(network, partners))
    assert source.successes == int((end >= threshold).sum())
    assert source.after == pytest.approx(end.mean(), abs=1e-5)
    assert source.after > source.before
    assert other.after > other.before


def images_of_two(aligned=True):
    read = [lambda v=v: np.full((SIDE, SIDE, 3), v, np.uint8) for v in range(6)]
    read[5] = lambda: np.zeros((SIDE, SIDE + 1, 3), np.uint8)
    samples = tuple(Sample(f"{i}.png", r, aligned, f"p{i // 2}") for i, r in enumerate(read))
    return ImageSet("six", samples, "0" * 64)


def test_pairs_are_drawn_of_the_wanted_kind_and_those_without_a_crop_are_named(embedder, network):
    data = images_of_two()
    assert sorted(map(tuple, draw_pairs(data, True, 9).tolist())) == [(0, 1), (2, 3), (4, 5)]
    assert len(draw_pairs(data, False, 4)) == 4
    listed = PairSet(data, np.array([[0, 1], [0, 2]]), np.array([True, False]), np.zeros(2, np.int64))
    assert draw_pairs(listed, False, 9).tolist() == [[0, 2]]
    first, second, faults = crops_of(data, np.array([[0, 1], [4, 5], [5, 2], [2, 3]]), Cropper(embedder(network), None))
    assert (first[:, 0, 0, 0].tolist(), second[:, 0, 0, 0].tolist()) == ([0, 2], [1, 3])
    assert faults == ("5.png: such pictures are said to be aligned but are not square",)
    nameless = ImageSet("nameless", tuple(replace(s, identity=None) for s in data.samples), "1" * 64)
    with pytest.raises(InvalidData, match="not every picture names an identity"):
        draw_pairs(nameless, True, 9)
    with pytest.raises(InvalidData, match="no pair with two crops"):
        crops_of(data, np.array([[4, 5]]), Cropper(embedder(network), None))


def test_what_cannot_be_attacked_is_named(network, faces):
    references = unit(network, faces)
    with pytest.raises(UnsupportedModel, match="passes no gradient"):
        attack(lambda x: x.detach().flatten(1)[:, :16], faces, references, plan("pgd", "dodging"))
    with pytest.raises(UnsupportedModel, match="NaN or infinity"):
        attack(lambda x: x.flatten(1)[:, :16] * float("nan"), faces, references, plan("pgd", "dodging"))
    with pytest.raises(InvalidImage):
        attack(network, faces / 255, references, plan("pgd", "dodging"))
    with pytest.raises(InvalidData, match="2 references for 8"):
        attack(network, faces, references[:2], plan("pgd", "dodging"))
    with pytest.raises(InvalidData, match="got hat for dodging"):
        plan("hat", "dodging")


def test_several_attacks_each_on_the_pairs_that_it_is_for(network, embedder):
    source, plans = embedder(network), [plan("pgd", goal, iterations=1) for goal in ("dodging", "impersonation")]
    found, faults = run_attacks(images_of_two(), network, source, [source], plans, [0.5, 0.5], count=99)
    assert [(f.goal, f.engine) for f in found] == [(g, "torch") for g in ("dodging",) * 2 + ("impersonation",) * 2]
    assert [f.pairs for f in found[::2]] == [2, 8]  # of 3 and of 12: one picture gives no crop
    assert len(faults) == 1
