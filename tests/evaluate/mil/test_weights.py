"""Compressed weights: what the interpreter makes of them equals what coremltools' own decompression leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools.optimize.coreml as cto
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb  # noqa: N813

from pocketface.errors import InvalidModel
from pocketface.evaluate.mil import open_package, weights
from pocketface.evaluate.mil.package import Package
from pocketface.evaluate.mil.quiet import coremltools

ct = coremltools()
rng = np.random.default_rng(5)
CONV = rng.normal(size=(8, 4, 3, 3)).astype(np.float32)
POINT = rng.normal(size=(32, 8, 1, 1)).astype(np.float32)
LINEAR = rng.normal(size=(16, 32)).astype(np.float32)
SHAPE = (1, 4, 6, 5)


def net(x: Any) -> Any:
    x = mb.relu(x=mb.conv(x=x, weight=CONV, pad_type="custom", pad=[1, 1, 1, 1], strides=[2, 2]))
    x = mb.reduce_mean(x=mb.gelu(x=mb.conv(x=x, weight=POINT)), axes=[2, 3])
    return mb.linear(x=x, weight=LINEAR)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, save: Callable[..., Path]) -> dict[tuple[str, str], Any]:
    """The network as float32 and float16, for iOS 16 and 18."""
    folder = tmp_path_factory.mktemp("nets")
    kinds = [(target, precision) for target in ("iOS16", "iOS18") for precision in ("FLOAT32", "FLOAT16")]
    for target, precision in kinds:
        path, compute = folder / f"{target}{precision}.mlpackage", getattr(ct.precision, precision)
        save(path, net, [SHAPE], target=target, precision=compute)
    load = lambda path: ct.models.MLModel(str(path), skip_model_load=True)  # noqa: E731
    return {(t, p): load(folder / f"{t}{p}.mlpackage") for t, p in kinds}


def quantized(**options: Any) -> Callable[[Any], Any]:
    config = cto.OpLinearQuantizerConfig(weight_threshold=1, **options)
    return lambda model: cto.linear_quantize_weights(model, cto.OptimizationConfig(config))


def palettized(joint: bool = False, **options: Any) -> Callable[[Any], Any]:
    config = cto.OptimizationConfig(cto.OpPalettizerConfig(weight_threshold=1, **options))
    return lambda model: cto.palettize_weights(model, config, joint_compression=joint)


def pruned(model: Any) -> Any:
    config = cto.OpMagnitudePrunerConfig(target_sparsity=0.4, weight_threshold=1)
    return cto.prune_weights(model, cto.OptimizationConfig(config))


def pruned_then_quantized(model: Any) -> Any:
    config = cto.OpLinearQuantizerConfig(weight_threshold=1)
    return cto.linear_quantize_weights(pruned(model), cto.OptimizationConfig(config), joint_compression=True)


PER_BLOCK = {"mode": "linear", "dtype": "int4", "granularity": "per_block", "block_size": 4}
PER_GROUP = {"mode": "kmeans", "nbits": 2, "granularity": "per_grouped_channel", "group_size": 4}
SETTINGS = [
    ("iOS16", "FLOAT32", quantized(mode="linear_symmetric"), "affine_dequantize"),
    ("iOS16", "FLOAT16", quantized(mode="linear_symmetric"), "affine_dequantize"),
    ("iOS16", "FLOAT16", quantized(mode="linear", dtype="uint8"), "affine_dequantize"),
    ("iOS16", "FLOAT16", quantized(mode="linear", granularity="per_tensor"), "affine_dequantize"),
    ("iOS18", "FLOAT32", quantized(mode="linear"), "blockwise_shift_scale"),
    ("iOS18", "FLOAT16", quantized(**PER_BLOCK), "blockwise_shift_scale"),
    ("iOS18", "FLOAT16", quantized(mode="linear", dtype="uint4", granularity="per_channel"), "blockwise_shift_scale"),
    *(("iOS16", "FLOAT16", palettized(mode="kmeans", nbits=bits), "lut_to_dense") for bits in (6, 4, 2, 1)),
    ("iOS16", "FLOAT32", palettized(mode="uniform", nbits=8), "lut_to_dense"),
    ("iOS16", "FLOAT16", palettized(mode="uniform", nbits=4), "lut_to_dense"),
    *(("iOS18", "FLOAT16", palettized(mode="uniform", nbits=bits), "lut_to_dense") for bits in (8, 6, 4, 3, 2, 1)),
    ("iOS18", "FLOAT16", palettized(**PER_GROUP), "lut_to_dense"),
    ("iOS18", "FLOAT16", palettized(mode="kmeans", nbits=3, cluster_dim=2), "lut_to_dense"),
    ("iOS16", "FLOAT16", pruned, "sparse_to_dense"),
    ("iOS18", "FLOAT32", pruned, "sparse_to_dense"),
    ("iOS18", "FLOAT16", lambda m: palettized(joint=True, mode="uniform", nbits=4)(pruned(m)), "lut_to_sparse"),
    ("iOS18", "FLOAT16", pruned_then_quantized, "sparse_blockwise_shift_scale"),
]  # fmt: skip


def operations(path: Path) -> set[str]:
    function = Package(path).spec.mlProgram.functions["main"]
    return {o.type for o in function.block_specializations[function.opset].operations}


@pytest.mark.parametrize(
    ("target", "precision", "compress", "op"),
    [pytest.param(*s, id=f"{i}-{s[0]}-{s[1]}-{s[3]}") for i, s in enumerate(SETTINGS)],
)
def test_compressed_equals_decompressed_bit_for_bit(
    models: Any, tmp_path: Path, feeds: Any, target: str, precision: str, compress: Callable[[Any], Any], op: str
) -> None:
    model = models[target, precision]
    small = compress(model)
    plain = cto.decompress_weights(small)
    paths = {name: tmp_path / f"{name}.mlpackage" for name in ("original", "small", "plain")}
    for name, saved in zip(paths, (model, small, plain), strict=True):
        saved.save(str(paths[name]))
    assert f"constexpr_{op}" in operations(paths["small"])
    assert not [o for o in operations(paths["plain"]) if o.startswith("constexpr_")]
    outputs = {}
    for name, path in paths.items():
        interpreter = open_package(path)
        (outputs[name],) = interpreter.run(feeds(interpreter)).values()
    assert np.isfinite(outputs["small"]).all()
    np.testing.assert_array_equal(outputs["small"], outputs["plain"])
    assert not np.array_equal(outputs["small"], outputs["original"])


def test_every_blob_of_a_real_package_equals_coremltools_reader(models: Any, tmp_path: Path) -> None:
    from coremltools.libmilstoragepython import _BlobStorageReader

    readers = {10: "fp16", 11: "float", 31: "uint8", 35: "uint4", 37: "uint1"}
    path = tmp_path / "joint.mlpackage"
    palettized(joint=True, mode="uniform", nbits=4)(pruned(models["iOS18", "FLOAT16"])).save(str(path))
    package = Package(path)
    reference = _BlobStorageReader(str(path / "Data/com.apple.CoreML/weights/weight.bin"))
    seen = set()
    for number, offset, kind, count in blobs_of(package):
        ours = package.blob("@model_path/weights/weight.bin", offset, kind, count)
        theirs = np.array(getattr(reference, f"read_{readers[number]}_data")(offset))
        np.testing.assert_array_equal(ours, theirs.view(np.float16) if number == 10 else theirs.astype(ours.dtype))
        seen.add(kind.name)
    assert {"float16", "uint4", "uint1"} <= seen


def blobs_of(package: Package) -> Any:
    from pocketface.evaluate.mil.values import read_type

    function = package.spec.mlProgram.functions["main"]
    for operation in function.block_specializations[function.opset].operations:
        bound = [b.value for a in operation.inputs.values() for b in a.arguments]
        for value in [*operation.attributes.values(), *bound]:
            if value.WhichOneof("value") == "blobFileValue":
                kind = read_type(value.type)
                yield value.type.tensorType.dataType, value.blobFileValue.offset, kind.element, int(np.prod(kind.shape))


def test_a_palette_of_vectors() -> None:
    """The example in the reference of iOS 18's ``constexpr_lut_to_dense``, with numbers for letters."""
    indices = np.array([[[0, 0], [1, 0]], [[1, 1], [0, 0]]], np.uint8)
    lut = np.array([1, 2, 3, 11, 12, 13], np.int8).reshape(1, 1, 1, 2, 3)
    (rows,) = weights.lut_to_dense(indices, lut, vector_axis=np.int32(1))
    (columns,) = weights.lut_to_dense(indices, lut, vector_axis=np.int32(-1))
    np.testing.assert_array_equal(rows[0], [[1, 1], [2, 2], [3, 3], [11, 1], [12, 2], [13, 3]])
    np.testing.assert_array_equal(columns[1], [[11, 12, 13, 11, 12, 13], [1, 2, 3, 1, 2, 3]])


BYTES = np.zeros(3, np.uint8)


@pytest.mark.parametrize(
    ("unpack", "reason"),
    [
        (lambda: weights.lut_to_dense(BYTES, np.zeros(3), np.array([3])), "palette of 3 values"),
        (lambda: weights.lut_to_dense(BYTES, np.zeros(4), np.array([3])), "3 bytes of 2 bits"),
        (lambda: weights.lut_to_dense(BYTES + 4, np.zeros((1, 4, 1))), "index 4 into a palette of 4"),
        (lambda: weights.lut_to_dense(BYTES, np.zeros((2, 4, 1))), "do not divide"),
        (lambda: weights.lut_to_dense(BYTES, np.zeros((1, 4, 2))), "needs a vector_axis"),
        (lambda: weights.sparse_to_dense(np.ones(4), BYTES + 1), "4 values for 3 places"),
        (lambda: weights.blockwise_shift_scale(BYTES, np.ones((1, 1))), "do not divide"),
    ],
)
def test_weights_that_contradict_themselves_are_refused(unpack: Callable[[], Any], reason: str) -> None:
    with pytest.raises(InvalidModel, match=reason):
        unpack()
