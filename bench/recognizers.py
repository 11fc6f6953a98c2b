"""One crop through many recognisers, in turn, on one thread.

Networks of ours and a plain ViT-S are made with seeded weights: latency does not ask what a network has learnt.
Files of others are only measured.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..artifact import atomic
from ..errors import MissingExtra
from ..models import create_model, reparameterize
from ..report import Column, Row, Section

NETWORKS = ("facelivtv2_xs", "facelivtv2_s", "facelivtv2_m", "facelivt_s", "facelivt_m", "mobilefacenet")
SIZE = 112
COLUMNS = (
    Column(key="network", name="recogniser"),
    Column(key="engine", name="engine"),
    Column(key="cpu_ms", name="processor time, p50", unit="ms", kind="number", spec=".2f", bar=True),
    Column(key="ratio", name="of the first", kind="number", spec=".2f"),
    Column(key="size_bytes", name="size", kind="bytes"),
)


class PlainViT(nn.Module):
    """ViT-S of Dosovitskiy et al. 2021 (arXiv 2010.11929), width 384, 12 blocks of 6 heads, patches of 8 pixels."""

    def __init__(self, width: int = 384, depth: int = 12, heads: int = 6, patch: int = 8) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.places = nn.Parameter(torch.zeros(1, (SIZE // patch) ** 2, width))
        self.blocks = nn.Sequential(*(_Block(width, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 512)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 3, 112, 112) -> (N, 512)."""
        tokens = self.patches(image).flatten(2).transpose(1, 2) + self.places
        answer: torch.Tensor = self.head(self.norm(self.blocks(tokens)).mean(1))
        return answer


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, tokens, width = x.shape
        q, k, v = self.qkv(self.first(x)).reshape(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(2, 3) * q.shape[-1] ** -0.5).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(n, tokens, width))
        answer: torch.Tensor = x + self.mlp(self.second(x))
        return answer


def write_networks(folder: Path, progress: Callable[[str], None] = lambda step: None) -> Iterator[Path]:
    """Every network as ONNX and TFLite, and both again in int8, as far as its tools can; existing files stay."""
    for name in (*NETWORKS, "vit_s"):
        progress(name)
        network = (PlainViT() if name == "vit_s" else reparameterize(create_model(name, seed=0))).eval()
        for suffix, write in (("onnx", _write_onnx), ("tflite", _write_tflite)):
            yield _once(folder / f"{name}.{suffix}", partial(write, network))


def _once(path: Path, write: Callable[[Path], object]) -> Path:
    """A file that is made only where it is not there yet; whole, as the next call takes it for done."""
    if not path.exists():
        with atomic(path) as temporary:
            write(temporary)
    return path


def _write_onnx(network: nn.Module, path: Path) -> None:
    image = torch.randn(1, 3, SIZE, SIZE)
    program = torch.onnx.export(network, (image,), dynamo=True, external_data=False, verbose=False)
    assert program is not None
    program.save(str(path))


def _write_tflite(network: nn.Module, path: Path) -> None:
    try:
        import litert_torch
    except ImportError as e:
        raise MissingExtra("litert-torch", "export", "write TFLite files") from e
    image = torch.randn(1, SIZE, SIZE, 3)
    litert_torch.convert(litert_torch.to_channel_last_io(network, args=[0]).eval(), (image,)).export(str(path))


def quantized(path: Path) -> Path:
    """The file in int8, weights and activations, calibrated on noise, which is good enough for a latency."""
    quantize = _quantize_onnx if path.suffix == ".onnx" else _quantize_tflite
    return _once(path.with_name(f"{path.stem}_int8{path.suffix}"), partial(quantize, path))


def _quantize_onnx(path: Path, out: Path) -> None:
    from onnxruntime import InferenceSession
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    inputs = InferenceSession(str(path), providers=["CPUExecutionProvider"]).get_inputs()

    class Noise(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.feeds = iter([{i.name: _noise(i.shape, seed) for i in inputs} for seed in range(4)])

        def get_next(self) -> Any:
            return next(self.feeds, None)

    quantize_static(str(path), str(out), Noise(), activation_type=QuantType.QUInt8)  # per tensor: ViTs run no other


def _quantize_tflite(path: Path, out: Path) -> None:
    from ai_edge_quantizer import quantizer, recipe

    tool = quantizer.Quantizer(str(path), recipe.static_wi8_ai8())
    feeds = {"serving_default": [{"args_0": _noise((1, SIZE, SIZE, 3), seed)} for seed in range(4)]}
    tool.quantize(tool.calibrate(feeds)).export_model(str(out))


def _noise(shape: Any, seed: int = 0) -> Any:
    whole = [int(n) if isinstance(n, int | np.integer) and n > 0 else 1 for n in shape]
    return np.random.default_rng(seed).standard_normal(whole).astype(np.float32)


def open_raw(path: Path) -> Callable[[], object]:
    """A run of a file on one thread, without its contract, which others' files do not have."""
    if path.suffix == ".onnx":
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        feeds = {i.name: _noise(i.shape) for i in session.get_inputs()}
        return lambda: session.run(None, feeds)
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], _noise(detail["shape"]).astype(detail["dtype"]))
    run: Callable[[], object] = interpreter.invoke
    return run


def collect_recognizers(
    folder: Path, others: Sequence[Path], progress: Callable[[str], None] = lambda step: None
) -> dict[str, Path]:
    """Every network and file in float32 and int8, by name; what has to be made is made in the folder, once.

    Args:
        folder: for the files.
        others: ONNX files of others, copied there.
        progress: told of every step, and of what cannot be quantized.
    """
    paths = [*write_networks(folder, progress)]
    paths += [_once(folder / other.name, partial(shutil.copyfile, other)) for other in others]
    files: dict[str, Path] = {}
    for path in paths:
        files[f"{path.stem} {path.suffix[1:]}"] = path
        try:
            files[f"{path.stem} {path.suffix[1:]} int8"] = quantized(path)
        except Exception as e:  # the tools fail in many ways, and a row less is no reason to lose the others
            progress(f"{path.name} cannot be quantized: {type(e).__name__}: {str(e)[:200]}")
    return files


def measure_recognizers(files: Mapping[str, Path], rounds: int = 40) -> Section:
    """Median processor time of one crop for each file, in turn; ratios are medians over the rounds."""
    runs: dict[str, Callable[[], object]] = {}
    rows: list[Row] = []
    for name, path in files.items():
        try:
            run = open_raw(path)
            run()
            runs[name] = run
        except Exception as e:  # engines have a dozen exception types without a common base
            rows.append({"network": name, "engine": f"fails: {str(e).splitlines()[0]}"})
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 3):
        for name, run in runs.items():
            start = time.thread_time()
            run()
            if turn >= 3:
                times[name].append((time.thread_time() - start) * 1e3)
    first = np.array(next(iter(times.values())))
    for name, spent in times.items():
        row: Row = {"network": name, "engine": "LiteRT" if files[name].suffix == ".tflite" else "ONNX Runtime"}
        row |= {"cpu_ms": float(np.median(spent)), "ratio": float(np.median(np.array(spent) / first))}
        rows.append({**row, "size_bytes": files[name].stat().st_size})
    return Section(title=f"One crop, one thread, {rounds} rounds", columns=COLUMNS, rows=rows)
