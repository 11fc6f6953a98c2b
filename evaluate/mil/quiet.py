"""Import coremltools without its remarks about everything it will not be asked to do.

On Linux it reports missing Core ML libraries, an untested torch and an unsupported scikit-learn. None of that concerns
our users, whose results are checked anyway.
"""

from __future__ import annotations

import functools
import importlib
import logging
import warnings
from typing import Any

from ...errors import MissingExtra


@functools.cache
def coremltools() -> Any:
    """The coremltools package, imported at the first call (which takes seconds) and told to report errors only.

    Raises:
        MissingExtra: coremltools is not installed.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            package = importlib.import_module("coremltools")
    except ModuleNotFoundError as e:
        raise MissingExtra("coremltools", "coreml", "read and write Core ML packages") from e
    finally:
        logging.disable(before)
    logging.getLogger("coremltools").setLevel(logging.ERROR)
    return package
