"""Feeding, watching and repeating a program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coremltools.converters.mil import Builder as mb  # noqa: N813
from torch import nn

from pocketface.artifact import Artifact
from pocketface.contract import InputSpec, ModelContract, Recognition
from pocketface.errors import InvalidContract, UnsupportedModel
from pocketface.evaluate.mil import Interpreter, open_package
from pocketface.evaluate.mil.quiet import coremltools
from pocketface.runtime.backends import available_backends, open_backend

ct = coremltools()
PICTURES = np.random.default_rng(7).integers(0, 256, (3, 5, 7, 3)).astype(np.uint8)


def export(module: nn.Module, path: Path, inputs: list[Any], target: str = "iOS16", **options: Any) -> Path:
    example = tuple(torch.zeros(tuple(i.shape.to_list() if hasattr(i.shape, "to_list") else i.shape)) for i in inputs)
    model = ct.convert(
        torch.export.export(module.eval(), example).run_decompositions({}),
        inputs=inputs,
        convert_to="mlprogram",
        minimum_deployment_target=getattr(ct.target, target),
        compute_precision=ct.precision.FLOAT32,
        skip_model_load=True,
        **options,
    )
    model.save(str(path))
    return path


class Planes(nn.Module):
    """Tells channels apart: red, then green less blue."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[:, :1], x[:, 1:2] - x[:, 2:]], 1)


