"""A detector tells which crops are frontal, once; and SymFace's recipe runs by that."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from pocketface.artifact import Artifact, write_sidecar
from pocketface.contract import ARCFACE_TEMPLATE, Detection, InputSpec, ModelContract
from pocketface.errors import InvalidData
from pocketface.evaluate.data.opening import open_images
from pocketface.models.checkpoint import read_state
from pocketface.runtime.backends import FakeBackend
from pocketface.runtime.detector import Detector
from pocketface.train.crops import CropStore, Deck, pack_crops
from pocketface.train.fronts import look
from pocketface.train.identifying import identifying
from pocketface.train.recipes import PRESETS, change
from pocketface.train.start import train
from pocketface.train.symface import frontness

SIDE = 224
TEMPLATE = np.array(ARCFACE_TEMPLATE, np.float32)
OUTPUTS = ("scores", "boxes", "landmarks")


def contract(threshold: float) -> ModelContract:
    spec = InputSpec(name="image", layout="NCHW", height=SIDE, width=SIDE)
    told = {"fingerprint": "ab" * 32, "weights": "by hand", "trained": True}
    names = {name: name for name in OUTPUTS}
    return ModelContract(model="fake", task=Detection(score_threshold=threshold), input=spec, outputs=names, **told)


def aside(offset: float) -> np.ndarray:
    """The template with its nose moved by a share of the distance of the eyes."""
    five = TEMPLATE.copy()
    five[2, 0] += offset * (five[1, 0] - five[0, 0])
    return five


@pytest.fixture
def store(tmp_path: Path) -> CropStore:
    """Six crops of one shade each, 20 for crop 0, 40 for crop 1 and so on, with noise at the bottom; two people."""
    for i in range(6):
        folder = tmp_path / "faces" / "ab"[i // 3]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.full((112, 112, 3), 20 * (i + 1), np.uint8)
        pixels[80:] = np.random.default_rng(i).integers(0, 256, (32, 112, 3))
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return pack_crops(open_images(tmp_path / "faces", aligned=True), tmp_path / "store")


@pytest.fixture
def shown() -> list[int]:
    return []


@pytest.fixture
def detector(shown: list[int], tmp_path: Path) -> Callable[[str], Detector]:
    """Knows a crop by its shade: the nose of crop i is off by i twentieths; it sees no face in the last one."""

    def answer(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        image = feeds["image"][0]
        assert image.shape == (3, SIDE, SIDE)
        assert not image[:, :50].any()  # the border
        i = round(float(image[0, SIDE // 2, SIDE // 2]) / 20) - 1
        shown.append(i)
        boxes = np.array([[[60, 60, 160, 160], [0, 0, 40, 40]]], np.float32)
        points = np.stack([aside(i / 20) + 56, TEMPLATE / 4])[None]
        return {"scores": np.array([[0.9, 0.6]], np.float32) * (i < 5), "boxes": boxes, "landmarks": points}

    def make(digest: str = "0") -> Detector:
        return Detector(Artifact(tmp_path / "none.onnx", contract(0.5), digest * 64, 0), backend=FakeBackend(answer))

    return make


def test_each_crop_is_looked_at_once_and_the_surest_face_counts(
    store: CropStore, detector: Callable[..., Detector], shown: list[int]
) -> None:
    told: list[tuple[int, int]] = []
    found = look(store, detector(), progress=lambda *now: told.append(now))
    expected = [float(frontness(aside(i / 20)[None])[0]) for i in range(5)]
    np.testing.assert_allclose(found, [*expected, 0], atol=1e-6)
    assert told == [(i, 6) for i in range(1, 7)]
    np.testing.assert_array_equal(look(store, detector()), found)
    assert shown == list(range(6))
    look(store, detector("1"))
    assert len(shown) == 12


def test_a_detector_that_sees_nothing_at_all_is_refused(store: CropStore, detector: Callable[..., Detector]) -> None:
    last = replace(store, pixels=store.pixels[5:], names=store.names[5:])
    with pytest.raises(InvalidData, match="finds no face in any"):
        look(last, detector())
    assert not list(store.folder.glob("frontness_*"))


def test_the_task_knows_the_frontness_of_what_it_draws(store: CropStore) -> None:
    recipe = msgspec.structs.replace(PRESETS["symface_xs"], batch=4)
    given = np.arange(6, dtype=np.float32) / 6
    task = identifying(recipe, torch.nn.Flatten(), Deck([store], 4), frontness=given)
    assert [(term.name, term.weight) for term in task.network.terms] == [("symmetry", 1.0)]
    for step in range(3):
        batch = task.batch(step)
        shades = ((batch["image"][:, 0, 56, 56] + 1) * 127.5 / 20).round() - 1
        torch.testing.assert_close(batch["frontness"], shades / 6)


def save_detector(path: Path) -> Path:
    """The score is the mean brightness of the picture; the landmarks are the template's."""
    constants = {
        "axes": np.array([1, 2, 3]),
        "shape": np.array([1, 1]),
        "white": np.float32(255),
        "box": np.array([[[60, 60, 160, 160]]], np.float32),
        "points": (TEMPLATE + 56)[None, None],
    }
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "white"], ["share"]),
        helper.make_node("Reshape", ["share", "shape"], ["scores"]),
        *(helper.make_node("Identity", [a], [b]) for a, b in (("box", "boxes"), ("points", "landmarks"))),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in OUTPUTS]
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "bright", [image], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    write_sidecar(path, contract(0.01))
    return path


def test_the_preset_runs_and_its_halves_count(store: CropStore, tmp_path: Path) -> None:
    changes = {"settings.steps": "2", "settings.workers": "0", "settings.log_every": "1", "batch": "4"}
    recipe = change(PRESETS["symface_xs"], {**changes, "network": "mobilefacenet"})
    with pytest.raises(InvalidData, match="--set detector=FILE"):
        train(recipe, [tmp_path / "faces"], tmp_path / "run")
    recipe = change(recipe, {"detector": str(save_detector(tmp_path / "d.onnx"))})
    file = train(recipe, [tmp_path / "faces"], tmp_path / "run")
    assert read_state(file)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert all(line["symmetry"] > 1e-4 for line in lines)
