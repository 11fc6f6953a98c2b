"""The generator's files are the ones they must be, and its rewritten graph draws what the graph it came from draws."""

from __future__ import annotations

import hashlib
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketface.errors import InvalidModel, MissingExtra
from pocketface.train import generator
from pocketface.train.generator import FILES, FOLDER, RandomFace, haar_kernel, half_size, read_networks

CONTENT = {name: name.encode() * 9 for name in FILES}
LAST = "SynthesisNetwork.bin"


def analysed(pixels: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """One step of the Haar transform along an axis, as its textbook formula has it: the low and the high band."""
    even, odd = (np.take(pixels, range(i, pixels.shape[axis], 2), axis) for i in (0, 1))
    return (even + odd) / np.sqrt(2), (even - odd) / np.sqrt(2)


@pytest.mark.parametrize("channels", [1, 3, 8])
def test_the_kernel_undoes_the_haar_transform(channels: int) -> None:
    pixels = np.random.default_rng(channels).standard_normal((channels, 6, 10))
    low, vertical = analysed(pixels, 1)
    (low, horizontal), (vertical, diagonal) = analysed(low, 2), analysed(vertical, 2)
    details = np.stack([vertical, horizontal, diagonal], axis=1).reshape(3 * channels, 3, 5)
    mixed = np.einsum("oi,ihw->ohw", haar_kernel(channels)[:, :, 0, 0], np.concatenate([low, details]))
    back = np.zeros_like(pixels)
    for place in range(4):
        back[:, place // 2 :: 2, place % 2 :: 2] = mixed[place * channels : (place + 1) * channels]
    np.testing.assert_allclose(back, pixels, atol=1e-6)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files in place of the generator's."""
    told = {name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in CONTENT.items()}
    monkeypatch.setattr(generator, "FILES", told)


def as_folder(path: Path, content: dict[str, bytes]) -> Path:
    path.mkdir()
    for name, data in content.items():
        (path / name).write_bytes(data)
    return path


def as_wheel(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in content.items():
            wheel.writestr(FOLDER + name, data)
    return path


BOTH = pytest.mark.parametrize("place", [as_folder, as_wheel])
Place = Callable[[Path, dict[str, bytes]], Path]


@BOTH
def test_the_files_are_read_from_a_wheel_or_a_folder(tmp_path: Path, known: None, place: Place) -> None:
    assert read_networks(place(tmp_path / "networks", CONTENT)) == CONTENT


@BOTH
@pytest.mark.parametrize(
    ("last", "said"),
    [
        (None, LAST),
        (CONTENT[LAST][:-1], "got 179 with"),
        (b"x" + CONTENT[LAST][1:], "got 180 with"),
        (CONTENT[LAST] * 1000, "got more"),
    ],
    ids=["missing", "truncated", "altered", "longer"],
)
def test_a_file_that_is_not_the_one_is_named(
    tmp_path: Path, known: None, place: Place, last: bytes | None, said: str
) -> None:
    content = {name: data for name, data in {**CONTENT, LAST: last}.items() if data is not None}
    with pytest.raises(InvalidModel, match=rf"(?s){LAST}.*{said}|{said}.*{LAST}") as failed:
        read_networks(place(tmp_path / "networks", content))
    assert "pip download --no-deps random-face==2021.7.21.0" in str(failed.value)


def test_what_is_no_wheel_is_refused(tmp_path: Path, known: None) -> None:
    whole = as_wheel(tmp_path / "whole.whl", CONTENT).read_bytes()
    broken = {
        "none.whl": None,
        "empty.whl": b"",
        "text.whl": b"not a wheel" * 99,
        "truncated.whl": whole[:-200],
        "damaged.whl": whole.replace(whole[70:90], bytes(20), 1),
    }
    for name, data in broken.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(InvalidModel, match=rf"{name}.*pip download"):
            read_networks(tmp_path / name)


def test_without_openvino_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pocketface\[generate\]'"):
        RandomFace(tmp_path)


def test_openvino_reports_nothing_to_its_makers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real one asks for its telemetry in the same way, and leaves an identifier in the home folder with it."""
    for name in ("openvino", "openvino_telemetry"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "openvino_telemetry.py").write_text("")
    (tmp_path / "openvino.py").write_text(
        "try:\n    import openvino_telemetry\n    told = True\nexcept ImportError:\n    told = False\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InvalidModel):
        RandomFace(tmp_path / "none.whl")
    told = sys.modules.pop("openvino").told
    sys.modules.pop("openvino_telemetry")
    assert told is False


@pytest.mark.slow
def test_the_rewritten_graph_draws_what_the_whole_one_draws() -> None:
    """The picture at half its size is the mean of every 2 x 2 pixels of the whole: so the last Haar step has it.

    bfloat16 has 8 bits, about what a level is of the range; so people are within a level of float32 on the average.
    """
    wheel = os.environ.get("RANDOM_FACE")
    if not wheel:
        pytest.skip("RANDOM_FACE names no wheel of random-face")
    try:
        people, files = RandomFace(Path(wheel)), read_networks(Path(wheel))
    except MissingExtra as e:
        pytest.skip(str(e))
    core = sys.modules["openvino"].Core()

    def read(network: str) -> Any:
        return core.read_model(files[f"{network}.xml"], files[f"{network}.bin"])

    models = (read("MappingNetwork"), read("SynthesisNetwork"), half_size(read("SynthesisNetwork")))
    mapping, whole, half = (core.compile_model(m, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}) for m in models)
    for seed in (0, 1):
        style = mapping(np.random.default_rng(seed).standard_normal((1, 512), np.float32))[0]
        mean = whole(style)[0][0].reshape(3, 512, 2, 512, 2).mean(axis=(2, 4))
        np.testing.assert_allclose(half(style)[0][0] / 2, mean, atol=1e-4)
        person = people.person(seed)
        levels = np.clip((mean + 1) * 127.5, 0, 255).transpose(1, 2, 0)
        assert np.abs(person - levels).mean() < 1
        assert np.array_equal(people.person(seed), person)