def image_input(order: str, **options: Any) -> Any:
    return ct.ImageType(name="image", shape=(1, 3, 5, 7), color_layout=getattr(ct.colorlayout, order), **options)


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_pictures_are_fed_as_rgb_whatever_the_program_wants(tmp_path: Path, order: str) -> None:
    """Scale and bias are part of the program: they come after the planes, in its own channel order."""
    inputs = [image_input(order, scale=1 / 127.5, bias=[-1.0, -0.5, 0.25])]
    interpreter = open_package(export(Planes(), tmp_path / "m.mlpackage", inputs))
    assert interpreter.images["image"].order == order
    values = interpreter.values({"image": PICTURES[:1]})
    pixels = PICTURES[0].astype(np.float64) if order == "RGB" else PICTURES[0, ..., ::-1].astype(np.float64)
    np.testing.assert_array_equal(values["image"][0], pixels.transpose(2, 0, 1))
    scaled = pixels / 127.5 + np.array([-1.0, -0.5, 0.25])
    (ours,) = interpreter.run({"image": PICTURES[:1]}).values()
    np.testing.assert_allclose(ours[0, 0], scaled[..., 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours[0, 1], scaled[..., 1] - scaled[..., 2], rtol=1e-5, atol=1e-6)


def test_an_image_that_is_grey_is_refused(tmp_path: Path) -> None:
    grey = ct.ImageType(name="image", shape=(1, 1, 5, 7), color_layout=ct.colorlayout.GRAYSCALE)
    path = export(nn.ReLU(), tmp_path / "m.mlpackage", [grey])
    with pytest.raises(UnsupportedModel, match="'image' is GRAYSCALE, expected RGB or BGR"):
        open_package(path)


def contract(path: Path) -> Artifact:
    return Artifact(
        path,
        ModelContract(
            model="toy",
            task=Recognition(embedding_size=70),
            input=InputSpec(name="image", layout="image", height=5, width=7, dtype="uint8"),
            outputs={"embedding": "embedding"},
            fingerprint="0" * 64,
            weights="seeded:0",
            trained=False,
        ),
        "",
        0,
    )


def test_the_backend_runs_batches_of_pictures_one_by_one(tmp_path: Path) -> None:
    outputs = [ct.TensorType(name="embedding", dtype=np.float32)]
    path = export(Planes(), tmp_path / "m.mlpackage", [image_input("RGB")], outputs=outputs)
    assert "mil" in available_backends("coreml")
    backend = open_backend(contract(path), "mil", threads=1)
    assert backend.name == "mil"
    threads = torch.get_num_threads()
    answer = backend.run({"image": PICTURES})["embedding"]
    assert torch.get_num_threads() == threads
    pixels = PICTURES.astype(np.float32)
    np.testing.assert_array_equal(answer[:, 0], pixels[..., 0])
    np.testing.assert_array_equal(answer[:, 1], pixels[..., 1] - pixels[..., 2])


def test_the_backend_gives_float32_where_the_program_gives_half(build: Any) -> None:
    from pocketface.evaluate.mil import MilBackend

    interpreter = build(lambda x: mb.relu(x=x), [(1, 2, 3, 3)], dtypes=["float16"])
    (ours,) = MilBackend(interpreter).run({"x": np.full((1, 2, 3, 3), 0.1)}).values()
    assert ours.dtype == np.float32
    assert ours.flat[0] == np.float32(np.float16(0.1))


@pytest.mark.parametrize(
    ("feeds", "reason"),
    [
        ({}, r"fed with \[\], but the program takes \['image'\]"),
        ({"picture": PICTURES[:1]}, "takes"),
        ({"image": PICTURES}, r"float32\(1, 3, 5, 7\)"),
        ({"image": PICTURES[0]}, r"is uint8 of shape \(5, 7, 3\)"),
        ({"image": PICTURES[:1].astype(np.float32)}, "is float32 of shape"),
    ],
)
def test_feeds_that_do_not_fit_are_refused(tmp_path: Path, feeds: dict[str, Any], reason: str) -> None:
    interpreter = open_package(export(Planes(), tmp_path / "m.mlpackage", [image_input("RGB")]))
    with pytest.raises(InvalidContract, match=reason):
        interpreter.run(feeds)


def test_integers_are_not_rounded_from_fractions(build: Any) -> None:
    interpreter = build(lambda x: mb.add(x=x, y=1), [(1, 2)], dtypes=["int32"])
    with pytest.raises(InvalidContract, match=r"is float64 of shape \(1, 2\)"):
        interpreter.run({"x": np.array([[0.5, 1.0]])})


def branched(x: Any) -> Any:
    first, second = mb.split(x=mb.relu(x=x), num_splits=2, axis=1)
    return mb.add(x=first, y=second), mb.exp(x=first)


def test_the_observer_sees_every_value_in_order(build: Any, feeds: Any) -> None:
    interpreter: Interpreter = build(branched, [(1, 4, 2, 2)])
    seen: list[tuple[str, Any]] = []
    feed = feeds(interpreter)
    outputs = interpreter.run(feed, lambda name, value: seen.append((name, value)))
    x = feed["x"]
    a, b = np.split(np.maximum(x, 0), 2, axis=1)
    assert interpreter.operations == ("relu", "split", "add", "exp")
    for (_, ours), wanted in zip(seen, [x, np.maximum(x, 0), a, b, a + b, np.exp(a)], strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-6)
    values = interpreter.values(feed)
    assert list(values) == [name for name, _ in seen]
    for name, array in outputs.items():
        np.testing.assert_array_equal(array, values[name])


def test_same_answer_every_time_and_nothing_is_shared(package: Path, feeds: Any) -> None:
    interpreter, again = open_package(package), open_package(package)
    feed = feeds(interpreter)
    (first,) = interpreter.run(feed).values()
    kept = first.copy()
    np.testing.assert_array_equal(*again.run(feed).values(), kept)
    first[:] = 7  # what a caller does with an answer, or with a feed, changes no other answer
    feed["x"][:] *= 1
    for _ in range(3):
        np.testing.assert_array_equal(*interpreter.run(feed).values(), kept)


def test_answers_are_copies(build: Any) -> None:
    """What a caller does with an answer changes neither the feed nor a constant of the program."""
    weight = np.arange(3, dtype=np.float32)
    interpreter = build(lambda x: (mb.identity(x=x), mb.identity(x=weight)), [(1, 3)])
    feed = np.ones((1, 3), np.float32)
    for _ in range(2):
        same, constant = interpreter.run({"x": feed}).values()
        np.testing.assert_array_equal(feed, 1)
        np.testing.assert_array_equal(constant, weight)
        same[:], constant[:] = 5, 5


def test_sizes_that_are_open_take_any_size(tmp_path: Path) -> None:
    """Enumerated shapes: sizes are then computed by the program itself."""

    class Flat(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x).flatten(2).transpose(1, 2)

    shape = ct.EnumeratedShapes(shapes=[[1, 3, 4, 4], [1, 3, 6, 8]], default=[1, 3, 4, 4])
    model = ct.convert(
        torch.jit.trace(Flat().eval(), torch.zeros(1, 3, 4, 4)),
        inputs=[ct.TensorType(name="x", shape=shape)],
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS16,
        compute_precision=ct.precision.FLOAT32,
        skip_model_load=True,
    )
    model.save(str(tmp_path / "m.mlpackage"))
    interpreter = open_package(tmp_path / "m.mlpackage")
    assert interpreter.inputs["x"].shape == (1, 3, None, None)
    x = np.random.default_rng(0).normal(size=(1, 3, 6, 8)).astype(np.float32)
    (ours,) = interpreter.run({"x": x}).values()
    np.testing.assert_array_equal(ours, np.maximum(x, 0).reshape(1, 3, 48).transpose(0, 2, 1))
