"""What a format or an engine cannot run, or runs wrongly: refused at once, with the reason, before any work is done."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..artifact import Artifact
from ..contract import Detection
from ..errors import InvalidModel, UnsupportedModel
from .layers import BEFORE, BEHIND, Layer
from .recipe import NAMES, Recipe, parse_recipe

_PALETTES = "only Core ML looks weights up in a palette"
#: (format, recipe) -> why it is refused. What is not here can be had.
REFUSALS: dict[tuple[str, str], str] = {
    ("onnx", "dynamic_wi8_afp32"): (
        "ONNX Runtime's ConvInteger adds a pass over every tensor and was measured 2.7 times slower than float; "
        "weight_only_wi8_afp32 is as small, static_wi8_ai8 is fast"
    ),
    ("onnx", "palettize_4"): _PALETTES,
    ("onnx", "palettize_6"): _PALETTES,
    ("onnx", "palettize_8"): _PALETTES,
    ("onnx", "w8a8"): "that is Core ML's; here it is called static_wi8_ai8",
    ("tflite", "palettize_4"): _PALETTES,
    ("tflite", "palettize_6"): _PALETTES,
    ("tflite", "palettize_8"): _PALETTES,
    ("tflite", "static_wi8_au8"): "TFLite's kernels for 8 bits are signed: static_wi8_ai8",
    ("tflite", "w8a8"): "that is Core ML's; here it is called static_wi8_ai8",
    ("coreml", "dynamic_wi8_afp32"): "Core ML finds no ranges while it runs: weight_only_wi8_afp32, or w8a8",
    ("coreml", "static_wi8_ai8"): "in Core ML it is called w8a8",
    ("coreml", "static_wi8_au8"): "Core ML's activations in 8 bits are signed: w8a8",
}
#: Rules for every recipe with activations in 8 bits, by task: what a box is made of needs more than 256 steps.
KEPT = {"detection": (r"^heads\.",), "recognition": ()}
#: (format, scheme) -> kinds of operations that the format cannot store or compute so, and which stay in float.
UNABLE: dict[tuple[str, str], frozenset[str]] = {
    ("tflite", "fp16"): frozenset({"BATCH_MATMUL"}),  # the quantizer has no half for it
    ("tflite", "dynamic"): frozenset(
        {"BATCH_MATMUL"}
    ),  # the kernel takes 8 bits on the right only, ours are on the left
}
#: (format, scheme) -> kinds of operations that engines compute over many values, each with last digits of its own.
#: Rounded to 8 bits, a last digit might become a step, so the layers behind them stay in float.
LOOSE: dict[tuple[str, str], frozenset[str]] = {
    ("onnx", "static"): frozenset({"Softmax"}),
    ("tflite", "static"): frozenset({"SOFTMAX"}),
}
#: Formats that compute operations without weights in 8 bits too: a layer with a loose one stays in float itself.
_ALL_IN_8_BITS = frozenset({"tflite"})


def check_source(artifact: Artifact) -> None:
    """Refuse to quantize what is not a float file.

    Raises:
        InvalidModel: it is quantized already.
    """
    contract = artifact.contract
    if contract.quantization is not msgspec.UNSET or contract.precision not in ("float32", "float16"):
        how = contract.precision if contract.quantization is msgspec.UNSET else contract.quantization.recipe
        raise InvalidModel(
            f"{artifact.path}: quantized already ({how}); errors of two quantizations add up, so start from the float "
            "file that it was made from"
        )
    if contract.precision == "float16" and artifact.format != "coreml":
        raise InvalidModel(f"{artifact.path}: float16; start from the float32 file")


def check_recipe(recipe: Recipe, artifact: Artifact) -> None:
    """Refuse a recipe that the file's format or its engines cannot have.

    Raises:
        UnsupportedModel: with the reason, and what to take instead.
    """
    where = f"{recipe.name} for {artifact.path.name}"
    if reason := REFUSALS.get((artifact.format, recipe.name)):
        raise UnsupportedModel(f"{where}: {reason}")
    if recipe.scheme == "fp16" and artifact.contract.precision != "float32":
        raise UnsupportedModel(f"{where}: it is in half already; start from the float32 file")
    if recipe.scheme == "w8a8" and artifact.contract.precision != "float16":
        raise UnsupportedModel(f"{where}: coremltools writes its scales in half; start from the float16 package")
    if recipe.io == "float":
        return
    if artifact.format != "tflite":
        raise UnsupportedModel(
            f"{where}: only TFLite files say which scale and zero point their inputs and outputs in int8 have"
        )
    task = artifact.contract.task
    if isinstance(task, Detection) and task.decoder == "pixels":
        step = max(artifact.contract.input.height, artifact.contract.input.width) / 255
        raise UnsupportedModel(
            f"{where}: its outputs are boxes in pixels, and in int8 they would move in steps of {step:.1f} pixels or "
            "more; inputs and outputs stay in float"
        )


def effective(recipe: Recipe, artifact: Artifact) -> Recipe:
    """The recipe with the rules that the file's task adds to it."""
    return recipe.keeping(*KEPT[artifact.contract.task_name]) if recipe.static else recipe


def chosen_layers(recipe: Recipe, artifact: Artifact, layers: Sequence[Layer]) -> list[Layer]:
    """The layers that a recipe quantizes in a file; the others stay in float.

    What stands before the first and behind the last layer is quantized only as far as the file's inputs are: decoding
    and the division by the length need the digits.
    """
    unable = UNABLE.get((artifact.format, recipe.scheme), frozenset())
    whole = recipe.io == "int8" or in_half(recipe, artifact)
    left = {BEHIND} if whole else {BEFORE, BEHIND}
    loose = LOOSE.get((artifact.format, recipe.scheme), frozenset())
    left |= hanging_on(loose, layers, with_theirs=artifact.format in _ALL_IN_8_BITS)
    return [
        layer
        for layer in layers
        if layer.name not in left and layer.kind not in unable and not recipe.keeps(layer.name)
    ]


def hanging_on(kinds: frozenset[str], layers: Sequence[Layer], *, with_theirs: bool) -> set[str]:
    """The layers whose weights are applied to what operations of these kinds gave.

    Args:
        kinds: of operations without weights.
        layers: of a file, in its order.
        with_theirs: whether the layers that such operations belong to count as well.
    """
    tainted, found = set[str](), set[str]()
    for layer in layers:
        for operation in layer.operations:
            if operation.kind in kinds or tainted & set(operation.takes):
                tainted |= set(operation.gives)
                found |= {layer.name} if operation.weight or with_theirs else set()
    return found


def in_half(recipe: Recipe, artifact: Artifact) -> bool:
    """Whether a file is to compute in half, where large numbers overflow; other formats only store weights in half."""
    return (artifact.format, recipe.scheme) == ("coreml", "fp16")


def available(format: str) -> list[str]:
    """Names of the recipes that a format can have."""
    return [name for name in NAMES if (format, parse_recipe(name).name) not in REFUSALS]
