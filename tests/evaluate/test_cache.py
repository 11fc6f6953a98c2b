"""A cache that is believed only when it is whole, and that never stops a run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from pocketface.evaluate.cache import Cache, cache_folder, cache_key

KEY = cache_key(model="m", data="d")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def file_of(cache: Cache) -> Path:
    (file,) = cache.folder.rglob("*.npz")
    return file


def test_what_is_put_is_got(cache: Cache) -> None:
    assert cache.get(KEY) is None
    arrays = {"vectors": np.arange(6, dtype=np.float32).reshape(2, 3), "reasons": np.array(["", "é"])}
    cache.put(KEY, arrays)
    found = Cache(cache.folder).get(KEY)
    assert found is not None
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert np.array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    assert cache.get(cache_key(model="m", data="e")) is None
    assert cache.notes == []


def test_a_key_depends_on_everything_and_on_no_order() -> None:
    keys = [cache_key(a=1, b=(2, "x")), cache_key(a=1, b=(2, "y")), cache_key(a=1, c=(2, "x")), cache_key(a=1)]
    assert len(set(keys)) == 4
    assert cache_key(b=(2, "x"), a=1) == keys[0]
    assert all(len(key) == 64 for key in keys)


def test_damage_is_noted_and_never_believed(cache: Cache) -> None:
    cache.put(KEY, {"vectors": np.arange(64.0)})
    file = file_of(cache)
    whole = file.read_bytes()
    data = whole.index(np.arange(64.0).tobytes())
    for damaged in (
        b"",
        b"text",
        whole[: len(whole) // 2],
        whole[:-1],
        whole[: data + 9] + bytes([whole[data + 9] ^ 1]) + whole[data + 10 :],
        np.array([object()], object).dumps(),
    ):
        file.write_bytes(damaged)
        cache.notes.clear()
        assert cache.get(KEY) is None
        assert len(cache.notes) == 1
        assert "damaged" in cache.notes[0]
    cache.put(KEY, {"vectors": np.zeros(1)})
    assert cache.get(KEY) is not None


def test_a_byte_flipped_anywhere_never_gives_other_values(cache: Cache) -> None:
    values = np.arange(8.0)
    cache.put(KEY, {"vectors": values})
    file = file_of(cache)
    whole = file.read_bytes()
    for place in range(0, len(whole), 3):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        found = cache.get(KEY)
        assert found is None or "vectors" not in found or np.array_equal(found["vectors"], values)


def test_another_entrys_file_is_not_believed(cache: Cache) -> None:
    cache.put(KEY, {"vectors": np.zeros(1)})
    other = cache_key(model="other")
    target = cache.folder / other[:2] / f"{other}.npz"
    target.parent.mkdir(exist_ok=True)
    file_of(cache).rename(target)
    assert cache.get(other) is None
    assert "another entry's" in cache.notes[0]


def test_objects_are_never_unpickled(cache: Cache) -> None:
    cache.put(KEY, {"vectors": np.zeros(1)})
    with file_of(cache).open("wb") as stream:
        np.savez(stream, vectors=np.array([{"a": 1}], object))
    assert cache.get(KEY) is None
    assert "allow_pickle" in cache.notes[0]


def test_a_folder_that_cannot_be_written_costs_a_note(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file" / "cache")
    cache.put(KEY, {"vectors": np.zeros(1)})
    assert cache.get(KEY) is None
    assert cache.notes[0].startswith("not cached: cannot write to")


def test_the_oldest_entries_make_room(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=24_000)
    keys = [cache_key(entry=i) for i in range(4)]
    for age, key in enumerate(keys[:3]):
        cache.put(key, {"vectors": np.zeros(800)})
        os.utime(tmp_path / key[:2] / f"{key}.npz", (age, age))
    assert cache.get(keys[0]) is not None  # and is now the newest
    cache.put(keys[3], {"vectors": np.zeros(800)})
    assert [cache.get(key) is not None for key in keys] == [True, False, True, True]
    (tmp_path / keys[0][:2] / f".{keys[0]}.npz.k1ll3d").mkdir()
    assert cache.clear() > 12_000
    assert [path for path in tmp_path.rglob("*") if not path.is_dir() or path.name.startswith(".")] == []


def test_the_folder_is_the_platforms_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.delenv("POCKETFACE_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for platform, environment, expected in (
        ("linux", {"XDG_CACHE_HOME": str(tmp_path / "xdg")}, tmp_path / "xdg" / "pocketface"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, tmp_path / ".cache" / "pocketface"),
        ("linux", {"XDG_CACHE_HOME": ""}, tmp_path / ".cache" / "pocketface"),
        ("darwin", {}, tmp_path / "Library" / "Caches" / "pocketface"),
        ("win32", {"LOCALAPPDATA": str(tmp_path / "local")}, tmp_path / "local" / "pocketface" / "Cache"),
        ("win32", {"POCKETFACE_CACHE": str(tmp_path / "mine")}, tmp_path / "mine"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "platform", platform)
            for name, value in environment.items():
                patch.setenv(name, value)
            assert cache_folder() == expected
