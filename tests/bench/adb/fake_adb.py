"""A small adb server, so that the real adb client can be tested: a phone is a folder in which its commands really run.

It speaks what the client asks of a server for ``devices``, ``shell``, ``push`` and ``pull``, as the documents OVERVIEW,
SERVICES, SYNC and the shell protocol of Android's sources describe it. Programs that only Android has are stubs that
print what phones were recorded to print.
"""

from __future__ import annotations

import contextlib
import socketserver
import struct
import subprocess
import threading
from pathlib import Path

#: Paths of a phone that its shell and its files really have inside its folder.
MAPPED = ("/data/local/tmp", "/sys/")
STUBS = ("getprop", "dumpsys", "settings", "nproc", "taskset")


class FakePhone:
    """A phone on a cable.

    Args:
        serial: as adb lists it.
        root: an empty folder.
        state: ``device``, ``offline`` or ``unauthorized``.
        space_bytes: what can be pushed before its storage is full.
        unplugged_by: a text; a shell command, or a ``push PATH``, that contains it loses the cable when it begins.
        unplugged_at: the how-manieth such command.
    """

    def __init__(
        self,
        serial: str,
        root: Path,
        *,
        state: str = "device",
        space_bytes: int = 1 << 30,
        unplugged_by: str | None = None,
        unplugged_at: int = 1,
    ) -> None:
        self.serial, self.root, self.state = serial, root, state
        self.space_bytes, self.unplugged_by, self.unplugged_at = space_bytes, unplugged_by, unplugged_at
        self.commands: list[str] = []
        self.spoils = False
        for folder in ("data/local/tmp", "sys", "bin"):
            (root / folder).mkdir(parents=True)
        for stub in STUBS:
            self.set(stub, "")
        self.program("taskset", f'echo "taskset $1" >> {root}/log; shift; exec "$@"')

    @property
    def storage(self) -> Path:
        """What its user sees as /data/local/tmp."""
        return self.root / "data/local/tmp"

    def set(self, program: str, printed: str, argument: str = "") -> None:
        """Let a program print a text, when its first arguments are these."""
        text = self.root / "bin" / f"{program} {argument}.txt".replace("/", "_")
        text.write_text(printed)
        folder = self.root / "bin"
        self.program(program, f'cat "{folder}/{program} $*.txt" 2>/dev/null || cat "{folder}/{program} .txt"')

    def program(self, name: str, script: str) -> None:
        """Give it a program."""
        path = self.root / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def file(self, path: str, text: str) -> None:
        """Give it a file, below /sys."""
        there = self.path(path)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(text)

    def path(self, path: str) -> Path:
        """Where a path of the phone is here."""
        assert path.startswith(MAPPED), path
        return self.root / path.lstrip("/")

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Run a shell command."""
        self.commands.append(command)
        for path in MAPPED:
            command = command.replace(path, f"{self.root}{path}")
        return subprocess.Popen(
            ["/bin/sh", "-c", command],
            env={"PATH": f"{self.root}/bin:/usr/bin:/bin"},
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


class Gone(Exception):
    """The client or the phone went away."""


class Handler(socketserver.BaseRequestHandler):
    """One connection of a client."""

    server: FakeServer

    def handle(self) -> None:
        phone = None
        with contextlib.suppress(Gone, OSError):
            while True:
                request = self._take(int(self._take(4), 16)).decode()
                if phone is None:
                    phone = self._host(request)
                else:
                    self._device(phone, request)

    def _host(self, request: str) -> FakePhone | None:
        """Answer as the server; a phone, if the connection is now one to it."""
        if request == "host:version":
            self._say("0029")
        elif request.startswith("host:devices"):
            self._say("".join(self._line(p) for p in self.server.phones.values()))
        elif request in ("host:features", "host:host-features"):
            self._say("shell_v2,cmd")
        elif request.startswith("host-serial:") and request.endswith(":features"):
            self._ready(request.removeprefix("host-serial:").removesuffix(":features"))
            self._say("shell_v2,cmd")
        for prefix, more in (("host:tport:serial:", struct.pack("<Q", 1)), ("host:transport:", b"")):
            if request.startswith(prefix) and (phone := self._ready(request.removeprefix(prefix))):
                self.request.sendall(b"OKAY" + more)
                return phone
        raise Gone

    def _ready(self, serial: str) -> FakePhone | None:
        phone = self.server.phones.get(serial)
        wrong = (
            f"device '{serial}' not found"
            if phone is None
            else {"device": None}.get(phone.state, f"device {phone.state}")
        )
        if wrong:
            self._fail(wrong)
            raise Gone
        return phone

    @staticmethod
    def _line(phone: FakePhone) -> str:
        about = "product:p model:Fake_Phone device:d " if phone.state == "device" else ""
        return f"{phone.serial:<22} {phone.state} usb:1-1 {about}transport_id:1\n"

    def _device(self, phone: FakePhone, request: str) -> None:
        kind, _, rest = request.partition(":")
        self.request.sendall(b"OKAY")
        if kind == "sync":
            self._sync(phone)
        elif kind.startswith("shell,v2"):
            self._shell(phone, rest)
        raise Gone

    def _shell(self, phone: FakePhone, command: str) -> None:
        """Packets of one byte that says what they are (1 output, 2 errors, 3 the status), their size, and text."""
        if self._unplugged(phone, command):
            raise Gone
        process = phone.start(command)
        readers = [
            threading.Thread(target=self._copy, args=(i, s)) for i, s in ((1, process.stdout), (2, process.stderr))
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        status = process.wait()
        self.request.sendall(struct.pack("<BIB", 3, 1, status if status >= 0 else 128 - status))

    def _unplugged(self, phone: FakePhone, command: str) -> bool:
        phone.unplugged_at -= phone.unplugged_by is not None and phone.unplugged_by in command
        if phone.unplugged_at == 0:
            self.server.phones.pop(phone.serial)
        return phone.unplugged_at == 0

    def _copy(self, kind: int, stream: object) -> None:
        with contextlib.suppress(OSError), stream:  # the client may be gone: the program then goes on, as on a phone
            while block := stream.read1(65536):
                self.request.sendall(struct.pack("<BI", kind, len(block)) + block)

    def _sync(self, phone: FakePhone) -> None:
        while True:
            command, size = struct.unpack("<4sI", self._take(8))
            if command == b"QUIT":
                return
            path = self._take(size).decode()
            {b"STAT": self._stat, b"SEND": self._send, b"RECV": self._receive}[command](phone, path)

    def _stat(self, phone: FakePhone, path: str) -> None:
        there = phone.path(path)
        mode, size = (there.stat().st_mode, there.stat().st_size) if there.exists() else (0, 0)
        self.request.sendall(struct.pack("<4sIII", b"STAT", mode, size, 0))

    def _send(self, phone: FakePhone, path: str) -> None:
        path, _, mode = path.rpartition(",")
        if self._unplugged(phone, f"push {path}"):
            raise Gone
        content = bytearray()
        while True:
            command, size = struct.unpack("<4sI", self._take(8))
            if command == b"DONE":
                break
            content += self._take(size)
        phone.space_bytes -= len(content)
        if phone.space_bytes < 0:
            self._sync_fail("write failed: No space left on device")
            return
        there = phone.path(path)
        there.write_bytes(bytes(content[:-1]) + b"?" if phone.spoils else content)
        there.chmod(int(mode) & 0o777)
        self.request.sendall(struct.pack("<4sI", b"OKAY", 0))

    def _receive(self, phone: FakePhone, path: str) -> None:
        there = phone.path(path)
        if not there.is_file():
            self._sync_fail("open failed: No such file or directory")
            return
        content = there.read_bytes()
        for start in range(0, len(content), 65536):
            block = content[start : start + 65536]
            self.request.sendall(struct.pack("<4sI", b"DATA", len(block)) + block)
        self.request.sendall(struct.pack("<4sI", b"DONE", 0))

    def _sync_fail(self, text: str) -> None:
        self.request.sendall(struct.pack("<4sI", b"FAIL", len(text)) + text.encode())

    def _say(self, text: str) -> None:
        self.request.sendall(b"OKAY" + f"{len(text):04x}{text}".encode())

    def _fail(self, text: str) -> None:
        self.request.sendall(b"FAIL" + f"{len(text):04x}{text}".encode())

    def _take(self, size: int) -> bytes:
        content = bytearray()
        while len(content) < size:
            block = self.request.recv(size - len(content))
            if not block:
                raise Gone
            content += block
        return bytes(content)


class FakeServer(socketserver.ThreadingTCPServer):
    """Listens on a free port of this machine alone."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.phones: dict[str, FakePhone] = {}
