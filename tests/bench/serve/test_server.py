"""Whatever a stranger sends, only one honest report with a ticket of ours changes anything."""

from __future__ import annotations

import hashlib
import http.client
import json
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pocketface.bench.serve import server as serving_module
from pocketface.bench.serve.desk import Desk
from pocketface.bench.serve.exam import Exam
from pocketface.bench.serve.server import MOST_AT_ONCE, Serving, serving
from pocketface.bench.serve.site import PAGE
from pocketface.bench.serve.tls import self_signed
from pocketface.errors import OutputError

Honest = Callable[[Desk], dict[str, Any]]
JSON = {"Content-Type": "application/json"}


def body(report: Any) -> bytes:
    return json.dumps(report).encode()


def ask(
    server: Serving, method: str, path: str, content: bytes | None = None, **headers: str
) -> tuple[int, bytes, http.client.HTTPMessage]:
    """One request; ``path`` is below the secret one unless it begins with a slash."""
    where = urlsplit(server.url)
    whole = path if path.startswith("/") else where.path + path
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    with closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)) as connection:
        connection.request(method, whole, content, named)
        response = connection.getresponse()
        return response.status, response.read(), response.headers


def raw(server: Serving, sent: bytes) -> bytes:
    """Bytes as they are, and all that comes back."""
    where = urlsplit(server.url)
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.sendall(sent)
        answer = b""
        while block := connection.recv(65536):
            answer += block
        return answer


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_the_page_and_all_that_it_needs_are_there(server: Serving, exam: Exam) -> None:
    status, page, headers = ask(server, "GET", "")
    assert status == 200
    assert b"<!doctype html>" in page
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe-inline" not in headers["Content-Security-Policy"]
    for name in set(PAGE) - {"index.html"}:
        assert ask(server, "GET", name)[0] == 200
    status, text, _ = ask(server, "GET", "task.json")
    (model,) = json.loads(text)["models"]
    assert ask(server, "GET", model["url"])[1] == exam.content == exam.artifact.path.read_bytes()
    assert ask(server, "GET", model["inputs"])[1] == exam.sent.tobytes()
    for name, file in exam.installed.files.items():
        assert ask(server, "GET", f"engines/{name}")[1] == file.read_bytes()
    assert ask(server, "HEAD", "")[:2] == (200, b"")


def test_an_honest_report_is_judged_and_answered(server: Serving, honest: Honest) -> None:
    status, answer, _ = ask(server, "POST", "report", body(honest(server.desk)), **JSON)
    assert status == 200
    assert json.loads(answer)[0]["parity"]["passed"] is True
    assert server.desk.results.get(timeout=5).device.name == "a phone"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/wrong/",
        "/wrong/report",
        "index.html",
        "../",
        "../../etc/passwd",
        "..%2f..%2fetc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "engines/../../../pyproject.toml",
        "engines/%2e%2e/server.py",
        "engines//etc/passwd",
        "engines/onnxruntime-web/package.json",
        "models/1",
        "models/-1",
        "models/0/",
        "models/0%00",
        "\\..\\server.py",
    ],
)
def test_nothing_else_is_served(server: Serving, path: str) -> None:
    status, answer, _ = ask(server, "GET", path)
    assert (status, answer) == (404, b"there is nothing here\n")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_other_methods_are_refused(server: Serving, method: str) -> None:
    where = urlsplit(server.url)
    answer = raw(server, f"{method} {where.path}report HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n".encode())
    assert status_of(answer) == 405
    assert b"Allow: GET, HEAD, POST" in answer


