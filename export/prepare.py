"""From a registered network to the graph that leaves the house: RGB 0..255 in, final answers out.

Normalisation and decoding are part of the graph, so that the commonest fault of this field, a wrong mean, order
or scale on the phone, cannot be made. Normalisation stays an operation of its own and is not folded into
the first convolution: that convolution pads with zeros *after* normalising, and a bias folded into it would be
missing at the border.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .. import __version__
from ..contract import Detection, InputSpec, ModelContract, Recognition
from ..errors import ExportError, InvalidModel
from ..models import ModelSpec, channels_last, create_model, macs, model_spec, parameters, reparameterize
from ..weights import find_bundled

#: What a detector's size must be a multiple of: its coarsest stride.
SIZE_STEP = 32
#: Name of the one input of every export.
INPUT = "image"


@dataclass(frozen=True)
class BuiltModel:
    """A network with its weights and where they come from.

    Attributes:
        spec: the architecture's entry in the registry.
        network: in training form and evaluation mode.
        weights: ``seeded:N`` or the name of a file.
        license: SPDX identifier of the weights' licence.

    """

    spec: ModelSpec
    network: nn.Module
    weights: str
    license: str = "Apache-2.0"

    @property
    def trained(self) -> bool:
        """Whether the weights come from a file rather than a seed."""
        return not self.weights.startswith("seeded:")

    def fingerprint(self) -> str:
        """Hex SHA-256 over the architecture's name and the weights as given, before any folding.

        Of a network that judges faces beside embedding them, only what embeds them counts: its embeddings are those of
        its trunk, and may be compared with them.
        """
        total = hashlib.sha256((self.spec.trunk or self.spec.name).encode())
        embeds = self.network.get_submodule("trunk" if self.spec.trunk else "")
        for key, tensor in sorted(embeds.state_dict().items()):
            total.update(f"{key} {tuple(tensor.shape)}".encode())
            total.update(np.asarray(tensor.detach().to(torch.float32)).tobytes())
        return total.hexdigest()


def build_model(
    name: str,
    weights: Path | None = None,
    *,
    seed: int | None = None,
    license: str | None = None,
    size: tuple[int, int] | None = None,
) -> BuiltModel:
    """Create a registered network with the weights of a file, with seeded ones, or else with the bundled ones.

    Args:
        name: of the network.
        weights: a checkpoint.
        seed: instead of a checkpoint; where neither is given and nothing is bundled for the network, the seed is 0.
        license: SPDX identifier of the weights' licence; None for that of the bundled ones, or else Apache-2.0.
        size: (height, width) of a detector's input, multiples of 32; None for what the network was designed for.

    Raises:
        InvalidModel: the file cannot be read or does not fit the architecture.
        ExportError: the network does not take this size.
    """
    spec = _resized(model_spec(name), size)
    bundled = find_bundled(name) if weights is None and seed is None else None
    if bundled:
        weights, license = bundled.path, license or bundled.license
    seed = None if weights else seed or 0
    network = create_model(name, weights=weights, seed=seed)
    label = weights.name if weights else f"seeded:{seed}"
    return BuiltModel(spec, network, label, license or "Apache-2.0")


def _resized(spec: ModelSpec, size: tuple[int, int] | None) -> ModelSpec:
    if size is None or size == spec.input_size:
        return spec
    height, width = size
    if spec.task != "detection":
        raise ExportError(f"{spec.name} takes crops of {spec.input_size[0]} x {spec.input_size[1]} only")
    if min(size) < SIZE_STEP or height % SIZE_STEP or width % SIZE_STEP:
        raise ExportError(f"{spec.name} takes multiples of {SIZE_STEP}, got {height} x {width}")
    return replace(spec, input_size=size)


def rebuild_model(contract: ModelContract, weights: Path | None = None) -> BuiltModel:
    """The network that an export was made from, built again from its contract.

    Args:
        contract: of the export.
        weights: the checkpoint, unless the weights were seeded or are bundled.

    Raises:
        InvalidModel: the weights are needed and not given, or are not those of the export.

    """
    bundled = find_bundled(contract.model) if weights is None and contract.trained else None
    if bundled and bundled.file == contract.weights:
        weights = bundled.path
    if weights is None and contract.trained:
        raise InvalidModel(f"{contract.model} was exported from {contract.weights!r}: name that file with --weights")
    seed = None if contract.trained else int(contract.weights.removeprefix("seeded:"))
    size = contract.input.height, contract.input.width
    built = build_model(contract.model, weights, seed=seed, license=contract.license, size=size)
    if built.fingerprint() != contract.fingerprint:
        raise InvalidModel(
            f"{built.weights} are other weights than those the file was made from: fingerprint "
            f"{built.fingerprint()[:12]}, its contract says {contract.fingerprint[:12]}"
        )
    return built


class ExportGraph(nn.Module):
    """RGB 0..255 ``(B, 3, H, W)`` -> a dict of final outputs; the subclasses say which."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @staticmethod
    def normalize(image: Tensor) -> Tensor:
        """0..255 -> -1..1."""
        return image * (1 / 127.5) - 1


