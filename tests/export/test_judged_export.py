"""A recogniser that judges leaves with both outputs, proven together; a wrong quality alone is seen."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketface.artifact import load_artifact
from pocketface.errors import ParityError
from pocketface.evaluate.faces import bundled_portraits, inputs_for
from pocketface.evaluate.parity import Parity, check_parity
from pocketface.evaluate.table import parity_row
from pocketface.export import build_model, original_of
from pocketface.export.pipeline import CONVERTERS
from pocketface.export.prepare import Prepared, prepare
from pocketface.runtime.embedder import Embedder

MODEL = "facelivtv2_xs_ri"


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(build_model(MODEL, seed=0))


@pytest.fixture(scope="module")
def sound(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(prepared, tmp_path_factory.mktemp("sound"))


def written(prepared: Prepared, folder: Path) -> Path:
    path = folder / "model.onnx"
    CONVERTERS["onnx"].write(prepared, prepared.contract, path)
    return path


def proven(path: Path) -> Parity:
    artifact = load_artifact(path)
    return check_parity(artifact, original_of(artifact))


def test_both_outputs_are_named_and_proven(sound: Path) -> None:
    artifact, parity = load_artifact(sound), proven(sound)
    assert artifact.contract.outputs == {"embedding": "embedding", "quality": "quality"}
    assert parity.passed
    assert parity.quality is not None
    assert 0 <= parity.quality < 1e-5
    assert parity_row(parity)["quality"] == parity.quality
    crops = inputs_for(artifact.contract, bundled_portraits()[:9])
    embedder = Embedder(artifact, threads=1)
    vectors, quality = embedder.judge(crops)
    np.testing.assert_array_equal(vectors, embedder.embed(crops))
    with torch.no_grad():
        tensor = torch.from_numpy(crops.transpose(0, 3, 1, 2).astype(np.float32))
        expected = original_of(artifact).training(tensor)
    np.testing.assert_allclose(quality, expected["quality"][:, 0], atol=1e-5)
    assert np.ptp(quality) > 0.01  # it tells these faces apart: a constant would prove nothing


def test_a_wrong_quality_beside_a_right_embedding_is_seen(prepared: Prepared, sound: Path, tmp_path: Path) -> None:
    graph = dataclasses.replace(prepared, graph=type(prepared.graph)(prepare(build_model(MODEL, seed=0)).graph.network))
    with torch.no_grad():
        graph.graph.network.quality.index.bias += 0.01
    parity = proven(written(graph, tmp_path))
    assert parity.cosine == pytest.approx(proven(sound).cosine, abs=1e-9)
    with pytest.raises(ParityError, match=r"quality [\d.]+e-0\d apart > 1e-04"):
        parity.require()
