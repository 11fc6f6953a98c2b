"""The task as a whole: it learns a drawn scene, gives whole weights, and never sees what is held out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketface.models import create_model, reparameterize, save_weights
from pocketface.models.mos import Mos
from pocketface.models.priors import Raw
from pocketface.runtime.boxes import iou
from pocketface.runtime.pose import geodesic_deg
from pocketface.train.detect.batches import Batches, collate
from pocketface.train.detect.holdout import held_out
from pocketface.train.detect.scenes import Scene, SceneStore, scene, write_scenes
from pocketface.train.detect.task import Detection, Learner
from pocketface.train.loop import run
from pocketface.train.settings import Settings
from pocketface.train.speed import quicken

TURNED = np.array([[0.8, 0, -0.6], [0, 1, 0], [0.6, 0, 0.8]], np.float32)


def face_at(x: int, y: int, side: int, name: str = "a.jpg") -> Scene:
    """A light square with two dark eyes on grey noise."""
    rng = np.random.default_rng(side)
    image = rng.integers(60, 120, (128, 128, 3)).astype(np.uint8)
    image[y : y + side, x : x + side] = (230, 190, 160)
    eyes = [(x + side * 0.3, y + side * 0.4), (x + side * 0.7, y + side * 0.4)]
    for ex, ey in eyes:
        image[int(ey) - 2 : int(ey) + 3, int(ex) - 2 : int(ex) + 3] = 20
    mouth = [(x + side * 0.35, y + side * 0.75), (x + side * 0.65, y + side * 0.75)]
    five = np.array([*eyes, (x + side * 0.5, y + side * 0.6), *mouth])
    return scene(name, "drawn", image, [(x, y, x + side, y + side)], None, five[None], TURNED[None])


@pytest.fixture
def learner() -> Learner:
    torch.manual_seed(0)
    return Learner(create_model("mos_xs").train())  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> SceneStore:
    places = np.random.default_rng(0).integers(5, 60, (30, 2))
    write_scenes(tmp_path / "scenes", [face_at(int(x), int(y), 40, f"{i}.jpg") for i, (x, y) in enumerate(places)])
    return SceneStore(tmp_path / "scenes")


def test_it_learns_a_drawn_scene(learner: Learner) -> None:
    torch.set_num_threads(1)
    shown = [face_at(20, 30, 40), face_at(10, 10, 80)]
    batch = collate(shown)
    optimizer = torch.optim.AdamW(learner.parameters(), 8e-3)
    first: dict[str, float] = {}
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 8e-3 * (1 - step / 200)
        losses = learner(batch)
        first = first or {name: float(loss.detach()) for name, loss in losses.items()}
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
    for name in ("score", "box", "landmarks", "pose"):
        assert float(losses[name].detach()) < 0.4 * first[name], name
    assert float(losses["iou"]) > 0.8
    for _ in range(20):  # statistics of the norms, at the weights as they are
        learner(batch)
    deployed = reparameterize(learner.detector.eval())
    assert isinstance(deployed, Mos)
    with torch.inference_mode():
        found = deployed.decode(deployed((batch["image"].float() - 127.5) / 127.5), 128, 128)
    for i, one in enumerate(shown):
        best = int(found.scores[i].argmax())
        assert iou(found.boxes[i, best : best + 1].numpy(), one.boxes)[0, 0] > 0.7
        assert np.abs(found.landmarks[i, best].numpy() - one.landmarks[0]).max() < 0.1 * np.ptp(one.boxes[0, ::2])
        assert geodesic_deg(found.rotation[i, best].numpy(), one.rotations[0]) < 15


def test_ignored_faces_cost_nothing(learner: Learner) -> None:
    """Whatever the network says of where an ignored face is."""
    one = face_at(40, 40, 64)
    batch = collate([replace(one, ignore=np.array([True]))])
    shape = (1, 16 * 16 + 8 * 8 + 4 * 4)
    raw = Raw(torch.full(shape, -20.0), torch.zeros(*shape, 4), torch.zeros(*shape, 10), torch.ones(*shape, 6))
    high = raw._replace(score=raw.score.clone())
    high.score[0, 16 * 8 + 8] = 20.0  # in the middle
    assert float(learner._losses(high, batch)["score"]) == pytest.approx(float(learner._losses(raw, batch)["score"]))
    high.score[0, 0] = 20.0  # in the corner, where there is nothing
    assert float(learner._losses(high, batch)["score"]) > 10


def test_faces_without_labels_teach_no_landmarks_and_no_pose(learner: Learner) -> None:
    one = face_at(40, 40, 64)
    bare = scene(one.name, one.source, one.image, one.boxes)
    losses = learner(collate([bare]))
    assert {"score", "box"} < losses.keys()
    assert not {"landmarks", "pose"} & losses.keys()
    assert {"landmarks", "pose"} < learner(collate([bare, one])).keys()


def test_the_faster_form_says_the_same() -> None:
    torch.manual_seed(1)
    plain = create_model("mos_xs").double().train()
    for parameter in plain.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    fast = quicken(create_model("mos_xs").double().train())
    fast.load_state_dict(plain.state_dict())
    image = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    for one, other in zip(plain(image), fast(image), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_batches_are_functions_of_the_step_and_hold_nothing_that_is_held_out(store: SceneStore) -> None:
    batches = Batches(store, 16, 96, {})
    assert any(held_out(name) for name in store.names)
    assert not {store.names[i] for i in batches._open} & {name for name in store.names if held_out(name)}
    one, other, again = batches(3), batches(4), Batches(store, 16, 96, {})(3)
    assert all(torch.equal(one[key].nan_to_num(), again[key].nan_to_num()) for key in one)
    assert not torch.equal(one["image"], other["image"])
    assert not torch.equal(one["image"], Batches(store, 16, 96, {}, rank=1)(3)["image"])


def test_shares_are_kept(tmp_path: Path) -> None:
    sources = ["one"] * 40 + ["two"] * 15 + ["three"] * 5
    scenes = [replace(face_at(5, 5, 40, f"{i}.jpg"), source=source) for i, source in enumerate(sources)]
    write_scenes(tmp_path, scenes)
    store = SceneStore(tmp_path)
    batches = Batches(store, 1, 64, {"two": 0.6})
    got = dict.fromkeys(sources, 0.0)
    for i, weight in zip(batches._open, batches._weights, strict=True):
        got[store.sources[i]] += weight
    assert got["two"] == pytest.approx(0.6)
    assert sum(got.values()) == pytest.approx(1)


def test_the_loop_drives_it_and_its_weights_load_strictly(learner: Learner, store: SceneStore, tmp_path: Path) -> None:
    task = Detection(learner, Batches(store, 4, 96, {}, learner.feedback))
    file = run(task, Settings(steps=2, learning_rate=1e-3, save_every=1, average=0.5), tmp_path / "run")
    loaded = create_model("mos_xs", weights=file)
    assert loaded.state_dict().keys() == task.weights().state_dict().keys()
    save_weights(task.weights(), tmp_path / "weights.safetensors")
    create_model("mos_xs", weights=tmp_path / "weights.safetensors")
    assert task.weights() is learner.detector


def test_a_wrong_detection_goes_to_the_queue(learner: Learner) -> None:
    batch = collate([face_at(90, 90, 30)])
    shape = (1, 16 * 16 + 8 * 8 + 4 * 4)
    score = torch.full(shape, -9.0)
    score[0, 16 * 4 + 4] = 3.0
    pose = torch.tensor([1.0, 0, 0, 0, 1, 0]).expand(*shape, 6)
    raw = Raw(score, torch.ones(*shape, 4), torch.zeros(*shape, 10), pose)
    learner._losses(raw, batch)
    assert int(learner.feedback.count) == 1
    assert torch.equal(learner.feedback.queue[0], batch["image"][0, :, 20:68, 20:68])  # about (43.5, 43.5)