HOSTILE: dict[str, tuple[int, str, dict[str, str], bytes | None]] = {
    "wrong secret": (404, "/wrong/report", JSON, None),
    "another place": (404, "task.json", JSON, None),
    "another host": (421, "report", {**JSON, "Host": "evil.example"}, None),
    "another port": (421, "report", {**JSON, "Host": "127.0.0.1:1"}, None),
    "another origin": (403, "report", {**JSON, "Origin": "http://evil.example"}, None),
    "no origin": (403, "report", {**JSON, "Origin": "null"}, None),
    "a form": (415, "report", {"Content-Type": "text/plain"}, None),
    "no type": (415, "report", {}, None),
    "no JSON": (400, "report", JSON, b"{"),
    "another ticket": (403, "report", JSON, b"ticket"),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_post_changes_nothing(server: Serving, attack: str, honest: Honest) -> None:
    wanted, path, headers, content = HOSTILE[attack]
    report = honest(server.desk)
    forged = body({**report, "ticket": "a.b"}) if content == b"ticket" else content
    assert ask(server, "POST", path, body(report) if forged is None else forged, **headers)[0] == wanted
    assert server.desk.results.empty()
    assert ask(server, "POST", "report", body(report), **JSON)[0] == 200  # and the honest one still counts


@pytest.mark.parametrize(
    ("length", "wanted"),
    [("", 411), ("-1", 411), ("x", 411), ("1e3", 411), ("٣", 411), ("99999999", 413), ("9" * 5000, 413)],
)
def test_a_body_must_say_a_length_that_is_allowed(server: Serving, length: str, wanted: int) -> None:
    where = urlsplit(server.url)
    lines = f"POST {where.path}report HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
    said = f"Content-Length: {length}\r\n" if length else ""
    assert status_of(raw(server, f"{lines}{said}\r\n".encode())) == wanted
    chunked = f"{lines}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    assert status_of(raw(server, chunked.encode())) == 411
    assert server.desk.results.empty()


def test_a_replay_and_a_post_after_the_end_are_refused(server: Serving, honest: Honest) -> None:
    first, second = body(honest(server.desk)), body(honest(server.desk))
    statuses = [ask(server, "POST", "report", content, **JSON)[0] for content in (first, first, second)]
    assert statuses == [200, 409, 410]
    assert server.desk.results.qsize() == 1


def test_after_the_end_nobody_listens(desk: Desk) -> None:
    with serving(desk) as running:
        assert ask(running, "GET", "")[0] == 200
    with pytest.raises(ConnectionRefusedError):
        ask(running, "GET", "")


def test_who_sends_drop_by_drop_is_cut_off_and_holds_nobody_up(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_module, "REQUEST_S", 1.0)
    where = urlsplit(server.url)
    begun = time.monotonic()
    with socket.create_connection((where.hostname, where.port), timeout=10) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        assert ask(server, "GET", "")[0] == 200  # meanwhile
        try:
            while time.monotonic() - begun < 30:
                slow.sendall(b"X")
                time.sleep(0.1)
        except OSError:
            pass
    assert time.monotonic() - begun < 20


def test_a_body_that_does_not_come_is_not_waited_for(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_module, "REQUEST_S", 1.0)
    where = urlsplit(server.url)
    lines = f"POST {where.path}report HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
    assert status_of(raw(server, f"{lines}Content-Length: 100\r\n\r\nhalf".encode())) == 408
    assert server.desk.results.empty()


def test_too_many_at_once_are_cut_off_and_the_server_goes_on(server: Serving) -> None:
    where = urlsplit(server.url)
    held = [socket.create_connection((where.hostname, where.port), timeout=10) for _ in range(MOST_AT_ONCE + 8)]
    with selectors.DefaultSelector() as cut_off:  # who waits for us sends nothing
        for connection in held:
            cut_off.register(connection, selectors.EVENT_READ)
        assert eventually(lambda: len(cut_off.select(0)) >= 8)
        time.sleep(0.2)
        assert len(cut_off.select(0)) == 8
    for connection in held:
        connection.close()
    assert eventually(lambda: answers(server))


def eventually(is_so: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether something is so before long."""
    end = time.monotonic() + seconds
    while not (found := is_so()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def answers(server: Serving) -> bool:
    """Whether there is a place for one more request."""
    try:
        return ask(server, "GET", "")[0] == 200
    except ConnectionError:
        return False


@pytest.mark.parametrize(
    "sent",
    [b"\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"G" * 70_000, b"\0" * 100],
)
def test_garbage_gets_no_more_than_a_refusal(server: Serving, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        with monkeypatch.context() as impatient:
            impatient.setattr(serving_module, "REQUEST_S", 0.4)
            answer = raw(server, sent)
    except ConnectionResetError:
        answer = b""
    assert b" 200 " not in answer
    assert b"Traceback" not in answer
    assert ask(server, "GET", "")[0] == 200


def test_headers_without_end_are_refused(server: Serving) -> None:
    where = urlsplit(server.url)
    many = "".join(f"X-{i}: y\r\n" for i in range(200))
    answer = raw(server, f"GET {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\n{many}\r\n".encode())
    assert status_of(answer) == 431


def test_https_with_a_certificate_that_can_be_recognised(desk: Desk) -> None:
    pytest.importorskip("cryptography")
    tls = self_signed("127.0.0.1")
    with serving(desk, tls=tls) as running:
        where = urlsplit(running.url)
        assert where.scheme == "https"
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection((where.hostname, where.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            certificate = secure.getpeercert(binary_form=True) or b""
            secure.sendall(f"GET {where.path} HTTP/1.0\r\nHost: {where.netloc}\r\n\r\n".encode())
            assert secure.recv(12) == b"HTTP/1.0 200"

        assert tls.fingerprint == hashlib.sha256(certificate).digest().hex(":")
        context.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(certificate))
        context.check_hostname, context.verify_mode = True, ssl.CERT_REQUIRED
        with (
            socket.create_connection((where.hostname, where.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1"),  # its name is the address
        ):
            pass
        with socket.create_connection((where.hostname, where.port), timeout=10) as silent:  # shakes no hand
            with (
                socket.create_connection((where.hostname, where.port), timeout=10) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1"),
            ):
                pass
            del silent


def test_an_address_that_is_not_ours_is_named(desk: Desk) -> None:
    with pytest.raises(OutputError, match=r"cannot listen at 203\.0\.113\.1"), serving(desk, "203.0.113.1"):
        pass


@pytest.mark.parametrize("address", ["", "0.0.0.0", "::"])
def test_all_addresses_at_once_are_refused(desk: Desk, address: str) -> None:
    with pytest.raises(OutputError, match="the one address that devices are to use"), serving(desk, address):
        pass


def test_a_port_that_is_taken_is_named(desk: Desk, server: Serving) -> None:
    port = urlsplit(server.url).port or 0
    with pytest.raises(OutputError, match=f"port {port}"), serving(desk, port=port):
        pass


def test_every_file_of_the_page_is_listed() -> None:
    folder = Path(serving_module.__file__).parent / "page"
    assert {file.name for file in folder.iterdir()} == set(PAGE)
