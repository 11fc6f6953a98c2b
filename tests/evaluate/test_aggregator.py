"""A learnt pool: its laws on any weights, its training on noise that it can see, and files that are none."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from pocketface.errors import InvalidModel, MissingExtra
from pocketface.evaluate.aggregator import Aggregator, _pool, load_aggregator, train_aggregator
from pocketface.evaluate.templates import compare_pooling, random_templates

SIZE, HIDDEN = 24, 16


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def any_weights() -> Aggregator:
    rng = np.random.default_rng(0)
    shapes = [(HIDDEN, 2 * SIZE), (HIDDEN,), (HIDDEN, HIDDEN), (HIDDEN,), (HIDDEN, SIZE), (HIDDEN, HIDDEN), (HIDDEN,)]
    return Aggregator(*(rng.normal(0, 1, shape).astype(np.float32) for shape in shapes))


def people(count: int, each: int, seed: int, bad: np.ndarray):
    """Embeddings of faces, of which bad pictures lie towards one place, as those of unrecognisable faces do."""
    rng = np.random.default_rng(seed)
    centres, who = unit(rng.normal(size=(count, SIZE))), np.repeat(np.arange(count), each)
    share = rng.beta(0.5, 0.5, len(who))[:, None]
    rows = (1 - share) * centres[who] + share * bad + rng.normal(0, 0.05 + 0.2 * share, (len(who), SIZE))
    return unit(rows).astype(np.float32), [f"p{i}" for i in who], share[:, 0]


@pytest.fixture(scope="module")
def learnt() -> Aggregator:
    bad = unit(np.random.default_rng(9).normal(size=SIZE))
    vectors, who, _ = people(60, 16, 1, bad)
    return train_aggregator(vectors, who, hidden=32, steps=150, rate=3e-3, seed=0)


def test_a_set_of_one_is_itself(any_weights: Aggregator) -> None:
    one = unit(np.random.default_rng(1).normal(size=(1, SIZE)))
    np.testing.assert_allclose(any_weights(one), one[0], atol=1e-7)


def test_the_order_does_not_matter_and_weights_sum_to_one(any_weights: Aggregator) -> None:
    rng = np.random.default_rng(2)
    members, order = unit(rng.normal(size=(9, SIZE))), rng.permutation(9)
    np.testing.assert_allclose(any_weights(members[order]), any_weights(members), atol=1e-6)
    np.testing.assert_allclose(any_weights.weights(members[order]), any_weights.weights(members)[order], atol=1e-6)
    assert any_weights.weights(members).sum() == pytest.approx(1)
    assert np.linalg.norm(any_weights(members)) == pytest.approx(1)
    assert any_weights.weights(members).std() > 0.01  # these weights do weigh


def test_without_u_it_is_the_mean(any_weights: Aggregator) -> None:
    members = unit(np.random.default_rng(3).normal(size=(5, SIZE)))
    even = dataclasses.replace(any_weights, u=np.zeros(HIDDEN, np.float32))
    np.testing.assert_allclose(even(members), unit(members.mean(axis=0)), atol=1e-6)


def test_the_formula_is_followed(any_weights: Aggregator) -> None:
    """Written out with loops, in float64."""
    members = unit(np.random.default_rng(4).normal(size=(4, SIZE)))
    w = {k: np.float64(v) for k, v in dataclasses.asdict(any_weights).items()}
    stats = [*(np.mean(members[:, d]) for d in range(SIZE)), *(np.std(members[:, d]) for d in range(SIZE))]
    c = w["w2"] @ [max(0, v) for v in w["w1"] @ stats + w["b1"]] + w["b2"]
    logits = [sum(w["u"] * np.tanh(w["a"] @ x + w["b"] @ c)) for x in members]
    shares = np.exp(logits) / np.sum(np.exp(logits))
    np.testing.assert_allclose(any_weights.weights(members), shares, atol=1e-6)
    np.testing.assert_allclose(any_weights(members), unit(shares @ members), atol=1e-6)


def test_training_pools_as_inference_does(any_weights: Aggregator) -> None:
    vectors = unit(np.random.default_rng(5).normal(size=(12, SIZE))).astype(np.float32)
    groups = [np.arange(3), np.arange(3, 12), np.array([7])]
    tensors = {k: torch.from_numpy(v) for k, v in dataclasses.asdict(any_weights).items()}
    found = _pool(tensors, torch.from_numpy(vectors), groups).numpy()
    for row, group in zip(found, groups, strict=True):
        np.testing.assert_allclose(row, any_weights(vectors[group]), atol=1e-5)


def test_it_learns_to_leave_out_what_is_bad_and_beats_the_mean_on_new_people(learnt: Aggregator) -> None:
    bad = unit(np.random.default_rng(9).normal(size=SIZE))
    vectors, who, share = people(60, 12, 77, bad)  # nobody from training
    of, pairs, owners = random_templates(who, 4)
    same = owners[pairs[:, 0]] == owners[pairs[:, 1]]
    rows = compare_pooling(vectors, of, pairs, same, weights={"oracle": 1 - share}, aggregate=learnt)
    tar = {row["pooling"]: float(row["tar_at_0.001"]) for row in rows}
    assert tar["learnt"] > tar["mean"] + 0.02
    correlations = [np.corrcoef(learnt.weights(vectors[own]), share[own])[0, 1] for own in of.pictures.reshape(-1, 4)]
    assert np.mean(correlations) < -0.6


def test_the_same_seed_learns_the_same() -> None:
    vectors, who, _ = people(6, 6, 3, unit(np.ones(SIZE)))
    one, other = (train_aggregator(vectors, who, hidden=4, steps=5, seed=2) for _ in range(2))
    assert all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))


def test_a_file_survives_and_others_are_refused(any_weights: Aggregator, tmp_path: Path) -> None:
    path = tmp_path / "new" / "pool.safetensors"
    any_weights.save(path)
    again = load_aggregator(path)
    members = unit(np.random.default_rng(6).normal(size=(4, SIZE)))
    np.testing.assert_array_equal(again(members), any_weights(members))
    tensors = dataclasses.asdict(any_weights)
    for name, spoilt in {
        "shape": {**tensors, "u": np.zeros(3, np.float32)},
        "missing": {k: v for k, v in tensors.items() if k != "w1"},
        "more": {**tensors, "x": np.zeros(1, np.float32)},
        "nan": {**tensors, "b1": np.full(HIDDEN, np.nan, np.float32)},
    }.items():
        save_file(spoilt, tmp_path / name)
        with pytest.raises(InvalidModel, match="expected finite tensors"):
            load_aggregator(tmp_path / name)
    (tmp_path / "junk").write_bytes(b"\x80\x04junk")
    for name in ("junk", "nowhere"):
        with pytest.raises(InvalidModel, match="not a safetensors file"):
            load_aggregator(tmp_path / name)


def test_training_needs_people_and_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="two identities"):
        train_aggregator(np.eye(4), ["a", "a", "b", "c"])
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match="torch"):
        train_aggregator(np.eye(4), ["a", "a", "b", "b"])
