"""How a phone finds the server: this machine's address in its network, and a code to point a camera at."""

from __future__ import annotations

import importlib
import io
import socket
from typing import Any

#: Set aside for documentation, so nobody is there; no packet is sent either.
_ELSEWHERE = ("192.0.2.1", 9)


def lan_address() -> str:
    """This machine's IPv4 address in the network that leads outwards; ``127.0.0.1`` where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def qr_code(url: str) -> str | None:
    """A QR code in characters, dark on light on any terminal; None if the package segno is not installed."""
    try:
        segno: Any = importlib.import_module("segno")
    except ImportError:
        return None
    text = io.StringIO()
    segno.make(url, micro=False, error="l").terminal(text, compact=True)
    return text.getvalue()
