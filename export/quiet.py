"""Keep the converters' chatter from our users' terminal, and hand it over when a conversion fails."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Catch what Python and the C++ libraries below it print; on an exception its end becomes a note on it.

    Half of the chatter is written by C++ straight to file descriptors 1 and 2, so it is caught there. Whoever wants
    to print meanwhile (a progress bar) must hold a duplicate of the descriptor.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = [(fd, os.dup(fd)) for fd in (1, 2)]
    with tempfile.TemporaryFile() as log, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for fd, _ in kept:
                os.dup2(log.fileno(), fd)
            yield
        except Exception as e:
            log.seek(max(0, log.tell() - 2000))
            e.add_note(log.read().decode(errors="replace"))
            raise
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            for fd, duplicate in kept:
                os.dup2(duplicate, fd)
                os.close(duplicate)
