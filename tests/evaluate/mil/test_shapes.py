"""Operations that move and interpolate elements, against numpy and torch."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from coremltools.converters.mil import Builder as mb  # noqa: N813

Array = np.ndarray
Case = tuple[Any, ...]
A = (2, 3, 5, 4)


def unary(op: str, oracle: Callable[[Array], Any], **constants: Any) -> Case:
    return op, [A], lambda x: getattr(mb, op)(x=x, **constants), oracle


def upsampled(align_corners: bool) -> Case:
    scale = {"scale_factor_height": 3, "scale_factor_width": 2}
    return (
        "upsample_bilinear",
        [A],
        lambda x: mb.upsample_bilinear(x=x, align_corners=align_corners, **scale),
        lambda x: interpolated(x, (15, 8), align_corners),
    )


def resized(mode: str, size: tuple[int, int], oracle: Callable[[Array], Array], shape: tuple[int, ...] = A) -> Case:
    target = {"target_size_height": size[0], "target_size_width": size[1]}
    return "resize_bilinear", [shape], lambda x: mb.resize_bilinear(x=x, sampling_mode=mode, **target), oracle


def interpolated(x: Array, size: tuple[int, int], align_corners: bool) -> Array:
    return F.interpolate(torch.from_numpy(x), size, mode="bilinear", align_corners=align_corners).numpy()


def between(x: Array, points: list[float]) -> Array:
    return x[..., :1] + (x[..., 1:] - x[..., :1]) * np.array(points)


SHAPES: list[Case] = [
    unary("reshape", lambda x: x.reshape(2, 15, 4), shape=[2, -1, 4]),
    unary("reshape", lambda x: x.reshape(2, 3, 2, 10), shape=[0, 0, 2, -1]),
    unary("transpose", lambda x: x.transpose(0, 2, 3, 1), perm=[0, 2, 3, 1]),
    ("expand_dims", [(2, 3, 4)], lambda x: mb.expand_dims(x=x, axes=[1, -2]), lambda x: x[:, None, :, None, :]),
    ("squeeze", [(1, 3, 1, 4)], lambda x: mb.squeeze(x=x, axes=[0, -2]), lambda x: x[0, :, 0]),
    ("squeeze", [(1, 3, 1, 4)], lambda x: mb.squeeze(x=x), np.squeeze),
    ("concat", [A, A], lambda x, y: mb.concat(values=[x, y], axis=-2), lambda x, y: np.concatenate([x, y], 2)),
    (
        "concat",
        [A, A],
        lambda x, y: mb.concat(values=[x, y], axis=1, interleave=True),
        lambda x, y: np.stack([x, y], 2).reshape(2, 6, 5, 4),
    ),
    ("stack", [A, A], lambda x, y: mb.stack(values=[x, y], axis=1), lambda x, y: np.stack([x, y], 1)),
    (
        "split",
        [A],
        lambda x: mb.split(x=x, split_sizes=[1, 4], axis=2),
        lambda x: (x[:, :, :1], x[:, :, 1:]),
    ),
    ("split", [A], lambda x: mb.split(x=x, num_splits=2, axis=-1), lambda x: (x[..., :2], x[..., 2:])),
    unary(
        "slice_by_index",
        lambda x: x[:, 1:3, ::2, -3:-1],
        begin=[9, 1, 0, -3],
        end=[9, 3, 9, -1],
        stride=[1, 1, 2, 1],
        begin_mask=[True, False, False, False],
        end_mask=[True, False, True, False],
    ),
    unary(
        "slice_by_index",
        lambda x: x[-1, ::-1, 3:0:-2, 2],
        begin=[-1, 0, 3, 2],
        end=[0, 0, 0, 0],
        stride=[1, -1, -2, 1],
        begin_mask=[False, True, False, False],
        end_mask=[False, True, False, False],
        squeeze_mask=[True, False, False, True],
    ),
    unary("slice_by_size", lambda x: x[0:1, 1:, 2:5, -2:-1], begin=[0, 1, 2, -2], size=[1, -1, 3, 1]),
    unary("crop", lambda x: x[:, :, 2:-1, 1:], crop_height=[2, 1], crop_width=[1, 0]),
    unary("tile", lambda x: np.tile(x, (1, 2, 1, 3)), reps=[1, 2, 1, 3]),
    unary("gather", lambda x: x[:, :, [4, 0, -1]], indices=[4, 0, -1], axis=2),
    unary("gather", lambda x: x[[[1, 0]]], indices=np.array([[1, 0]], np.int32), axis=0),
    unary("pad", lambda x: np.pad(x, [(0, 0), (1, 0), (0, 2), (3, 1)], constant_values=0.5),
          pad=[1, 0, 0, 2, 3, 1], mode="constant", constant_val=0.5),
    unary("pad", lambda x: np.pad(x, [(0, 0), (0, 0), (2, 1), (0, 3)], mode="reflect"),
          pad=[0, 0, 0, 0, 2, 1, 0, 3], mode="reflect"),
    unary("pad", lambda x: np.pad(x, [(0, 0), (0, 0), (0, 0), (3, 1)], mode="edge"), pad=[3, 1], mode="replicate"),
    ("shape", [A], lambda x: mb.shape(x=x), lambda x: np.array(x.shape)),
    ("fill", [A], lambda x: mb.add(x=x, y=mb.fill(shape=mb.shape(x=x), value=3.0)), lambda x: x + 3),
    ("pixel_shuffle", [(1, 8, 3, 2)], lambda x: mb.pixel_shuffle(x=x, upscale_factor=2),
         lambda x: x.reshape(1, 2, 2, 2, 3, 2).transpose(0, 1, 4, 2, 5, 3).reshape(1, 2, 6, 4)),
    ("pixel_unshuffle", [(1, 2, 6, 4)], lambda x: mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)),
         lambda x: x.reshape(1, 2, 3, 2, 2, 2).transpose(0, 1, 3, 5, 2, 4).reshape(1, 8, 3, 2)),
]  # fmt: skip
RESIZES: list[Case] = [
    ("upsample_nearest_neighbor", [A],
         lambda x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=3),
         lambda x: x.repeat(2, 2).repeat(3, 3)),
    ("resize_nearest_neighbor", [A],
         lambda x: mb.resize_nearest_neighbor(x=x, target_size_height=15, target_size_width=4),
         lambda x: x.repeat(3, 2)),
    upsampled(align_corners=True),
    upsampled(align_corners=False),
    resized("STRICT_ALIGN_CORNERS", (7, 3), lambda x: interpolated(x, (7, 3), True)),
    resized("ALIGN_CORNERS", (7, 3), lambda x: interpolated(x, (7, 3), True)),
    resized("ALIGN_CORNERS", (1, 5), lambda x: between(x[:, :, 1:2], [0, 0.25, 0.5, 0.75, 1]), (1, 1, 3, 2)),
    resized("UNALIGN_CORNERS", (7, 3), lambda x: interpolated(x, (7, 3), False)),
    # The reference of the builder lists these sample points for two elements, at 0 and 1.
    resized("DEFAULT", (1, 5), lambda x: between(x, [0, 0.4, 0.8, 1, 1]), (1, 1, 1, 2)),
    resized("OFFSET_CORNERS", (1, 5), lambda x: between(x, [0.1, 0.3, 0.5, 0.7, 0.9]), (1, 1, 1, 2)),
    ("resize", [A],
         lambda x: mb.resize(x=x, shape=np.array([9, 0], np.int32), resized_dims=np.uint32(2),
                             interpolation_mode="LINEAR", sampling_mode="UNALIGN_CORNERS"),
         lambda x: interpolated(x, (9, 4), False), "iOS17"),
]  # fmt: skip

CASES = SHAPES + RESIZES


@pytest.mark.parametrize("case", CASES, ids=operator.itemgetter(0))
def test_elements_land_where_they_should(case: Case, check_operation: Any) -> None:
    check_operation(*case)


def test_all_are_tested(operations_of: Any) -> None:
    assert {case[0] for case in CASES} == operations_of("shapes", "resize")
