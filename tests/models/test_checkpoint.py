"""A user's file loads strictly or is refused with the reason, and nothing in it runs."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pocketface.errors import InvalidModel
from pocketface.models import average_weights, create_model, save_weights
from pocketface.models.checkpoint import read_state

NAME = "facelivtv2_xs"
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    return create_model(NAME, seed=3).state_dict()


def _save(state: object, path: Path) -> Path:
    if path.suffix == ".safetensors":
        assert isinstance(state, dict)
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("file", ["w.safetensors", "w.pt", "w.pth"])
def test_a_checkpoint_comes_back_as_it_was(state: State, tmp_path: Path, file: str) -> None:
    loaded = create_model(NAME, weights=_save(state, tmp_path / file)).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


@pytest.mark.parametrize("key", ["state_dict", "state_dict_backbone", "model"])
def test_wrappers_and_prefixes_are_taken_off(state: State, tmp_path: Path, key: str) -> None:
    wrapped = {"epoch": 7, key: {f"module.{k}": v for k, v in state.items()}}
    loaded = create_model(NAME, weights=_save(wrapped, tmp_path / "w.pt")).state_dict()
    assert all(torch.equal(loaded[k], value) for k, value in state.items())


def test_half_precision_files_load(state: State, tmp_path: Path) -> None:
    halves = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    model = create_model(NAME, weights=_save(halves, tmp_path / "w.safetensors"))
    key = "head.classifier.l.weight"
    assert torch.equal(model.state_dict()[key], halves[key].float())


def test_an_average_is_the_mean_of_all_and_counters_stay() -> None:
    networks = [create_model(NAME, seed=seed) for seed in (1, 2, 3)]
    before = [{key: value.clone() for key, value in network.state_dict().items()} for network in networks]
    average_weights(networks[0], networks[1:])
    for key, value in networks[0].state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, sum(state[key].double() for state in before).float() / 3)
        else:
            assert torch.equal(value, before[0][key])
    assert all(torch.equal(v, before[1][k]) for k, v in networks[1].state_dict().items())


def test_faults_are_named_and_counted(state: State, tmp_path: Path) -> None:
    broken = {k: v for k, v in state.items() if not k.startswith("stages.3.blocks.2")}
    broken["head.bias"] = torch.zeros(1)
    broken["head.classifier.l.bias"] = torch.zeros(128)
    broken["head.classifier.bn.bias"] = torch.full((1284,), torch.nan)
    with pytest.raises(InvalidModel) as caught:
        create_model(NAME, weights=_save(broken, tmp_path / "w.pt"))
    message = str(caught.value)
    assert "32 missing: stages.3.blocks.2.block.0.m.conv.weight" in message
    assert "1 unexpected: head.bias" in message
    assert "1 misshapen: head.classifier.l.bias (128,) for (512,)" in message
    assert "1 non-finite: head.classifier.bn.bias" in message


@pytest.mark.parametrize("file", ["w.safetensors", "w.pt"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_truncated_files_are_refused(state: State, tmp_path: Path, file: str, share: float) -> None:
    path = _save(state, tmp_path / file)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InvalidModel, match=file):
        create_model(NAME, weights=path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damaged_files_raise_nothing_else(tmp_path: Path) -> None:
    small = {"a.weight": torch.rand(4, 5), "b": torch.rand(3)}
    torch.save(small, tmp_path / "zip.pt")
    torch.save(small, tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    save_file(small, tmp_path / "w.safetensors")
    rng = random.Random(0)
    for path in sorted(tmp_path.iterdir()):
        content, damaged = path.read_bytes(), path.with_stem("damaged")
        for _ in range(150):
            flipped = bytearray(content)
            for _ in range(rng.choice([1, 4, 16])):
                flipped[rng.randrange(len(flipped))] = rng.randrange(256)
            damaged.write_bytes(flipped)
            with contextlib.suppress(InvalidModel):  # a flip in a weight's value goes unseen
                read_state(damaged)


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("protocol", ["torch", "pickle"])
def test_code_in_a_pickle_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bomb.pt"
    if protocol == "torch":
        torch.save({"weight": _Bomb()}, path)
    else:
        path.write_bytes(pickle.dumps(_Bomb(), protocol=2))
    with pytest.raises(InvalidModel, match=r"bomb\.pt"):
        create_model(NAME, weights=path)
    assert not (tmp_path / "exploded").exists()


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="no such checkpoint"):
        create_model(NAME, weights=tmp_path / "none.pt")
    with pytest.raises(InvalidModel, match=r"\.onnx"):
        create_model(NAME, weights=tmp_path / "model.onnx")
    with pytest.raises(InvalidModel, match="names to tensors"):
        create_model(NAME, weights=_save([1, 2], tmp_path / "list.pt"))
    with pytest.raises(InvalidModel, match="names to tensors"):
        create_model(NAME, weights=_save({"lr": 0.1}, tmp_path / "dict.pt"))


def test_half_the_size_keeps_the_answers(tmp_path: Path) -> None:
    network = create_model(NAME, seed=3)
    save_weights(network, tmp_path / "whole.safetensors")
    save_weights(network, tmp_path / "half.safetensors", half=True)
    whole, half = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half"))
    assert half < 0.52 * whole
    again, x = create_model(NAME, weights=tmp_path / "half.safetensors"), torch.rand(4, 3, 112, 112) * 2 - 1
    with torch.inference_mode():
        assert torch.cosine_similarity(network(x), again(x)).min() > 0.99999
    stored = read_state(tmp_path / "half.safetensors")
    assert {stored[key].dtype for key in stored if key.endswith(("ls", "alpha", "running_var"))} == {torch.float32}


def test_a_recogniser_that_judges_serves_the_one_that_does_not(tmp_path: Path) -> None:
    judging = create_model("facelivtv2_xs_ri", seed=3)
    save_weights(judging, tmp_path / "w.safetensors")
    plain, x = create_model(NAME, weights=tmp_path / "w.safetensors"), torch.rand(2, 3, 112, 112) * 2 - 1
    with torch.inference_mode():
        assert torch.equal(plain(x), judging(x))
