"""The server: a fixed list of answers below a secret path, and one place to post to.

Nothing in a request is ever a file's name: a path is looked up among those that were listed at the start, as it came
and undecoded, so that there is no other file to ask for. Every connection carries one request and has a deadline, a
body must say its length before it is read, and only :meth:`Desk.take` changes anything.
"""

from __future__ import annotations

import hmac
import io
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from ...errors import OutputError
from ..perf import Perf
from .desk import Desk, Refused
from .site import KINDS, Body, Site, kind_of, make_site
from .tls import Tls

#: Seconds for a request to come in whole, and for an answer to go out; a body has longer, as over the worst network.
REQUEST_S, ANSWER_S = 15.0, 300.0
SLOWEST_BYTES_PER_S = 100_000
#: Requests at the same time; further ones are cut off.
MOST_AT_ONCE = 32
LOCAL = {"127.0.0.1", "localhost", "[::1]"}


@dataclass(frozen=True)
class Serving:
    """A server that runs.

    Attributes:
        url: where a browser finds it.
        desk: takes its reports.
        is_local: whether only this machine reaches it.
    """

    url: str
    desk: Desk
    is_local: bool


@contextmanager
def serving(desk: Desk, address: str = "127.0.0.1", port: int = 0, tls: Tls | None = None) -> Iterator[Serving]:
    """Serve a desk's page as long as the context lasts.

    Args:
        desk: takes the reports; they are judged, and in its ``results`` once the device has its answer.
        address: to listen at.
        port: 0 for any that is free.
        tls: to speak https.

    Raises:
        OutputError: the address is not one of this machine's, or the port is taken.
    """
    if address in ("", "0.0.0.0", "::"):
        raise OutputError(f"cannot listen at {address or 'no address'}: name the one address that devices are to use")
    site = make_site(desk)
    try:
        server = _Server(address, port, site, tls)
    except OSError as e:
        raise OutputError(f"cannot listen at {address}, port {port}: {e.strerror or e}") from e
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield Serving(f"{server.origin}/{site.secret}/", desk, server.is_local)
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # connections that wait to be taken, or to be cut off

    def __init__(self, address: str, port: int, site: Site, tls: Tls | None) -> None:
        family = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0][0]
        self.address_family = family
        super().__init__((address, port), _Handler)
        self.site, self._tls = site, tls
        self._free = threading.BoundedSemaphore(MOST_AT_ONCE)
        self.port = int(self.server_address[1])
        shown = f"[{address}]" if family == socket.AF_INET6 else address
        self.scheme, self.is_local = "https" if tls else "http", shown in LOCAL
        names = LOCAL if self.is_local else {shown.lower()}
        self.hosts = {f"{name}:{self.port}" for name in names}
        if self.port == (443 if tls else 80):  # which browsers leave out
            self.hosts |= names
        self.origin = f"{self.scheme}://{shown}:{self.port}"

    def server_bind(self) -> None:
        """Bind without the base class's look-up of our name, which may take seconds."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for each, while there are any left."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Give the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """The handshake belongs to the request's own thread, lest one who never ends it stops all others."""
        if not self._tls:
            super().finish_request(request, client_address)
            return
        request.settimeout(REQUEST_S)
        with self._tls.context.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks off is none of ours; anything else is a bug, and shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Deadline(io.RawIOBase):
    """A socket's bytes, all of which must come before a moment; drop by drop does not move it."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection, self._end = connection, time.monotonic() + seconds

    def extend(self, seconds: float) -> None:
        """Allow more time."""
        self._end += seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request did not come in time")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: _Server
    protocol_version = "HTTP/1.0"  # a connection each: nothing of one request can pass for the next
    server_version, sys_version = "pocketface", ""

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._deadline = _Deadline(self.connection, REQUEST_S)
        self.rfile = io.BufferedReader(self._deadline)

    def do_GET(self) -> None:
        try:
            path = self._path()
            if path == "task.json":
                self._answer(200, msgspec.json.encode(self.server.site.desk.task()), KINDS[".json"])
            elif path in self.server.site.answers:
                self._answer(200, self.server.site.answers[path], kind_of(path), keep="/" in path)
            else:
                raise Refused(404, "there is nothing here")
        except Refused as e:
            self._refuse(e)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        perf: Perf | None = None
        try:
            if self._path() != "report":
                raise Refused(404, "there is nothing here")
            perf = self.server.site.desk.take(self._body())
            self._answer(200, msgspec.json.encode(perf.measurements), KINDS[".json"])
        except Refused as e:
            self._refuse(e)
        finally:  # a report that was taken counts, even if the device has gone
            if perf:
                self.server.site.desk.results.put(perf)

    def _path(self) -> str:
        """What is asked for, below the secret path; exactly as it came."""
        if self.headers.get("Host", "").lower() not in self.server.hosts:
            raise Refused(421, f"this server answers at {self.server.origin} only")
        secret, slash, path = self.path.partition("?")[0].removeprefix("/").partition("/")
        if not slash or not hmac.compare_digest(secret.encode(), self.server.site.secret.encode()):
            raise Refused(404, "there is nothing here")
        return path

    def _body(self) -> bytes:
        """The body of a post, if it may be read at all."""
        origin = self.headers.get("Origin")
        if origin is not None and origin not in {f"{self.server.scheme}://{host}" for host in self.server.hosts}:
            raise Refused(403, "reports come from this server's own page only")
        if self.headers.get_content_type() != "application/json":
            raise Refused(415, "a report is application/json")
        length, largest = self.headers.get("Content-Length", ""), self.server.site.desk.largest_report
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            raise Refused(411, "a report must say its length")
        if len(length) > 12 or int(length) > largest:
            raise Refused(413, f"{length[:20]} bytes; a report has at most {largest}")
        self._deadline.extend(int(length) / SLOWEST_BYTES_PER_S)
        try:
            body = self.rfile.read(int(length))
        except TimeoutError as e:
            raise Refused(408, "the report did not come in time") from e
        if len(body) != int(length):
            raise Refused(400, f"the body ended after {len(body)} of {length} bytes")
        return body

    def _refuse(self, refused: Refused) -> None:
        self._answer(refused.status, f"{refused.reason}\n".encode(), "text/plain; charset=utf-8")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses, in our words: nothing of the request comes back."""
        known = 405 if code == 501 else code  # a method that no method of ours is named after
        self._refuse(Refused(known, HTTPStatus(known).phrase))

    def _answer(self, status: int, body: Body, kind: str, keep: bool = False) -> None:
        self.connection.settimeout(ANSWER_S)
        self.send_response(status)
        for key, value in self.server.site.headers.items():
            self.send_header(key, value)
        size = len(body) if isinstance(body, bytes) else body.stat().st_size
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.send_header("Cache-Control", "private, max-age=3600" if keep else "no-store")
        if status == 405:
            self.send_header("Allow", "GET, HEAD, POST")
        self.end_headers()
        if self.command == "HEAD":
            return
        if isinstance(body, bytes):
            self.wfile.write(body)
        else:
            with body.open("rb") as stream:
                shutil.copyfileobj(stream, self.wfile, 1 << 20)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: paths hold the secret."""
