"""The plain ViT is one, by torch's own encoder; files run without a contract, and one that cannot is a row."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from pocketface.bench import recognizers
from pocketface.bench.recognizers import PlainViT, _Block, collect_recognizers, measure_recognizers


def test_a_block_is_torchs_encoder_layer() -> None:
    block, layer = _Block(48, 6), nn.TransformerEncoderLayer(48, 6, 192, 0, "gelu", batch_first=True, norm_first=True)
    names = {"self_attn.in_proj_": "qkv.", "self_attn.out_proj.": "out.", "norm1.": "first.", "norm2.": "second."}
    names |= {"linear1.": "mlp.0.", "linear2.": "mlp.2."}
    ours = block.state_dict()
    layer.load_state_dict({f"{a}{kind}": ours[f"{b}{kind}"] for a, b in names.items() for kind in ("weight", "bias")})
    x = torch.randn(2, 9, 48)
    torch.testing.assert_close(block(x), layer.eval()(x))


def test_it_is_as_large_as_vit_s() -> None:
    network = PlainViT()
    assert network(torch.zeros(1, 3, 112, 112)).shape == (1, 512)
    blocks = sum(p.numel() for p in network.blocks.parameters())
    assert blocks == 12 * (12 * 384**2 + 13 * 384)  # 21.3 of ViT-S's 22 million


def test_files_are_timed_and_a_bad_one_is_told(tmp_path: Path) -> None:
    node = helper.make_node("GlobalAveragePool", ["x"], ["y"])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])
    graph = helper.make_graph([node], "tiny", [x], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (tmp_path / "good.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    files = {name: tmp_path / f"{name}.onnx" for name in ("good", "bad")}
    bad, good = measure_recognizers(files, rounds=2).rows
    assert str(bad["engine"]).startswith("fails: ")
    assert good["ratio"] == 1.0


def test_what_broke_off_is_not_taken_for_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.onnx").write_bytes(b"theirs")
    told: list[str] = []

    def breaks_off(path: Path, out: Path) -> None:
        out.write_bytes(b"half")
        raise RuntimeError("no more")

    monkeypatch.setattr(recognizers, "write_networks", lambda folder, progress: ())
    monkeypatch.setattr(recognizers, "_quantize_onnx", breaks_off)
    files = collect_recognizers(tmp_path / "made", [tmp_path / "other.onnx"], told.append)
    assert {name: path.read_bytes() for name, path in files.items()} == {"other onnx": b"theirs"}
    assert list((tmp_path / "made").iterdir()) == list(files.values())
    assert told == ["other.onnx cannot be quantized: RuntimeError: no more"]
