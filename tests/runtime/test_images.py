"""Reading pictures: every form that a sound file takes, and everything that strangers send instead."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from pocketface.errors import InvalidImage
from pocketface.runtime import images
from pocketface.runtime.images import MAX_PIXELS, check_image, load_image


def encode(picture: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, color: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


# ---- sound files


@pytest.mark.parametrize(("format", "options"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})])
def test_lossless_formats_keep_every_byte(format: str, options: dict[str, object], tmp_path: Path) -> None:
    pixels = noise(33, 47, 3)
    data = encode(Image.fromarray(pixels), format, **options)
    (tmp_path / "picture").write_bytes(data)
    for source in (data, tmp_path / "picture", str(tmp_path / "picture")):
        loaded = load_image(source)
        assert loaded.dtype == np.uint8
        assert loaded.flags.c_contiguous
        assert loaded.flags.writeable
        np.testing.assert_array_equal(loaded, pixels)


def test_jpeg_is_what_pillow_decodes() -> None:
    data = encode(Image.fromarray(noise(40, 30, 3)), "JPEG", quality=90)
    np.testing.assert_array_equal(load_image(data), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("size", [(5, 3), (301, 270)])  # the larger one is converted in two strips
def test_orientation_is_applied(orientation: int, format: str, size: tuple[int, int]) -> None:
    picture = Image.fromarray(noise(*size, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(picture, format, exif=exif.tobytes())
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(load_image(data), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_sixteen_bits_and_palettes(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    palette = Image.fromarray(noise(5, 7) % 4, "P")
    palette.putpalette(noise(4, 3).tobytes())
    sixteen = Image.fromarray(noise(5, 7).astype(np.uint16) * 257)
    for picture in (palette, sixteen):
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(encode(picture, exif=exif.tobytes()))))
        expected = upright.convert("RGB") if picture is palette else np.stack([np.asarray(upright) >> 8] * 3, axis=2)
        np.testing.assert_array_equal(load_image(encode(picture, exif=exif.tobytes())), expected)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\xff\xff\xff\xff", b""])
def test_broken_exif_counts_as_upright(exif: bytes) -> None:
    pixels = noise(4, 6, 3)
    np.testing.assert_array_equal(load_image(encode(Image.fromarray(pixels), exif=exif)), pixels)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_unknown_orientation_counts_as_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = noise(4, 6, 3)
    np.testing.assert_array_equal(load_image(encode(Image.fromarray(pixels), exif=exif.tobytes())), pixels)


def test_grey_is_repeated() -> None:
    grey = noise(7, 9)
    np.testing.assert_array_equal(load_image(encode(Image.fromarray(grey))), np.stack([grey] * 3, axis=2))
    black_and_white = Image.fromarray(grey > 99)
    expected = np.stack([np.where(grey > 99, 255, 0)] * 3, axis=2)
    np.testing.assert_array_equal(load_image(encode(black_and_white)), expected)


def test_sixteen_bits_keep_the_upper_eight() -> None:
    values = np.random.default_rng(1).integers(0, 1 << 16, (5, 4, 3), np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    np.testing.assert_array_equal(load_image(png(4, 5, 16, 2, rows)), values >> 8)
    grey = values[:, :, 0]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in grey)
    np.testing.assert_array_equal(load_image(png(4, 5, 16, 0, rows)), np.stack([grey >> 8] * 3, axis=2))


def test_transparency_is_composited_over_black() -> None:
    rgba = noise(8, 6, 4)
    over_black = np.rint(rgba[:, :, :3].astype(float) * rgba[:, :, 3:] / 255)
    np.testing.assert_array_equal(load_image(encode(Image.fromarray(rgba))), over_black)
    grey_alpha = Image.fromarray(rgba[:, :, 0]).convert("LA")
    grey_alpha.putalpha(Image.fromarray(rgba[:, :, 3]))
    expected = np.rint(rgba[:, :, :1].astype(float) * rgba[:, :, 3:] / 255).repeat(3, axis=2)
    np.testing.assert_array_equal(load_image(encode(grey_alpha)), expected)


def test_palette_with_and_without_a_transparent_colour() -> None:
    indices = noise(6, 5) % 4
    palette = noise(4, 3, seed=3)
    picture = Image.fromarray(indices, "P")
    picture.putpalette(palette.tobytes())
    np.testing.assert_array_equal(load_image(encode(picture)), palette[indices])
    expected = np.where((indices == 2)[:, :, None], 0, palette[indices])
    np.testing.assert_array_equal(load_image(encode(picture, transparency=2)), expected)


def test_cmyk_jpeg_becomes_rgb() -> None:
    picture = Image.new("RGB", (16, 16), (200, 40, 90)).convert("CMYK")
    loaded = load_image(encode(picture, "JPEG", quality=95))
    assert np.abs(loaded.astype(int) - (200, 40, 90)).max() <= 3


def test_a_phones_multi_picture_jpeg_gives_its_first_picture() -> None:
    first, second = (Image.new("RGB", (16, 8), colour) for colour in ((250, 0, 0), (0, 0, 250)))
    data = encode(first, "MPO", save_all=True, append_images=[second])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert load_image(data)[:, :, 0].min() > 200


# ---- what is refused


def assert_refused(source: object, *says: str) -> None:
    with pytest.raises(InvalidImage) as caught:
        load_image(source)  # type: ignore[arg-type]
    for text in says:
        assert text in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_paths_that_are_no_picture(tmp_path: Path) -> None:
    assert_refused(tmp_path / "nowhere.jpg", "nowhere.jpg", "no such file", "check the path")
    assert_refused(str(tmp_path), "not a regular file")
    assert_refused("a\0b.jpg", "no such file")
    assert_refused("x" * 5000, "check the path")
    (tmp_path / "empty.jpg").touch()
    assert_refused(tmp_path / "empty.jpg", "empty.jpg", "empty")
    assert_refused(b"", "empty")
    assert_refused(None, "NoneType", "path or bytes")
    assert_refused(Image.new("RGB", (2, 2)), "Image", "path or bytes")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_a_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert_refused(tmp_path / "pipe.jpg", "not a regular file")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.png").write_bytes(b"x")

    def deny(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    assert_refused(tmp_path / "secret.png", "Permission denied", "check its permissions")


@pytest.mark.parametrize(
    "data",
    [b"hello, this is text\n" * 9, b"\x08\x08\x12\x07pytorch" + bytes(99), b"PK\x03\x04" + bytes(50), bytes(1000)],
    ids=["text", "onnx", "zip", "zeros"],
)
def test_foreign_files(data: bytes) -> None:
    assert_refused(data, "not a JPEG, PNG, WEBP, BMP picture", "convert it")


@pytest.mark.parametrize("format", ["GIF", "TIFF", "PPM", "ICO", "TGA", "PCX"])
def test_decoders_outside_the_list_are_never_reached(format: str) -> None:
    data = encode(Image.fromarray(noise(16, 16, 3)), format)
    assert Image.open(io.BytesIO(data)).format == format  # Pillow itself would read it
    assert_refused(data, "not a JPEG, PNG, WEBP, BMP picture")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP"])
def test_truncated_files_never_give_half_a_picture(format: str) -> None:
    whole = encode(Image.fromarray(noise(40, 50, 3)), format)
    expected = load_image(whole)
    for length in [1, 2, 5, 20, *range(30, len(whole), len(whole) // 60)]:
        try:
            loaded = load_image(whole[:length])
        except InvalidImage:
            continue
        np.testing.assert_array_equal(loaded, expected)  # only what follows the pixels may be missing
        assert length > 0.95 * len(whole)


@pytest.mark.filterwarnings("ignore")  # Pillow comments on what it reads
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP"])
def test_damaged_files_give_a_picture_or_one_clear_error(format: str) -> None:
    whole = encode(Image.fromarray(noise(24, 24, 3)), format)
    random = np.random.default_rng(7)
    messages = []
    for _ in range(150):
        damaged = bytearray(whole)
        for at in random.integers(0, min(len(whole), 600), random.integers(1, 6)):
            damaged[at] = random.integers(256)
        try:
            check_image(load_image(bytes(damaged)))
        except InvalidImage as e:
            messages.append(str(e))
    assert messages
    assert all(message.startswith("the given bytes: ") for message in messages)


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_animations_are_refused(format: str) -> None:
    frames = [Image.fromarray(noise(16, 16, 3, seed=i)) for i in range(3)]
    assert_refused(encode(frames[0], format, save_all=True, append_images=frames[1:]), "animated, 3 frames")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(10000, 10000), (40000, 40000), (MAX_PIXELS + 1, 1)])
def test_bombs_are_refused_before_a_pixel_is_decoded(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(self: object) -> None:
        raise AssertionError("the decoder was reached")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", explode)
    assert_refused(png(*size, 8, 2, b"\0"), str(MAX_PIXELS), "scale it down")


def test_a_file_of_too_many_bytes_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 99)
    (tmp_path / "large.bmp").write_bytes(encode(Image.new("RGB", (30, 30)), "BMP"))
    assert_refused(tmp_path / "large.bmp", "at most 99 are read")


def test_running_out_of_memory_is_not_called_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def starve(self: object) -> None:
        raise MemoryError

    data = encode(Image.new("RGB", (4, 4)))
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", starve)
    with pytest.raises(MemoryError):
        load_image(data)


# ---- arrays


def test_a_sound_array_comes_back_itself() -> None:
    pixels = noise(1, 1, 3)
    assert check_image(pixels) is pixels
    view = noise(9, 9, 3)[::-1, ::2]
    assert check_image(view) is view


@pytest.mark.parametrize(
    ("array", "says"),
    [
        ([[1, 2]], "builtins.list; convert it with np.asarray"),
        (Image.new("RGB", (2, 2)), "PIL.Image.Image; convert it"),
        (noise(4, 5), "shape (4, 5) uint8; repeat the grey channel"),
        (noise(4, 5, 1), "shape (4, 5, 1) uint8; repeat the grey channel"),
        (noise(4, 5, 4), "drop the fourth channel"),
        (noise(3, 50, 40), "move the channels last"),
        (noise(2, 4, 5, 3), "one picture at a time"),
        (noise(4, 5, 7), "shape (4, 5, 7) uint8; reshape it"),
        (np.zeros((2, 2, 3), np.float32), "float32 with values 0..0; scale the values to 0..255"),
        (np.full((2, 2, 3), np.nan), "float64 with NaN or infinite values"),
        (np.full((2, 2, 3), 300, np.int64), "int64 with values 300..300"),
        (np.zeros((2, 2, 3), bool), "bool; scale"),
        (np.zeros((2, 2, 3), object), "object; scale"),
        (np.zeros((0, 5, 3), np.uint8), "no pixels"),
        (np.zeros((5, 0, 3), np.uint8), "no pixels"),
        (np.zeros((0, 5, 3), np.float32), "float32; scale"),
    ],
)
def test_other_arrays_are_named_and_their_cure(array: object, says: str) -> None:
    with pytest.raises(InvalidImage, match=r"^expected a picture of shape \(H, W, 3\) uint8 RGB, got ") as caught:
        check_image(array)
    assert says in str(caught.value)
