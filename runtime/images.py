"""Read pictures from files that strangers sent, and check arrays that callers hand over.

Every boundary of pocketface takes ``(H, W, 3) uint8`` RGB, upright. Pillow decodes; only decoders of formats that
phones and face data sets use are ever reached, and a file's header is judged before its pixels are.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ..errors import InvalidImage

__all__ = ["FORMATS", "MAX_BYTES", "MAX_PIXELS", "check_image", "load_image"]

#: The formats that are read, by Pillow's names. A phone's multi-picture JPEG (MPO) counts as the JPEG it begins with.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
#: Most pixels that are decoded: 64 Mi, so 9248 x 6944 from a 64-megapixel phone still passes.
MAX_PIXELS = 64 << 20
#: Most bytes of a file that are read, twice what that many pixels take uncompressed.
MAX_BYTES = 1 << 29

_ORIENTATION = 0x0112  # the EXIF tag
_STRIP = 128  # rows at a time: they fit in a core's cache
# Source: EXIF 2.32, tag 274.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_image(source: str | Path | bytes) -> NDArray[np.uint8]:
    """Decode a picture into ``(H, W, 3) uint8`` RGB, turned upright as its EXIF orientation says.

    Greys are repeated over the channels; of 16 bits the upper 8 stay; CMYK goes through Pillow's plain conversion;
    colour profiles are ignored. Transparency is composited over black, the value that letterboxing and alignment
    also put where there is no picture. Unreadable EXIF counts as upright.

    Args:
        source: path of a file, or a file's bytes.

    Raises:
        InvalidImage: no such file, not a regular file, empty, truncated or damaged, a format outside ``FORMATS``,
            animated, or more than ``MAX_PIXELS`` or ``MAX_BYTES``.
    """
    stream, name = _open(source)
    with stream, _decoding(name), Image.open(stream, formats=FORMATS) as picture:
        _check_header(picture, name)
        orientation = _orientation(picture)
        picture.load()
        return _upright(picture, orientation)


def check_image(image: object) -> NDArray[np.uint8]:
    """Return ``image`` itself if it is a ``(H, W, 3) uint8`` array with at least one pixel.

    Raises:
        InvalidImage: anything else; the message names the fault and its cure.
    """
    if not isinstance(image, np.ndarray):
        raise _wrong(f"{type(image).__module__}.{type(image).__qualname__}", "convert it with np.asarray")
    if image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8 and image.size:
        return image
    came = f"shape {image.shape} {image.dtype}"
    if image.ndim != 3 or image.shape[2] != 3:
        raise _wrong(came, _shape_cure(image.shape))
    if image.dtype != np.uint8:
        raise _wrong(came + _values(image), "scale the values to 0..255 and use .astype(np.uint8)")
    raise _wrong(came + ", which has no pixels", "check the crop or the file it came from")


def _wrong(came: str, cure: str) -> InvalidImage:
    return InvalidImage(f"expected a picture of shape (H, W, 3) uint8 RGB, got {came}; {cure}")


def _shape_cure(shape: tuple[int, ...]) -> str:
    if len(shape) == 2 or (len(shape) == 3 and shape[2] == 1):
        return "repeat the grey channel: np.stack([grey] * 3, axis=2)"
    if len(shape) == 3 and shape[2] == 4:
        return "drop the fourth channel: image[:, :, :3]"
    if len(shape) == 3 and shape[0] == 3:
        return "move the channels last: image.transpose(1, 2, 0)"
    if len(shape) == 4:
        return "hand over one picture at a time"
    return "reshape it"


def _values(image: NDArray[Any]) -> str:
    if image.size == 0 or not np.issubdtype(image.dtype, np.number) or np.iscomplexobj(image):
        return ""
    if not np.isfinite(image).all():
        return " with NaN or infinite values"
    return f" with values {image.min():g}..{image.max():g}"


def _open(source: str | Path | bytes) -> tuple[BinaryIO, str]:
    if isinstance(source, bytes):
        name, size = "the given bytes", len(source)
    elif isinstance(source, str | Path):
        name, size = str(source), _size_of_file(Path(source))
    else:
        raise InvalidImage(f"expected a path or bytes, got {type(source).__qualname__}; read the picture first")
    if size == 0:
        raise InvalidImage(f"{name}: empty, expected a picture; fetch or copy it again")
    if size > MAX_BYTES:
        raise InvalidImage(f"{name}: {size} bytes, at most {MAX_BYTES} are read; save it smaller, as JPEG or PNG")
    try:
        return (io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb")), name
    except OSError as e:
        raise InvalidImage(f"{name}: cannot be opened: {e.strerror or e}; check its permissions") from e


def _size_of_file(path: Path) -> int:
    try:
        if path.is_file():
            return path.stat().st_size
        found = path.exists()
    except OSError as e:  # a name too long, a folder that may not be searched
        raise InvalidImage(f"{path}: cannot be opened: {e.strerror or e}; check the path") from e
    if found:  # opening a FIFO would wait for ever
        raise InvalidImage(f"{path}: not a regular file; expected the file of a picture")
    raise InvalidImage(f"{path}: no such file; check the path")


@contextlib.contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Turn whatever a decoder throws at a hostile file into InvalidImage."""
    try:
        yield
    except (InvalidImage, MemoryError):
        raise
    except UnidentifiedImageError as e:
        raise InvalidImage(f"{name}: not a {', '.join(FORMATS)} picture; convert it to JPEG or PNG") from e
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise InvalidImage(f"{name}: more than {MAX_PIXELS} pixels; scale it down first") from e
    except Exception as e:
        raise InvalidImage(f"{name}: damaged or truncated: {e}; fetch or copy it again") from e


def _check_header(picture: Image.Image, name: str) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise InvalidImage(f"{name}: {width} x {height} pixels, at most {MAX_PIXELS} are read; scale it down first")
    if getattr(picture, "is_animated", False) and picture.format != "MPO":
        frames = getattr(picture, "n_frames", 2)
        raise InvalidImage(f"{name}: animated, {frames} frames; expected one picture; choose and save one frame")


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # a camera's broken EXIF is no reason to refuse its picture
        return 1


def _upright(picture: Image.Image, orientation: int) -> NDArray[np.uint8]:
    """Convert and turn strip by strip, so that besides the decoder only the result holds a whole picture."""
    width, height = picture.size
    sideways = orientation in (5, 6, 7, 8)
    upright = np.empty((width, height, 3) if sideways else (height, width, 3), np.uint8)
    for top in range(0, height, _STRIP):
        bottom = min(top + _STRIP, height)
        strip = picture.crop((0, top, width, bottom))
        if orientation in _TURNS:
            strip = strip.transpose(_TURNS[orientation])
        place = slice(height - bottom, height - top) if orientation in (3, 4, 6, 7) else slice(top, bottom)
        if sideways:
            upright[:, place] = _rgb(strip)
        else:
            upright[place] = _rgb(strip)
    return upright


def _rgb(strip: Image.Image) -> NDArray[np.uint8]:
    if strip.mode.startswith("I;16"):
        grey = (np.asarray(strip) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if strip.has_transparency_data:
        strip = strip.convert("RGBA")
        over = Image.new("RGB", strip.size)  # black
        over.paste(strip, mask=strip.getchannel("A"))
        return np.asarray(over)
    return np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))
