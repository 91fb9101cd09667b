"""Opening the shared libraries that the package is built with."""

from __future__ import annotations

import ctypes
from pathlib import Path

from gs_stereo.errors import PluginError

FOLDER = Path(__file__).parent


def open_library(path: Path) -> ctypes.CDLL:
    """The library; PluginError if it is missing or cannot be loaded."""
    if not path.exists():
        raise PluginError(f"The native library {path} is missing; install the package again with `pip install .`.")
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise PluginError(
            f"The native library {path} cannot be loaded ({error}); install the package again with `pip install .`."
        ) from error
