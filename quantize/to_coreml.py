"""Quantize Core ML with coremltools, on any machine: ranges of activations come from our interpreter of ML Programs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..embedded import KEY
from ..evaluate.mil import open_package
from ..evaluate.mil.package import Package
from ..evaluate.mil.quiet import coremltools
from ..export.quiet import quiet
from ..export.to_coreml import make_reproducible
from .layers import Operation
from .ranges import Extremes, Range, observe
from .recipe import Recipe

_WEIGHTED = ("conv", "linear", "matmul", "conv_transpose")


def operations(path: Path) -> list[Operation]:
    """The operations of a package's program, constants left out, in the order in which they run.

    Raises:
        MissingExtra: coremltools is not installed.
        InvalidModel: the package is damaged.
    """
    spec = Package(path).spec
    found, stored = [], dict[str, int]()
    for function in spec.mlProgram.functions.values():
        for operation in function.block_specializations[function.opset].operations:
            name = operation.outputs[0].name
            if operation.type == "const":
                stored[name] = _elements(operation.outputs[0])
            elif not operation.type.startswith("constexpr"):
                found.append(_operation(operation, name, stored))
    return found


def _operation(operation: Any, name: str, stored: Mapping[str, int]) -> Operation:
    takes = tuple(b.name for argument in operation.inputs.values() for b in argument.arguments if b.name)
    gives = tuple(output.name for output in operation.outputs)
    if operation.type not in _WEIGHTED:
        return Operation(name, operation.type, takes=takes, gives=gives)
    taken = [b.name for p in ("weight", "x", "y") if p in operation.inputs for b in operation.inputs[p].arguments]
    weight = next((name for name in taken if name in stored), "")
    return Operation(name, operation.type, weight, stored.get(weight, 0), takes, gives)


def _elements(output: Any) -> int:
    return int(np.prod([d.constant.size for d in output.type.tensorType.dimensions]))


def extremes(path: Path, feeds: NDArray[np.uint8], name: str) -> Extremes:
    """Least and greatest values of every tensor over pictures ``(N, H, W, 3) uint8``, one at a time."""
    return observe(_runs(path, feeds, name))


def _runs(path: Path, feeds: NDArray[np.uint8], name: str) -> Iterator[dict[str, NDArray[Any]]]:
    interpreter = open_package(path)
    for feed in feeds:
        yield interpreter.values({name: feed[None]})


def write(source: Path, recipe: Recipe, chosen: Collection[str], found: Mapping[str, Range], path: Path) -> None:
    """Quantize a float package; arguments are those of :func:`pocketface.quantize.to_onnx.write`."""
    ct = coremltools()
    with quiet():
        model = ct.models.MLModel(str(source), skip_model_load=True)
        if recipe.scheme == "w8a8":
            model = _with_ranges(model, source, chosen, found)
        weights = [o.weight for o in operations(source) if o.name in chosen and o.weight and o.elements >= _FEWEST]
        made = _in_half(model, chosen) if recipe.scheme == "fp16" else _compress(model, recipe, weights)
        made.license, made.short_description = model.license, model.short_description
        made.user_defined_metadata[KEY] = ""
        made.save(str(path))
    make_reproducible(path)


def _in_half(model: Any, chosen: Collection[str]) -> Any:
    """The program of a float32 package, computed in half where that was chosen."""
    from coremltools.converters.mil.frontend.milproto.load import load

    ct, spec = coremltools(), model.get_spec()
    pictures = [i for i in spec.description.input if i.type.WhichOneof("Type") == "imageType"]
    sizes = [(1, 3, picture.type.imageType.height, picture.type.imageType.width) for picture in pictures]
    return ct.convert(
        load(spec, spec.specificationVersion, model.weights_dir),
        source="milinternal",
        convert_to="mlprogram",
        inputs=[
            ct.ImageType(name=picture.name, shape=size, color_layout=ct.colorlayout.RGB)
            for picture, size in zip(pictures, sizes, strict=True)
        ],
        outputs=[ct.TensorType(name=output.name, dtype=np.float32) for output in spec.description.output],
        compute_precision=ct.transform.FP16ComputePrecision(op_selector=lambda op: op.name in chosen),
        minimum_deployment_target=ct.target.iOS16,
        skip_model_load=True,
    )


def _compress(model: Any, recipe: Recipe, weights: Collection[str]) -> Any:
    """These weights in 8 bits or as indices into a palette, and nothing else.

    Left to itself, coremltools takes every large constant for weights, a detector's grid of priors too, and faces
    then move by pixels.
    """
    from coremltools.optimize import coreml as cto

    if recipe.scheme == "palettize":
        each = cto.OpPalettizerConfig(mode="kmeans", nbits=recipe.weight_bits, weight_threshold=0)
        return cto.palettize_weights(model, cto.OptimizationConfig(op_name_configs=dict.fromkeys(weights, each)))
    each = cto.OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int8", weight_threshold=0)
    return cto.linear_quantize_weights(model, cto.OptimizationConfig(op_name_configs=dict.fromkeys(weights, each)))


#: Weights with fewer elements than that stay as they are: their scales would take more than they save.
_FEWEST = 512
_MODULE = "coremltools.optimize.coreml._post_training_quantization"


def _with_ranges(model: Any, source: Path, chosen: Collection[str], found: Mapping[str, Range]) -> Any:
    """Quantize and dequantize activations around the chosen operations.

    coremltools would find the ranges with Core ML itself, which only macOS has, so it is handed ours. Activations get a
    zero point, as in the other formats: what an activation function leaves lies mostly on one side of 0, and a range
    that is symmetric would spend half of its steps on the other one.
    """
    import importlib
    from unittest import mock

    from coremltools.optimize import coreml as cto

    known = {name: {"rmin": r.low, "rmax": r.high} for name, r in found.items()}
    each = cto.experimental.OpActivationLinearQuantizerConfig(mode="linear", dtype="int8")
    kept = {operation.name: None for operation in operations(source) if operation.name not in chosen}
    config = cto.OptimizationConfig(global_config=each, op_name_configs=kept)
    with mock.patch.object(importlib.import_module(_MODULE), "_get_activation_calibration_stats", return_value=known):
        return cto.experimental.linear_quantize_activations(model, config, sample_data=[{}])
