"""random-face, a generator of portraits: all that is known here of its files and of its graph.

The wheel of random-face 2021.7.21.0 (Apache-2.0) carries a MobileStyleGAN as two networks in OpenVINO's format: one
makes a style of 512 random numbers, the other draws it, 1024 pixels wide. Source: MobileStyleGAN, arXiv 2104.04767.
Of other files nothing is read: what a seed gives would not be what it gives elsewhere.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidModel, MissingExtra, UnsupportedModel

NAME = "random-face 2021.7.21.0"
#: Where the files lie in the wheel, and their sizes in bytes and SHA-256.
FOLDER = "random_face/data/"
FILES = {
    "MappingNetwork.xml": (59_865, "73e2096cad6e696e4af47df2477e048ab4c42c0e0dec83c7c66604822689e55b"),
    "MappingNetwork.bin": (8_405_040, "212dd716bdb556e18db603ea97300d4fa3c872b878c726b2402fea80820e7305"),
    "SynthesisNetwork.xml": (425_183, "7918fce515243954d3e06628cb39a23902d6b1d5d02932cc0c2faee7a2aeeedd"),
    "SynthesisNetwork.bin": (32_025_440, "c7da15fa22d508c82e1c30dd6b4cdf67fe3ccdddaf85b310ee764dbf0c289645"),
}
_CURE = "get it with pip download --no-deps random-face==2021.7.21.0"
_NUMBERS = 512
#: Steps of the inverse Haar transform before the last one, which is left out.
_STEPS = 7
#: (band, pixel): the four bands are low, vertical, horizontal and diagonal, the four pixels go row by row.
_HAAR = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], np.float32) / 2


class RandomFace:
    """Portraits of people who do not exist, the same person for the same seed.

    Pixels depend a little on the processor: where it knows bfloat16, the drawing runs in that.

    Args:
        networks: random-face's wheel, or a folder with the four files of its ``random_face/data``.
        threads: for the engine; None for its own choice.

    Raises:
        MissingExtra: OpenVINO is not installed.
        InvalidModel: not that wheel or such a folder, or a file in it is missing, truncated or altered.
        UnsupportedModel: OpenVINO cannot run it here.
    """

    name = NAME

    def __init__(self, networks: Path, threads: int | None = None) -> None:
        ov = _openvino()
        files = read_networks(networks)
        with _engine_runs():
            core = ov.Core()
            options = {"INFERENCE_NUM_THREADS": threads} if threads else {}
            quick = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
            mapping = core.read_model(files["MappingNetwork.xml"], files["MappingNetwork.bin"])
            synthesis = half_size(core.read_model(files["SynthesisNetwork.xml"], files["SynthesisNetwork.bin"]))
            self._mapping = core.compile_model(mapping, "CPU", {**options, "INFERENCE_PRECISION_HINT": "f32"})
            self._synthesis = core.compile_model(synthesis, "CPU", {**options, "INFERENCE_PRECISION_HINT": quick})

    def person(self, seed: int) -> NDArray[np.uint8]:
        """The portrait of a seed, ``(512, 512, 3) uint8`` RGB; its style is not drawn towards the mean.

        Raises:
            UnsupportedModel: the engine fails.
        """
        numbers = np.random.default_rng(seed).standard_normal((1, _NUMBERS), np.float32)
        with _engine_runs():
            band = self._synthesis(self._mapping(numbers)[0])[0][0]
        levels = band.transpose(1, 2, 0) * np.float32(63.75) + 128  # -2..2, and a half for rounding
        pixels: NDArray[np.uint8] = np.clip(levels, 0, 255).astype(np.uint8)
        return pixels


def read_networks(path: Path) -> Mapping[str, bytes]:
    """The generator's files by name, from the wheel or a folder, each with the SHA-256 that it must have.

    Raises:
        InvalidModel: no such file or folder, no wheel, or a file in it is missing, truncated or altered.
    """
    try:
        place = path if path.is_dir() else zipfile.Path(path, FOLDER)
        return {name: _read(place / name, *told) for name, told in FILES.items()}
    except FileNotFoundError as e:
        wanted = f"expected the wheel of {NAME}, or a folder with its {', '.join(FILES)}"
        raise InvalidModel(f"{e.filename or e}: no such file; {wanted}; {_CURE}") from e
    except (OSError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error) as e:
        raise InvalidModel(f"{path}: not the wheel of {NAME}, or damaged ({e}); {_CURE}") from e


def _read(file: Path | zipfile.Path, size: int, sha256: str) -> bytes:
    with file.open("rb") as stream:
        content: bytes = stream.read(size + 1)  # never more, whatever the file claims
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        got = f"{len(content)} with {found[:12]}" if len(content) <= size else "more"
        raise InvalidModel(f"{file}: expected {size} bytes with SHA-256 {sha256[:12]} of {NAME}, got {got}; {_CURE}")
    return content


def half_size(model: Any) -> Any:
    """The synthesis network up to the low band of its last Haar step: the picture at half its size, times two.

    Each other Haar step stands in the graph as six transposed convolutions, and takes most of the time; here it
    becomes one convolution of 1 x 1 and a shuffle. The given model is taken apart.
    """
    ov = _openvino()
    op = ov.opset13
    model.reshape([1, _NUMBERS])
    nodes = {node.get_friendly_name(): node for node in model.get_ordered_ops()}
    for step in range(_STEPS):
        bands, pixels = nodes[f"Mul_{100 * step + 56}"], nodes[f"Add_{100 * step + 76}"]
        kernel = op.constant(haar_kernel(bands.output(0).shape[1] // 4))
        mixed = op.convolution(bands, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
        pixels.output(0).replace(op.depth_to_space(mixed, "blocks_first", 2).output(0))
    return ov.Model([nodes["Slice_764/Split"].output(0)], model.get_parameters(), "half size")


def haar_kernel(channels: int) -> NDArray[np.float32]:
    """The inverse Haar transform of one 2 x 2 block as a convolution.

    Returns:
        ``(4 C, 4 C, 1, 1)``. In go the C low bands, then each channel's vertical, horizontal and diagonal band; out
        come the C channels of the block's top-left pixel, of its top-right, bottom-left and bottom-right one.
    """
    kernel = np.zeros((4, channels, 4 * channels), np.float32)
    for c in range(channels):
        kernel[:, c, c] = _HAAR[0]
        kernel[:, c, channels + 3 * c : channels + 3 * c + 3] = _HAAR[1:].T
    return kernel.reshape(4 * channels, 4 * channels, 1, 1)


def _openvino() -> Any:
    """OpenVINO without the package by which every import reports itself to Google Analytics; it can do without."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as e:
        raise MissingExtra("openvino", "generate", "generate people") from e
    return openvino


@contextmanager
def _engine_runs() -> Iterator[None]:
    """OpenVINO raises plain RuntimeErrors of many lines; the last one says most."""
    try:
        yield
    except RuntimeError as e:
        why = str(e).strip().splitlines() or ["no reason given"]
        raise UnsupportedModel(f"OpenVINO cannot run {NAME} here: {why[-1]}") from e