class RecognizerGraph(ExportGraph):
    """-> ``embedding (B, D)``, divided by its L2 norm."""

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Normalise, embed, divide by the length."""
        return {"embedding": _unit(self.network(self.normalize(image)))}


class JudgingGraph(ExportGraph):
    """-> ``embedding (B, D)``, divided by its L2 norm, and ``quality (B, 1)`` in 0..1."""

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Normalise, embed and judge, divide by the length."""
        embedding, quality = self.network.judged(self.normalize(image))  # type: ignore[operator]
        return {"embedding": _unit(embedding), "quality": quality}


class DetectorGraph(ExportGraph):
    """-> ``scores (B, N)``, ``boxes (B, N, 4)``, ``landmarks (B, N, 5, 2)``, ``rotation (B, N, 3, 3)``."""

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Normalise, detect, decode to pixels."""
        raw = self.network(self.normalize(image))
        scores, boxes, landmarks, rotation = self.network.decode(raw, *image.shape[2:])  # type: ignore[operator]
        return {"scores": scores, "boxes": boxes, "landmarks": landmarks, "rotation": rotation}


class ChannelsLast(nn.Module):
    """The same graph with an NHWC input and token mixing that keeps the channels last, which is what TFLite wants."""

    def __init__(self, graph: ExportGraph) -> None:
        super().__init__()
        self.body = channels_last(graph)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """``(B, H, W, 3)`` -> the graph's outputs."""
        outputs: dict[str, Tensor] = self.body(image.permute(0, 3, 1, 2))
        return outputs


@dataclass(frozen=True)
class Prepared:
    """What the converters take.

    Attributes:
        built: the network that all comes from.
        graph: the deployed network between normalisation and decoding.
        contract: for the ONNX form; the other formats change its input's layout.

    """

    built: BuiltModel
    graph: ExportGraph
    contract: ModelContract

    @property
    def name(self) -> str:
        """Architecture and input size, as files are named: ``facelivtv2_xs_112``."""
        size = self.contract.input
        side = f"{size.height}" if size.height == size.width else f"{size.height}x{size.width}"
        return f"{self.contract.model}_{side}"

    def example(self, batch: int = 1) -> Tensor:
        """Pixel values 0..255 of the contract's size ``(batch, 3, H, W)``, the same on each call."""
        generator = torch.Generator().manual_seed(0)
        shape = (batch, 3, self.contract.input.height, self.contract.input.width)
        return torch.randint(0, 256, shape, generator=generator).float()


def prepare(built: BuiltModel) -> Prepared:
    """Fold the network and put it between normalisation and decoding."""
    deployed = reparameterize(built.network)
    graph = training_graph(built, deployed)
    height, width = built.spec.input_size
    detects = built.spec.task == "detection"
    contract = ModelContract(
        model=built.spec.name,
        task=_task(built.spec),
        input=InputSpec(
            name=INPUT,
            layout="NCHW",
            height=height,
            width=width,
            size_step=SIZE_STEP if detects else 0,
            dynamic_batch=True,
        ),
        outputs={name: name for name in _graph_of(deployed, built.spec.task)[1]},
        fingerprint=built.fingerprint(),
        weights=built.weights,
        trained=built.trained,
        parameters=parameters(deployed),
        macs=macs(deployed, built.spec.input_size),
        license=built.license,
        producer=f"pocketface {__version__}",
    )
    return Prepared(built, graph, contract)


def training_graph(built: BuiltModel, network: nn.Module | None = None) -> ExportGraph:
    """The same graph around the network in training form (or around ``network``): what exports are compared with."""
    network = network or built.network
    return _graph_of(network, built.spec.task)[0](network).eval()


def _task(spec: ModelSpec) -> Recognition | Detection:
    return Recognition(embedding_size=spec.embedding_size or 0) if spec.task == "recognition" else Detection()


def _unit(e: Tensor) -> Tensor:
    """Each embedding divided by its length."""
    # The square of an embedding may overflow in float16; after dividing by the largest element it cannot.
    e = e / e.abs().amax(1, keepdim=True).clamp(min=1e-4)
    return e * torch.rsqrt((e * e).sum(1, keepdim=True).clamp(min=1e-4))


def _graph_of(network: nn.Module, task: str) -> tuple[type[ExportGraph], tuple[str, ...]]:
    """The graph around a network, and the names of its outputs."""
    if task == "detection":
        return DetectorGraph, ("scores", "boxes", "landmarks", "rotation")
    if hasattr(network, "judged"):
        return JudgingGraph, ("embedding", "quality")
    return RecognizerGraph, ("embedding",)
