"""LiteRT runs every .tflite rightly; tflite-runtime runs some of them, and is kept from those that it gets wrong."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pocketface.artifact import Artifact, sidecar_path, write_sidecar
from pocketface.contract import ModelContract, Recognition
from pocketface.errors import InvalidContract, InvalidModel, UnsupportedModel
from pocketface.runtime.backends import litert, open_backend
from pocketface.runtime.backends.flatbuffer import Operator, Tensor, read_operators

KINDS = ["dynamic_wi8_afp32", "dynamic_wi4_afp32", "weight_only_wi8_afp32", "static_wi8_ai8", "static_wi8_ai16"]
#: Kinds that tflite-runtime 2.14 must not be given -> what the refusal says.
WRONG = {
    "dynamic_wi8_afp32": r"dynamic-range FULLY_CONNECTED with a scale per channel: use one per tensor",
    "dynamic_wi4_afp32": r"nonsense for int4 weights: quantize to int8",
    "static_wi8_ai16": r"no GELU for int16 activations: quantize to int8",
}
IMAGE = np.random.default_rng(1).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)

needs_tflite_runtime = pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info >= (3, 12), reason="tflite-runtime has no wheel here"
)


@pytest.fixture(scope="session")
def tflites(tmp_path_factory: pytest.TempPathFactory, contract_of: Callable[..., ModelContract]) -> dict[str, Artifact]:
    """A small network with a GELU and a fully connected layer, in float and in every kind of quantization."""
    os.environ["LITERT_TORCH_SHOW_PROGRESS"] = "n"
    import litert_torch
    import torch
    from ai_edge_quantizer import quantizer, recipe

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = torch.nn.Conv2d(3, 16, 3, 2), torch.nn.Linear(16, 8)

        def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
            x = self.stem(image.permute(0, 3, 1, 2) / 127.5 - 1)
            return {"embedding": self.head(torch.nn.functional.gelu(x).mean((2, 3)))}

    torch.manual_seed(0)
    net, folder = Net().eval(), tmp_path_factory.mktemp("tflites")
    net.head.weight.data *= torch.logspace(-1, 1, 8)[:, None]  # so that each channel has a scale of its own
    float_path = folder / "float32.tflite"
    signature = litert_torch.signature("embed", net, sample_kwargs={"image": torch.from_numpy(IMAGE)})
    signature.convert().export(str(float_path))
    for kind in KINDS:
        quantize = quantizer.Quantizer(str(float_path), getattr(recipe, kind)())
        samples = {"embed": [{"image": IMAGE}]} if "static" in kind else None
        calibrated = (quantize.calibrate(samples),) if samples else ()
        quantize.quantize(*calibrated).export_model(str(folder / f"{kind}.tflite"))
    np.save(folder / "truth.npy", net(torch.from_numpy(IMAGE))["embedding"].detach().numpy())
    contract = contract_of(Recognition(embedding_size=8, normalized=False), layout="NHWC")
    return {kind: write_sidecar(folder / f"{kind}.tflite", contract) for kind in ["float32", *KINDS]}


@pytest.fixture(scope="session")
def truth(tflites: dict[str, Artifact]) -> np.ndarray:
    """What torch says."""
    return np.load(tflites["float32"].path.with_name("truth.npy"))


def raw(artifact: Artifact, module: str) -> np.ndarray:
    """The engine's own answer, in a process that it may crash; NaN if it did."""
    code = (
        f"import sys, numpy as np\nfrom {module}.interpreter import Interpreter\n"
        "run = Interpreter(model_path=sys.argv[1]).get_signature_runner()\n"
        "np.save(sys.argv[3], run(image=np.load(sys.argv[2]))['embedding'])\n"
    )
    given, answer = artifact.path.with_name("image.npy"), artifact.path.with_suffix(".npy")
    np.save(given, IMAGE)
    done = subprocess.run([sys.executable, "-c", code, artifact.path, given, answer], capture_output=True)
    return np.load(answer) if done.returncode == 0 else np.full((1, 8), np.nan)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("kind", ["float32", *KINDS])
def test_litert_runs_every_kind(tflites: dict[str, Artifact], truth: np.ndarray, kind: str) -> None:
    """Those that speak whole numbers too: the engine makes them of the picture, and numbers of the answer."""
    answer = open_backend(tflites[kind], "litert", threads=1).run({"image": IMAGE})["embedding"]
    assert answer.dtype == np.float32
    assert cosine(answer, truth) > (0.98 if "wi4" in kind else 0.999)
    if kind == "float32":
        np.testing.assert_allclose(answer, truth, atol=1e-5)


@needs_tflite_runtime
@pytest.mark.parametrize("kind", sorted({"float32", *KINDS} - WRONG.keys()))
def test_tflite_runtime_agrees_on_what_it_is_given(tflites: dict[str, Artifact], kind: str) -> None:
    answers = [open_backend(tflites[kind], n).run({"image": IMAGE})["embedding"] for n in ("litert", "tflite-runtime")]
    assert cosine(*answers) > 0.999


