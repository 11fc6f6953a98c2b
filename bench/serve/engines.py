"""The engines that run model files in a browser, and their files, which come from npm.

An engine is one entry of ``ENGINES`` and one module of the page, ``page/<module>``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import msgspec

from ...errors import UnsupportedModel

#: Where the checkout's own packages are, and those of the folder that the command is started in.
PLACES = (Path(__file__).parents[2] / "bindings" / "web" / "node_modules", Path("node_modules"))
#: Ways to compute, which a page tries where its browser offers them.
Setting = Literal["wasm", "wasm threads", "webgpu"]
SETTINGS: tuple[Setting, ...] = get_args(Setting)


@dataclass(frozen=True)
class Engine:
    """An engine as npm has it.

    Attributes:
        package: its name.
        format: of the files that it runs.
        module: the module of our page that drives it.
        files: patterns of the files that it loads, from the folder of packages.
    """

    package: str
    format: str
    module: str
    files: tuple[str, ...]


ENGINES = (
    Engine(
        "onnxruntime-web",
        "onnx",
        "onnx.js",
        tuple(
            f"onnxruntime-web/dist/{name}"
            for name in (
                "ort.wasm.min.mjs",
                "ort.webgpu.min.mjs",
                "ort-wasm-simd-threaded.mjs",
                "ort-wasm-simd-threaded.wasm",
                "ort-wasm-simd-threaded.asyncify.mjs",
                "ort-wasm-simd-threaded.asyncify.wasm",
            )
        ),
    ),
    Engine(
        "@litertjs/core",
        "tflite",
        "litert.js",
        (
            "@litertjs/core/dist/index.js",
            "@litertjs/wasm-utils/dist/index.js",
            *(
                f"@litertjs/core/wasm/litert_wasm_{kind}internal.{suffix}"
                for kind in ("", "compat_", "threaded_", "jspi_")
                for suffix in ("js", "wasm")
            ),
        ),
    ),
)


@dataclass(frozen=True)
class Installed:
    """An engine that was found.

    Attributes:
        engine: which.
        version: of its package.
        files: path below the folder of packages -> the file.
    """

    engine: Engine
    version: str
    files: Mapping[str, Path]


def find_engine(format: str, folder: Path | None = None) -> Installed:
    """Find the engine for files of a format.

    Args:
        format: ``onnx`` or ``tflite``.
        folder: a ``node_modules``; None to look into those of ``PLACES``.

    Raises:
        UnsupportedModel: browsers have none for this format, or it is not installed, or a file of it is missing.
    """
    engine = next((engine for engine in ENGINES if engine.format == format), None)
    if engine is None:
        known = ", ".join(engine.format for engine in ENGINES)
        raise UnsupportedModel(f"no engine runs {format} files in a browser; expected one of {known}")
    places: Sequence[Path] = (folder,) if folder else PLACES
    for place in places:
        if (place / engine.package / "package.json").is_file():
            return _open(engine, place)
    where = f" in {folder}" if folder else ""
    raise UnsupportedModel(
        f"{engine.package} is needed to run {format} files in a browser and was not found{where}: run `make web` in a "
        f"checkout, or `npm install {engine.package}` here, or name a node_modules with --engines"
    )


class _Package(msgspec.Struct):
    version: str


def _open(engine: Engine, place: Path) -> Installed:
    try:
        package = msgspec.json.decode((place / engine.package / "package.json").read_bytes(), type=_Package)
    except (OSError, msgspec.MsgspecError, UnicodeError) as e:
        raise UnsupportedModel(f"{place / engine.package}: its package.json cannot be read: {e}") from e
    if missing := [name for name in engine.files if not (place / name).is_file()]:
        raise UnsupportedModel(
            f"{engine.package} {package.version} has no {', '.join(missing)}; install it again, or another version"
        )
    return Installed(engine, package.version, {name: place / name for name in engine.files})
