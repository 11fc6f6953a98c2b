"""All that is served: listed once, with the headers that keep every script and address but ours away from the page."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from .desk import Desk

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
    ".json": "application/json",
}
PAGE = ("index.html", "style.css", "main.js", "runner.html", "runner.js", "timing.js", "onnx.js", "litert.js")
Body = bytes | Path


@dataclass(frozen=True)
class Site:
    """What is served.

    Attributes:
        desk: takes reports.
        answers: path below the secret one -> what is answered.
        headers: of every answer.
        secret: the first part of every path.
    """

    desk: Desk
    answers: Mapping[str, Body]
    headers: Mapping[str, str]
    secret: str


def make_site(desk: Desk) -> Site:
    """List everything that may be asked for."""
    page = files(__package__) / "page"
    answers: dict[str, Body] = {name: (page / name).read_bytes() for name in PAGE}
    answers[""] = answers.pop("index.html")
    for place, exam in enumerate(desk.exams):
        answers |= {f"engines/{name}": file for name, file in exam.installed.files.items()}
        answers |= {f"models/{place}": exam.content, f"inputs/{place}": exam.sent.tobytes()}
    return Site(desk, answers, _headers(answers["runner.html"]), secrets.token_urlsafe(16))


def _headers(runner: Body) -> dict[str, str]:
    """What makes the page isolated, and keeps every script and address but ours away from it."""
    assert isinstance(runner, bytes)
    imports = runner.partition(b'<script type="importmap">')[2].partition(b"</script>")[0]
    trusted = base64.b64encode(hashlib.sha256(imports).digest()).decode()
    policy = {
        "default-src": "'none'",
        "script-src": f"'self' 'wasm-unsafe-eval' 'sha256-{trusted}'",
        "worker-src": "'self' blob:",
        "style-src": "'self'",
        "connect-src": "'self'",
        "frame-src": "'self'",
        "frame-ancestors": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{key} {value}" for key, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def kind_of(path: str) -> str:
    """The type of what is at a path below the secret one."""
    return KINDS.get(Path(path).suffix, "application/octet-stream") if path else KINDS[".html"]
