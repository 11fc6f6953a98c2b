"""Classification tells drawn people apart, goes on where it stopped, alone and on two ranks, and ships no head."""

from __future__ import annotations

import io
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from pocketface.errors import InvalidData, InvalidModel
from pocketface.evaluate.data import open_images
from pocketface.models.checkpoint import read_state
from pocketface.train.augment import Augmentation
from pocketface.train.classify import PLAIN, Classification, embed_roster
from pocketface.train.crops import CropStore, Deck, pack_crops
from pocketface.train.loop import run
from pocketface.train.margin import Margin, MarginHead
from pocketface.train.partial_fc import PartialFC
from pocketface.train.roster import Roster
from pocketface.train.settings import Settings
from pocketface.train.terms import Frozen, Harmony, Symmetry, Teacher
from pocketface.train.triplet import TripletHead

PEOPLE, EACH = 6, 5
GENTLE = Augmentation(flip=0.0, grey=0.0, spoil=0.0)
MARGIN = Margin(m3=0.2, scale=16.0)


def draw(folder: Path) -> Path:
    """People who differ a little by the colours of their quarters, their pictures much by light and noise."""
    rng = np.random.default_rng(0)
    for who in range(PEOPLE):
        colours = rng.integers(-25, 25, (2, 2, 3))
        for i in range(EACH):
            pixels = np.kron(colours, np.ones((56, 56, 1))) + rng.normal(size=(112, 112, 3)) * 30
            pixels += 128 + rng.uniform(-60, 60)
            stream = io.BytesIO()
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "PNG")
            (folder / f"p{who}").mkdir(parents=True, exist_ok=True)
            (folder / f"p{who}" / f"{i}.png").write_bytes(stream.getvalue())
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CropStore:
    folder = tmp_path_factory.mktemp("drawn")
    return pack_crops(open_images(draw(folder / "people"), aligned=True), folder / "crops")


def tiny(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.AvgPool2d(14), nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(576, 16)
    )


def settings(**changes: object) -> Settings:
    return Settings(**{"steps": 40, "learning_rate": 0.02, "save_every": 20, "log_every": 10, **changes})


def separation(backbone: nn.Module, roster: Roster) -> float:
    """By how much pictures of one person are more alike than those of two."""
    unit = F.normalize(torch.from_numpy(embed_roster(backbone, roster)))
    cosine, same = unit @ unit.T, torch.from_numpy(roster.labels[:, None] == roster.labels)
    return float(cosine[same].mean() - cosine[~same].mean())


@pytest.mark.parametrize("kind", ["margin", "sub-centres", "partial", "triplet"])
def test_the_loss_falls_and_people_come_apart(kind: str, store: CropStore, tmp_path: Path) -> None:
    roster = Roster.of(Deck([store], 12), group=4 if kind == "triplet" else 1)
    plan = settings()
    torch.manual_seed(0)
    head = {
        "margin": lambda: MarginHead(PEOPLE, 16, MARGIN),
        "sub-centres": lambda: MarginHead(PEOPLE, 16, MARGIN, centres=3),
        "partial": lambda: PartialFC(PEOPLE, 16, MARGIN, share=0.5, learning_rate=plan.rate_at),
        "triplet": lambda: TripletHead(0.8),
    }[kind]()
    task = Classification(tiny(), head, roster, GENTLE)
    before, losses = separation(task.weights(), roster), []
    file = run(task, plan, tmp_path, progress=lambda step, told: losses.append(told["loss"]))
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) / 2
    assert before < 0.2
    assert separation(task.weights(), roster) > 0.5
    assert read_state(file).keys() == tiny().state_dict().keys()  # nothing of the head is shipped
    if kind != "triplet":
        assert task.cleaning().kept.all()


@pytest.mark.parametrize("kind", ["margin", "partial"])
def test_a_stopped_run_reaches_the_same_weights(kind: str, store: CropStore, tmp_path: Path) -> None:
    plan = settings(steps=9, save_every=4, average=0.9)

    def task() -> Classification:
        torch.manual_seed(1)
        head = MarginHead(PEOPLE, 16)
        if kind == "partial":
            head = PartialFC(PEOPLE, 16, share=0.5, learning_rate=plan.rate_at)
        return Classification(tiny(), head, Roster.of(Deck([store], 6)), Augmentation())

    def stop(step: int, losses: object) -> None:
        if step == 6:
            raise KeyboardInterrupt

    run(task(), plan, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(task(), plan, tmp_path / "parts", progress=stop)
    run(task(), plan, tmp_path / "parts")
    one, other = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "parts"))
    assert one["network"].keys() == other["network"].keys()
    assert all(torch.equal(value, other["network"][key]) for key, value in one["network"].items())
    assert any(key.startswith("head.") for key in one["network"])


