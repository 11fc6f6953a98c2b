"""Debian packages of another suite or architecture, unpacked without installing: through the machine's own apt, with
its own mirror and keys, and with a state of its own, so that the system's stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from .fetch import Unavailable, fetch

#: Where apt keeps the machine's sources.
_ETC = Path("/etc/apt")


def unpack(suite: str, architecture: str, packages: Sequence[str], target: Path, state: Path) -> None:
    """Download packages and unpack them below ``target``.

    Args:
        suite: of Debian, such as ``bookworm``.
        architecture: as Debian calls it: ``arm64``.
        packages: their names; what they depend on is not fetched.
        target: is made.
        state: a folder for apt's lists and downloads.

    Raises:
        Unavailable: no apt, no Debian mirror among its sources, no network, or no such package.
    """
    for folder in ("lists/partial", "cache/archives/partial", "preferences", "debs"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    (state / "debian.sources").write_text(sources_for(suite, _texts()))
    options = apt_options(state, architecture)
    fetch(["apt-get", *options, "-qq", "update"], state)
    fetch(["apt-get", *options, "-qq", "download", *packages], state / "debs")
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted((state / "debs").glob("*.deb")):
        fetch(["dpkg-deb", "-x", str(file), str(target)], state)


def apt_options(state: Path, architecture: str) -> list[str]:
    """What makes apt-get use a state, a list of sources and an architecture of our own."""
    changed = {
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Dir::Etc::sourcelist": state / "debian.sources",
        "Dir::Etc::sourceparts": "-",
        "Dir::Etc::preferencesparts": state / "preferences",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
    }
    return [word for key, value in changed.items() for word in ("-o", f"{key}={value}")]


def sources_for(suite: str, texts: Iterable[str]) -> str:
    """The first Debian mirror of the machine's sources, as a list of sources for another suite.

    Args:
        suite: of Debian.
        texts: of the machine's files of sources, in the form of ``*.sources`` or of ``*.list``.

    Raises:
        Unavailable: none of them names a Debian mirror.
    """
    for text in texts:
        for stanza in text.split("\n\n"):
            fields = dict(line.partition(":")[::2] for line in stanza.splitlines() if not line.startswith((" ", "#")))
            uri = _mirror(fields.get("URIs", "").split())
            if uri and "deb" in fields.get("Types", "").split():
                return _stanza(suite, uri, fields.get("Signed-By", "").strip())
        for line in text.splitlines():
            words = line.split()
            if words[:1] == ["deb"] and (uri := _mirror(words)):
                return _stanza(suite, uri, next((w.split("=")[1].rstrip("]") for w in words if "signed-by=" in w), ""))
    raise Unavailable("none of apt's sources is a Debian mirror")


def _mirror(words: Iterable[str]) -> str:
    return next((word for word in words if "://" in word and word.rstrip("/").endswith("/debian")), "")


def _stanza(suite: str, uri: str, key: str) -> str:
    signed = f"Signed-By: {key}\n" if key else ""
    return f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\n{signed}"


def _texts() -> Iterable[str]:
    files = [_ETC / "sources.list", *sorted(_ETC.glob("sources.list.d/*"))]
    return (file.read_text(errors="replace") for file in files if file.is_file())
