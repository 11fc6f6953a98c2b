"""Pictures are read from tar files where they lie; damage is never taken for the end."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketface.errors import InvalidData, InvalidImage
from pocketface.evaluate.data import open_images
from pocketface.runtime.images import load_image

Png = Callable[[int], bytes]
Tar = Callable[..., Path]
FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_of_tar_gives_the_pictures(format: int, tmp_path: Path, png: Png, write_tar: Tar) -> None:
    long = "alice/" + "é" * 60 + ".png" if format != tarfile.USTAR_FORMAT else "alice/3.png"
    path = write_tar(
        tmp_path / "x.tar", {"bob/1.png": png(1), "./bob/2.png": png(2), long: png(3), "b.txt": b""}, format
    )
    images = open_images(path)
    assert [(s.name, s.identity) for s in images.samples] == [
        (long, "alice"),
        ("bob/1.png", "bob"),
        ("bob/2.png", "bob"),
    ]
    for sample, seed in zip(images.samples, (3, 1, 2), strict=True):
        assert np.array_equal(sample.read(), load_image(png(seed)))


def test_shards_are_one_set_and_their_identities_stand_beside(tmp_path: Path, png: Png, write_tar: Tar) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    for shard in range(2):
        write_tar(folder / f"s-{shard}.tar", {f"{shard}{i}.png": png(10 * shard + i) for i in range(2)})
    (folder / "identities.json").write_text('{"00.png": 5, "01.png": 5, "10.png": "x", "99.png": 1}')
    images = open_images(folder)
    assert [(s.name, s.identity) for s in images.samples] == [
        ("00.png", "5"),
        ("01.png", "5"),
        ("10.png", "x"),
        ("11.png", None),
    ]
    assert images.problems == (
        "1 pictures have labels but are not there: 99.png",
        "1 pictures have no identity: 11.png",
    )


@pytest.mark.parametrize("beside", ["identities.json", "x_identities.json"])
def test_the_identities_of_a_tar_are_found(beside: str, tmp_path: Path, png: Png, write_tar: Tar) -> None:
    (tmp_path / beside).write_text('{"1.png": "one"}')
    assert open_images(write_tar(tmp_path / "x.tar", {"1.png": png(1)})).samples[0].identity == "one"


def test_hostile_members_do_no_harm(tmp_path: Path, png: Png, write_tar: Tar) -> None:
    link, device = tarfile.TarInfo("link.png"), tarfile.TarInfo("device.png")
    link.type, link.linkname, device.type = tarfile.SYMTYPE, "/etc/passwd", tarfile.CHRTYPE
    names = ("../../up.png", "/abs.png", "\x1b[2Jclear.png", "ok.png")
    members = {**{name: png(i) for i, name in enumerate(names)}, "link.png": link, "device.png": device}
    before = sorted(tmp_path.rglob("*"))
    images = open_images(write_tar(tmp_path / "x.tar", members))
    assert sorted(s.name for s in images.samples) == sorted(["../../up.png", "/abs.png", "\\x1b[2Jclear.png", "ok.png"])
    assert all(s.read().shape == (8, 8, 3) for s in images.samples)
    assert images.problems == ("x.tar: 2 members that are no plain files: link.png, device.png",)
    assert sorted(tmp_path.rglob("*")) == [*before, tmp_path / "x.tar"]


def test_of_one_name_the_last_counts_and_it_is_said(tmp_path: Path, png: Png, write_tar: Tar) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for seed in (1, 2):
            (tmp_path / "1.png").write_bytes(png(seed))
            archive.add(tmp_path / "1.png", "a/1.png")
    images = open_images(tmp_path / "x.tar", strict=False)
    assert np.array_equal(images.samples[0].read(), load_image(png(2)))
    assert images.problems == ("x.tar: 1 names twice, the last counts: a/1.png",)
    with pytest.raises(InvalidData, match="names twice"):
        open_images(tmp_path / "x.tar", strict=True)


def test_a_tar_cut_anywhere_is_refused(tmp_path: Path, png: Png, write_tar: Tar) -> None:
    path = write_tar(tmp_path / "x.tar", {f"a/{i}.png": png(i) for i in range(4)})
    whole = path.read_bytes()
    end = len(whole.rstrip(b"\0")) // 512 * 512 + 512  # here the end-of-archive blocks begin
    for length in range(0, end + 1, 256):
        path.write_bytes(whole[:length])
        with pytest.raises(InvalidData, match=r"x\.tar"):
            open_images(path)
    path.write_bytes(whole[: end + 512])
    assert len(open_images(path)) == 4


def test_damage_in_the_middle_is_not_the_end(tmp_path: Path, png: Png, write_tar: Tar) -> None:
    path = write_tar(tmp_path / "x.tar", {f"a/{i}.png": png(i) for i in range(4)})
    whole = bytearray(path.read_bytes())
    place = whole.index(b"a/2.png")
    whole[place + 100] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(InvalidData, match="truncated or damaged at byte"):
        open_images(path)


def test_a_compressed_tar_is_told_from_a_broken_one(tmp_path: Path, png: Png) -> None:
    (tmp_path / "1.png").write_bytes(png(1))
    with tarfile.open(tmp_path / "x.tar", "w:gz") as archive:
        archive.add(tmp_path / "1.png", "1.png")
    with pytest.raises(InvalidData, match="compressed one must be unpacked"):
        open_images(tmp_path / "x.tar")


def test_a_tar_that_changes_after_it_was_opened_fails_by_picture(tmp_path: Path, png: Png, write_tar: Tar) -> None:
    path = write_tar(tmp_path / "x.tar", {"a/1.png": png(1)})
    images = open_images(path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(InvalidImage, match=r"a/1\.png: .*shorter than when it was opened"):
        images.samples[0].read()