WORKER = """
import os
import sys
from pathlib import Path
import torch
from torch import nn
from pocketface.train.augment import Augmentation
from pocketface.train.classify import PLAIN, Classification
from pocketface.train.crops import Deck, open_crops
from pocketface.train.loop import run
from pocketface.train.margin import Margin
from pocketface.train.partial_fc import PartialFC
from pocketface.train.ranks import Ranks
from pocketface.train.roster import Roster
from pocketface.train.settings import Settings

ranks, plan = Ranks.from_environment(), Settings(steps=6, learning_rate=0.02, save_every=3)
deck = Deck([open_crops(Path(sys.argv[1]))], 12 // ranks.count, 0, ranks.index, ranks.count)
def task():
    head = PartialFC(6, 16, Margin(m3=0.2, scale=16.0), share=1.0, learning_rate=plan.rate_at,
                     rank=ranks.index, ranks=ranks.count)
    head.centres.copy_(torch.eye(6, 16)[head.first:head.first + len(head.centres), None])
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.AvgPool2d(14), nn.Flatten(), nn.Linear(192, 16))
    return Classification(backbone, head, Roster.of(deck), PLAIN)
def stop(step, losses):
    if step == 4:
        raise KeyboardInterrupt
out = Path(sys.argv[2])
try:
    run(task(), plan, out, progress=stop)
except KeyboardInterrupt:
    os.environ["MASTER_PORT"] = sys.argv[-1]  # not where some may be parting still
run(task(), plan, out)
"""


