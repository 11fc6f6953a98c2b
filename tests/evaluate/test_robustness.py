"""Robustness: clean against spoiled, by a loop over pairs, resumed from the cache."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pocketface.artifact import Artifact
from pocketface.cli import cli
from pocketface.contract import InputSpec, ModelContract, Recognition
from pocketface.errors import InvalidData
from pocketface.evaluate.cache import Cache
from pocketface.evaluate.corruptions import corrupt
from pocketface.evaluate.data import ImageSet, PairSet, Sample
from pocketface.evaluate.robustness import run_robustness, spoiled
from pocketface.runtime.embedder import Embedder

SIDE = 56


class Squares:
    """An engine that averages over 16 squares, and counts the pictures that it sees."""

    name = "squares"

    def __init__(self):
        self.seen = 0

    def run(self, feeds):
        image = feeds["image"]
        self.seen += len(image)
        vectors = image.reshape(len(image), 3, 4, SIDE // 4, 4, SIDE // 4).mean(axis=(3, 5)).reshape(len(image), -1)
        return {"embedding": (vectors - 128).astype(np.float32)}


@pytest.fixture
def engine():
    return Squares()


@pytest.fixture
def embedder(engine, tmp_path):
    spec = InputSpec(name="image", layout="NCHW", height=SIDE, width=SIDE, dynamic_batch=True)
    template = tuple((x / 2, y / 2) for x, y in Recognition(embedding_size=48).template)
    contract = ModelContract(
        model="squares",
        task=Recognition(embedding_size=48, normalized=False, template=template),
        input=spec,
        outputs={"embedding": "embedding"},
        precision="float32",
        fingerprint="ab" * 32,
        weights="by hand",
        trained=True,
    )
    artifact = Artifact(tmp_path / "squares.onnx", contract, "cd" * 32, 1)
    return Embedder(artifact, backend=engine)


def people(count=30, each=3, seed=0):
    rng, samples = np.random.default_rng(seed), []
    for who in range(count):
        squares = rng.normal(size=(4, 4, 3))
        for k in range(each):
            small = (128 + 30 * (squares + 0.4 * rng.normal(size=(4, 4, 3)))).clip(0, 255).astype(np.uint8)
            image = np.repeat(np.repeat(small, SIDE // 4, 0), SIDE // 4, 1)
            samples.append(Sample(f"{who}/{k}", lambda image=image: image, True, f"p{who}"))
    return ImageSet("people", tuple(samples), hashlib.sha256(bytes([seed])).hexdigest())


def test_the_rates_are_those_of_clean_against_spoiled_pictures(embedder):
    images = people()
    found = run_robustness(images, embedder, kinds=["occlusion", "noise"], strengths=[1, 5], far=0.02, rounds=30)
    assert [(r.kind, r.strength) for r in found.results] == [
        ("clean", 0),
        ("occlusion", 1),
        ("occlusion", 5),
        ("noise", 1),
        ("noise", 5),
    ]
    first = embedder.embed([s.read() for s in images.samples])
    other = embedder.embed([corrupt(s.read(), "occlusion", 5, name=s.name) for s in images.samples])
    owners = np.array([s.identity for s in images.samples])
    scores, above = first @ other.T, np.triu(np.ones((90, 90), bool), 1)
    same = owners[:, None] == owners
    result = found.results[2]
    assert result.tar == pytest.approx((scores >= found.threshold)[above & same].mean())
    assert result.far == pytest.approx((scores >= found.threshold)[above & ~same].mean())
    assert result.tar_interval.low <= result.tar <= result.tar_interval.high
    assert result.tar < found.results[0].tar - 0.2  # what hides two fifths of the face is felt
    assert found.results[0].far <= 0.02


def test_a_list_of_pairs_keeps_the_first_picture_clean(embedder):
    images = people()
    pairs = np.array(
        [[3 * i, 3 * i + 1] for i in range(30)] + [[i, (i + 3 * d) % 90] for d in (4, 9) for i in range(90)]
    )
    data = PairSet(images, pairs, np.arange(len(pairs)) < 30, np.zeros(len(pairs), np.int64))
    found = run_robustness(data, embedder, kinds=["dark"], strengths=[4], far=0.05, rounds=20)
    first = embedder.embed([images.samples[a].read() for a, _ in pairs])
    other = embedder.embed([corrupt(images.samples[b].read(), "dark", 4) for _, b in pairs])
    passed = (first * other).sum(axis=1) >= found.threshold
    assert (found.genuine, found.impostors) == (30, 180)
    assert found.results[1].tar == pytest.approx(passed[:30].mean())
    assert found.results[1].far == pytest.approx(passed[30:].mean())


def test_a_killed_run_goes_on_and_a_second_sees_no_picture(embedder, engine, tmp_path):
    options = {"far": 0.02, "rounds": 5, "cache": Cache(tmp_path / "cache")}
    run_robustness(people(), embedder, kinds=["blur"], strengths=[1], **options)
    assert engine.seen == 180
    again = run_robustness(people(), embedder, kinds=["blur"], strengths=[1, 2], **options)
    assert engine.seen == 270
    assert run_robustness(people(), embedder, kinds=["blur"], strengths=[1, 2], **options) == again
    assert engine.seen == 270


def test_every_corruption_strength_and_seed_has_a_fingerprint_of_its_own():
    images = people(2)
    made = [spoiled(images, *what).fingerprint for what in (("blur", 1), ("blur", 2), ("noise", 1), ("noise", 1, 1))]
    assert len({images.fingerprint, *made}) == 5


def test_too_few_pairs_and_no_identities_are_named(embedder):
    with pytest.raises(InvalidData, match="no common threshold: FAR 1e-6"):
        run_robustness(people(), embedder, far=1e-6)
    images = people(3)
    nameless = ImageSet("nameless", tuple(replace(s, identity=None) for s in images.samples), "1" * 64)
    with pytest.raises(InvalidData, match="not every picture names an identity"):
        run_robustness(nameless, embedder)


def test_a_corruption_that_there_is_not_is_named_before_any_work(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    arguments = ["robustness", str(tmp_path), "--model", "x.onnx", "--corruption", "fog"]
    done = CliRunner().invoke(cli.commands["evaluate"], arguments)
    assert isinstance(done.exception, InvalidData)
    assert "no corruption 'fog'" in str(done.exception)
    assert not json.dumps(done.stdout).strip('"')
