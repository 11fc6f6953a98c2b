"""The real adb client against a small server: what comes back, and what is said when nothing does."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from pocketface.bench.adb.client import Adb, Listed, Stopped, _listed, find_adb, list_phones
from pocketface.errors import DeviceError, MissingExtra


def test_phones_are_listed_with_their_state(adb_program: str, plug_in) -> None:
    for serial, state in (("A", "device"), ("B", "unauthorized"), ("C", "offline")):
        plug_in(serial, state=state)
    found = list_phones(adb_program)
    assert found == [Listed("A", "device", "Fake Phone"), Listed("B", "unauthorized"), Listed("C", "offline")]
    assert [phone.usable for phone in found] == [True, False, False]
    assert "allow USB debugging" in found[1].cure


def test_no_phone_is_an_empty_list(adb_program: str, adb_server) -> None:
    assert list_phones(adb_program) == []


def test_a_state_of_several_words() -> None:
    line = "0123456789AB no permissions (missing udev rules? user is in the plugdev group); see [http://x] usb:3-1"
    assert _listed(line) == Listed("0123456789AB", "no permissions")
    assert "udev" in _listed(line).cure


@pytest.mark.parametrize("status", [0, 3, 137])
def test_output_errors_and_status_come_back_apart(adb_program: str, plug_in, status: int) -> None:
    plug_in("A")
    done = Adb(adb_program, "A").shell(f"printf 'one\\ntwo'; echo wrong >&2; exit {status}")
    assert (done.status, done.output, done.errors) == (status, "one\ntwo", "wrong")


def test_a_file_goes_there_and_back(adb_program: str, plug_in, tmp_path: Path) -> None:
    phone, here = plug_in("A"), tmp_path / "it's a file"
    here.write_bytes(bytes(range(256)) * 1000)
    adb = Adb(adb_program, "A")
    adb.push(here, "/data/local/tmp/its")
    assert (phone.storage / "its").read_bytes() == here.read_bytes()
    adb.pull("/data/local/tmp/its", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == here.read_bytes()


def test_a_full_phone_says_so(adb_program: str, plug_in, tmp_path: Path) -> None:
    plug_in("A", space_bytes=10)
    (tmp_path / "big").write_bytes(bytes(1000))
    with pytest.raises(DeviceError, match="big cannot be copied to it: its storage is full"):
        Adb(adb_program, "A").push(tmp_path / "big", "/data/local/tmp/big")


def test_a_cable_lost_while_a_file_is_copied(adb_program: str, plug_in, tmp_path: Path) -> None:
    plug_in("A", unplugged_by="push")
    (tmp_path / "big").write_bytes(bytes(10_000_000))
    with pytest.raises(DeviceError, match=r"^lost: .*run again"):
        Adb(adb_program, "A").push(tmp_path / "big", "/data/local/tmp/big")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("adb: error: failed to copy 'f' to '/x/y': remote Read-only file system", "remote Read-only file system"),
        ("adb: error: failed to copy 'f' to '/x': remote No space left on device", "storage is full"),
        ("adb: error: failed to read copy response: EOF", "lost: failed to read copy response: EOF"),
        ("adb: error: failed to get feature set: device offline", "offline: plug its cable in again"),
        ("error: device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set", "unauthorized: unlock"),
        ("adb: error: failed to get feature set: more than one device/emulator", "more than one device"),
    ],
)
@pytest.mark.parametrize("stream", [1, 2])
def test_what_a_client_says_of_a_copy(tmp_path: Path, told: str, said: str, stream: int) -> None:
    program = tmp_path / "adb"
    program.write_text(f"#!/bin/sh\ncat >&{stream} <<'E'\n{told}\nE\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(DeviceError, match=said):
        Adb(str(program), "A").push(tmp_path / "f", "/x/y")


def test_a_file_that_is_not_there_cannot_be_pulled(adb_program: str, plug_in, tmp_path: Path) -> None:
    plug_in("A")
    with pytest.raises(DeviceError, match="does not exist"):
        Adb(adb_program, "A").pull("/data/local/tmp/nothing", tmp_path / "x")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"state": "unauthorized"}, "unauthorized: unlock its screen"),
        ({"state": "offline"}, "offline: plug its cable in again"),
        ({"unplugged_by": "echo"}, "lost: its cable"),
    ],
)
def test_a_phone_that_cannot_be_reached_says_why(adb_program: str, plug_in, options: dict, said: str) -> None:
    plug_in("A", **options)
    with pytest.raises(DeviceError, match=said):
        Adb(adb_program, "A").shell("echo")


def test_a_phone_that_was_never_there(adb_program: str, adb_server, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(DeviceError, match="lost"):
        Adb(adb_program, "Z").shell("echo")
    with pytest.raises(DeviceError, match="lost"):
        Adb(adb_program, "Z").push(tmp_path / "f", "/data/local/tmp/f")


def test_what_takes_too_long_is_given_up(adb_program: str, plug_in) -> None:
    plug_in("A")
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        Adb(adb_program, "A").shell("exec sleep 30", timeout_s=0.2)
    assert time.monotonic() - began < 20


def test_a_stop_ends_what_runs_but_for_tidying_up(adb_program: str, plug_in) -> None:
    plug_in("A")
    stop = threading.Event()
    adb = Adb(adb_program, "A", stop)
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(Stopped):
        adb.shell("exec sleep 30")
    assert adb.shell("sleep 0.3; echo tidy", even_stopped=True).output == "tidy"


def test_a_client_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="nowhere"):
        list_phones(str(tmp_path / "nowhere"))


def test_the_client_is_looked_for_on_path_in_the_sdk_and_in_adbutils(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "sdk" / "platform-tools" / "adb"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.delenv("ANDROID_SDK_ROOT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("ANDROID_HOME", str(tmp_path / "sdk"))
    assert find_adb() == str(program)
    monkeypatch.delenv("ANDROID_HOME")
    monkeypatch.setitem(__import__("sys").modules, "adbutils", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pocketface\[adb\]'"):
        find_adb()
