"""The benchmark of an evaluation's pass embeds what it says it does."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper

from pocketface.artifact import write_sidecar
from pocketface.bench import evaluation
from pocketface.contract import InputSpec, ModelContract, Recognition
from pocketface.evaluate.embeddings import Embedded


@pytest.fixture
def recognizer(tmp_path: Path) -> Path:
    """A network of one step: the means of the channels."""
    steps = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embedding"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 112, 112])
    result = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, None)
    graph = helper.make_graph(steps, "tiny", [image], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (tmp_path / "tiny.onnx").write_bytes(model.SerializeToString())
    spec = InputSpec(name="image", layout="NCHW", height=112, width=112, dynamic_batch=True)
    task = Recognition(embedding_size=3, normalized=False)
    values = {"outputs": {"embedding": "embedding"}, "fingerprint": "ab" * 32, "weights": "by hand", "trained": False}
    contract = ModelContract(model="tiny", task=task, input=spec, **values)
    return write_sidecar(tmp_path / "tiny.onnx", contract).path


def test_every_side_has_its_rates(recognizer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Embedded] = []

    def spy(*arguments: object) -> Embedded:
        seen.append(embed_images(*arguments))  # type: ignore[arg-type]
        return seen[-1]

    embed_images = evaluation.embed_images
    monkeypatch.setattr(evaluation, "embed_images", spy)
    section = evaluation.measure_evaluation(recognizer, sides=(112, 128), pictures=50, rounds=1, limit=1e9)
    assert [row["side"] for row in section.rows] == [112, 128]
    # A first round does not count, for each side.
    assert [(len(result.failed), result.failed.sum()) for result in seen] == [(50, 0)] * 4
    for row in section.rows:
        assert row["within"] is True
        assert min(float(row[key] or 0) for key in ("engine_per_s", "engines_per_s", "pass_per_s")) > 0