@needs_tflite_runtime
@pytest.mark.parametrize(("kind", "reason"), WRONG.items())
def test_tflite_runtime_is_refused_what_it_gets_wrong(tflites: dict[str, Artifact], kind: str, reason: str) -> None:
    with pytest.raises(
        UnsupportedModel, match=rf"{kind}.tflite: not for tflite-runtime: .*{reason}, or use .*'litert'"
    ):
        open_backend(tflites[kind], "tflite-runtime")
    assert open_backend(tflites[kind]).name == "litert"


@needs_tflite_runtime
@pytest.mark.parametrize("kind", ["dynamic_wi8_afp32", "dynamic_wi4_afp32"])
def test_the_refusals_are_deserved(tflites: dict[str, Artifact], truth: np.ndarray, kind: str) -> None:
    """If this fails, a newer tflite-runtime has been mended and the refusal can go."""
    assert not cosine(raw(tflites[kind], "tflite_runtime"), truth) > 0.95
    assert cosine(raw(tflites[kind], "ai_edge_litert"), truth) > 0.98


@needs_tflite_runtime
def test_tflite_runtime_is_refused_beside_a_new_numpy(
    tflites: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litert.np, "__version__", "2.3.5")
    with pytest.raises(UnsupportedModel, match=r"it needs numpy < 2 and 2\.3\.5 is installed: pip install 'numpy<2'"):
        open_backend(tflites["float32"], "tflite-runtime")


@needs_tflite_runtime
def test_tflite_runtime_gets_no_file_that_might_be_damaged(tflites: dict[str, Artifact], tmp_path: Path) -> None:
    alone = tmp_path / "alone.tflite"
    alone.write_bytes(tflites["float32"].path.read_bytes())
    with pytest.raises(UnsupportedModel, match=r"no alone\.tflite\.json confirms this one: copy that too"):
        open_backend(replace(tflites["float32"], path=alone), "tflite-runtime")
    sidecar_path(alone).touch()
    alone.write_bytes(b"\xff" * 100)
    with pytest.raises(InvalidModel, match="not a sound flatbuffer"):
        open_backend(replace(tflites["float32"], path=alone), "tflite-runtime")


def test_batches_and_strided_arrays(tflites: dict[str, Artifact]) -> None:
    images = np.random.default_rng(2).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)
    backend = open_backend(tflites["float32"])
    together = backend.run({"image": np.asfortranarray(images)})["embedding"]
    for image, row in zip(images, together, strict=True):
        np.testing.assert_array_equal(backend.run({"image": image[None]})["embedding"][0], row)


@pytest.mark.parametrize(
    "feeds",
    [
        {"picture": IMAGE},
        {"image": IMAGE.astype(np.uint8)},
        {"image": IMAGE.transpose(0, 3, 1, 2)},
        {"image": IMAGE[0]},
    ],
    ids=["name", "type", "layout", "rank"],
)
def test_wrong_feeds_are_refused(tflites: dict[str, Artifact], feeds: dict[str, np.ndarray]) -> None:
    with pytest.raises(InvalidContract, match=r"fed with .*, but the file takes image float32 \(1, 32, 32, 3\)"):
        open_backend(tflites["float32"]).run(feeds)


def test_damaged_files_are_refused(tflites: dict[str, Artifact], tmp_path: Path) -> None:
    whole = tflites["float32"].path.read_bytes()
    for data in (b"", b"not a model", whole[: len(whole) // 2]):
        (tmp_path / "net.tflite").write_bytes(data)
        with pytest.raises(InvalidModel, match=r"net\.tflite: litert cannot load it"):
            open_backend(replace(tflites["float32"], path=tmp_path / "net.tflite"), "litert")


@pytest.mark.parametrize("kind", ["float32", *KINDS])
def test_operators_are_those_that_litert_reads(tflites: dict[str, Artifact], kind: str) -> None:
    from ai_edge_litert import schema_py_generated as schema

    data = tflites[kind].path.read_bytes()
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    expected = []
    for graph in model.subgraphs:
        for op in graph.operators:
            code = model.operatorCodes[op.opcodeIndex]
            tensors = [graph.tensors[i] for i in op.inputs if i >= 0]
            scales = [getattr(t.quantization, "scale", None) for t in tensors]
            inputs = [Tensor(t.type, 0 if s is None else len(s)) for t, s in zip(tensors, scales, strict=True)]
            expected.append(Operator(max(code.builtinCode, code.deprecatedBuiltinCode), inputs))
    assert read_operators(data) == expected
    assert len(expected) > 4


def test_altered_flatbuffers_raise_nothing_but_value_errors(tflites: dict[str, Artifact]) -> None:
    whole = tflites["dynamic_wi8_afp32"].path.read_bytes()
    refused = 0
    for seed in range(1000):
        rng = random.Random(seed)
        data = bytearray(whole[: rng.randrange(len(whole))] if seed % 4 == 0 else whole)
        for _ in range(rng.randrange(1, 20)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            read_operators(bytes(data))
        except ValueError:
            refused += 1
    assert refused > 300