def test_two_ranks_that_share_the_classes_train_the_network_of_one(
    store: CropStore, on_two_ranks: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started, stopped at step 4 and started again from step 3, with a shard of the centres on each rank."""
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)
    on_two_ranks(worker, store.folder, tmp_path / "two", groups=2)
    monkeypatch.setattr(sys, "argv", [str(worker), str(store.folder), str(tmp_path / "one"), "0"])
    monkeypatch.setenv("MASTER_PORT", "0")  # which the script sets
    runpy.run_path(str(worker))
    one, two = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["network"] for name in ("one", "two"))
    assert one["head.centres"].shape == two["head.centres"].shape == (6, 1, 16)
    for key, value in one.items():
        assert torch.allclose(value.double(), two[key].double(), rtol=1e-3, atol=2e-5), key


def batch_of(task: Classification) -> dict[str, torch.Tensor]:
    return task.network.train()(task.batch(0))


def test_a_teacher_pulls_by_the_mean_squared_difference(store: CropStore) -> None:
    roster, teacher = Roster.of(Deck([store], 6)), tiny(7)
    task = Classification(tiny(), MarginHead(PEOPLE, 16), roster, PLAIN, terms=[Teacher(Frozen(teacher))])
    losses = batch_of(task)
    image = task.batch(0)["image"]
    said, told = tiny().train()(image).double(), teacher.eval()(image).double()
    assert losses["teacher"].item() == pytest.approx(((said - told) ** 2).mean().item(), rel=1e-5)
    assert losses["loss"].item() == pytest.approx((losses["head"] + 0.5 * losses["teacher"]).item(), rel=1e-6)
    before = teacher.state_dict()["1.weight"].clone()
    losses["loss"].backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert not any("teacher" in key or "terms" in key for key in task.network.state_dict())
    task.network.train()
    assert not teacher.training
    assert torch.equal(teacher.state_dict()["1.weight"], before)


def test_a_teacher_of_another_length_is_told(store: CropStore) -> None:
    other = nn.Sequential(tiny(), nn.Linear(16, 8))
    task = Classification(tiny(), TripletHead(), Roster.of(Deck([store], 6)), PLAIN, terms=[Teacher(Frozen(other))])
    with pytest.raises(InvalidModel, match="8 numbers, the network that learns 16"):
        batch_of(task)


def test_symmetry_looks_at_frontal_faces_only(store: CropStore) -> None:
    roster = Roster.of(Deck([store], 6))
    front = np.zeros(len(roster.numbers))
    made = [
        batch_of(Classification(tiny(), MarginHead(PEOPLE, 16), roster, PLAIN, terms=[Symmetry()], frontness=f))
        for f in (front, front + 0.95)
    ]
    assert made[0]["symmetry"].item() == 0
    assert made[1]["symmetry"].item() > 0.01
    assert made[1]["loss"].item() == pytest.approx((made[1]["head"] + made[1]["symmetry"]).item(), rel=1e-6)
    task = Classification(tiny(), MarginHead(PEOPLE, 16), roster, PLAIN, terms=[Symmetry()])
    with pytest.raises(ValueError, match="frontness"):
        batch_of(task)


def test_an_old_network_stays_comparable(store: CropStore, tmp_path: Path) -> None:
    roster, old = Roster.of(Deck([store], 12), group=4), tiny(3)

    def across(new: nn.Module) -> float:
        a, b = (F.normalize(torch.from_numpy(embed_roster(n, roster))) for n in (new, old))
        same = torch.from_numpy(roster.labels[:, None] == roster.labels)
        return float((a @ b.T)[same].mean() - (a @ b.T)[~same].mean())

    trained = {}
    for harmony in (False, True):
        terms = [Harmony(Frozen(old))] if harmony else []
        task = Classification(tiny(), TripletHead(), roster, GENTLE, terms=terms)
        run(task, settings(), tmp_path / str(harmony))
        trained[harmony] = across(task.weights())
    assert trained[True] > trained[False] + 0.1


def test_a_roster_numbers_its_people_and_takes_each_crop_once(store: CropStore) -> None:
    kept = frozenset(name for name in store.names if not name.startswith("p2/"))
    rosters = [Roster.of(Deck([store, store], 5, 0, rank, 2), kept=kept) for rank in range(2)]
    assert rosters[0].classes == 2 * (PEOPLE - 1)  # a person of another store is another person
    assert len(rosters[0].numbers) == 50
    assert set(rosters[0].identities) == {"p0", "p1", "p3", "p4", "p5"}
    drawn = np.concatenate([roster.draw(step) for step in range(5) for roster in rosters])
    assert np.array_equal(np.sort(drawn), np.arange(50))
    again = np.concatenate([roster.draw(step) for step in range(5, 10) for roster in rosters])
    assert np.array_equal(np.sort(again), np.arange(50))
    assert not np.array_equal(drawn, again)
    assert np.array_equal(rosters[1].draw(3), Roster.of(Deck([store, store], 5, 0, 1, 2), kept=kept).draw(3))


def test_groups_are_of_one_person_without_repetition(store: CropStore) -> None:
    roster = Roster.of(Deck([store], 12), group=4)
    for step in range(5):
        for group in roster.draw(step).reshape(3, 4):
            assert len(set(group)) == 4
            assert len(set(roster.labels[group])) == 1
    seen = np.concatenate([roster.labels[roster.draw(step)[::4]] for step in range(2)])
    assert np.array_equal(np.sort(seen), np.arange(PEOPLE))
    few = Roster.of(Deck([store], 14), group=7)
    assert len(set(few.draw(0)[:7])) == EACH


@pytest.mark.parametrize(
    ("kept", "batch", "group", "reason"),
    [
        (frozenset({"p1/0.png"}), 4, 1, "fewer than two"),
        (frozenset(), 4, 1, "fewer than two"),
        (None, 5, 2, "multiple"),
    ],
)
def test_a_roster_needs_two_people_and_whole_groups(
    store: CropStore, kept: frozenset[str] | None, batch: int, group: int, reason: str
) -> None:
    with pytest.raises(InvalidData, match=reason):
        Roster.of(Deck([store], batch), kept=kept, group=group)


def test_cleaning_finds_the_wrongly_labelled(store: CropStore, tmp_path: Path) -> None:
    labels = store.labels.copy()
    wrong = [0, 7, 29]
    labels[wrong] = (labels[wrong] + 2) % PEOPLE
    spoiled = CropStore(store.folder, store.pixels, store.names, labels, store.identities, "", ())
    roster = Roster.of(Deck([spoiled], 10))
    task = Classification(tiny(), MarginHead(PEOPLE, 16, MARGIN, centres=3), roster, GENTLE)
    run(task, settings(steps=25, learning_rate=0.01), tmp_path)
    angle_deg = task.cleaning().angle_deg
    assert angle_deg[wrong].mean() > np.delete(angle_deg, wrong).mean() + 20
