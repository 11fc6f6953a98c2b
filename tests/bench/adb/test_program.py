"""A program for another processor is found out before it is copied, and a failed one is explained."""

from __future__ import annotations

import platform
import struct
import sys
from pathlib import Path

import pytest

from pocketface.bench.adb.program import explain, instruction_sets, require_abi
from pocketface.errors import DeviceError, InvalidData

HERE = {"x86_64": "x86_64", "aarch64": "arm64-v8a"}


def elf(machine: int, order: int = 1) -> bytes:
    """The first 20 bytes of an ELF file: magic, class, byte order, version, padding, type, machine."""
    return struct.pack("<4s3B9x", b"\x7fELF", 2, order, 1) + struct.pack("<HH" if order == 1 else ">HH", 3, machine)


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() not in HERE, reason="this Python is no such ELF")
def test_a_real_program_is_of_this_machine() -> None:
    assert instruction_sets(Path(sys.executable).resolve()) == (HERE[platform.machine()],)


@pytest.mark.parametrize(
    ("head", "abi"),
    [(elf(183), "arm64-v8a"), (elf(40), "armeabi-v7a"), (elf(183, 2), "arm64-v8a"), (elf(8), "ELF machine 8")],
)
def test_the_header_says_what_it_is_for(tmp_path: Path, head: bytes, abi: str) -> None:
    (tmp_path / "b").write_bytes(head)
    assert instruction_sets(tmp_path / "b")[0] == abi


@pytest.mark.parametrize("head", [b"", b"MZ" + bytes(30), b"\xcf\xfa\xed\xfe" + bytes(30), elf(183)[:12]])
def test_what_is_no_program_is_refused(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "b").write_bytes(head)
    with pytest.raises(InvalidData, match="not a program for Android"):
        instruction_sets(tmp_path / "b")


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="nowhere"):
        instruction_sets(tmp_path / "nowhere")


def test_a_program_for_another_processor_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "b"
    binary.write_bytes(elf(62))
    require_abi(binary, ("x86_64", "x86"))
    require_abi(binary, ())  # a phone that does not say finds out itself
    with pytest.raises(DeviceError, match="built for x86_64, the phone runs arm64-v8a"):
        require_abi(binary, ("arm64-v8a",))


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (126, "sh: ./program: not executable: 64-bit ELF file", "cannot run b"),
        (126, "sh: 1: exec: ./program: Exec format error", "cannot run b"),
        (
            1,
            'CANNOT LINK EXECUTABLE "./program": library "libonnxruntime.so" not found: needed by main executable',
            "needs libonnxruntime.so: give it with --library",
        ),
        (139, "Loaded model\nSegmentation fault", "SIGSEGV; its last line is 'Segmentation fault'"),
        (137, "", "SIGKILL, as Android does when memory runs out"),
        (1, "a\nFailed to load the model\n\n", "status 1; its last line is 'Failed to load the model'"),
        (3, "", "printed nothing"),
        (128 + 40, "", "status 168"),  # a signal without a name
        (255, "", "status 255"),
    ],
)
def test_a_failure_is_explained(status: int, text: str, said: str) -> None:
    assert said in explain(status, text, "b")
