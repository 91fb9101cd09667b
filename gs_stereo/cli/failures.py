"""What a verb says when something else than our own errors ends it: one sentence, and for our faults a file to send."""

import os
import platform
import sys
import tempfile
import traceback
from contextlib import suppress

from gs_stereo import __version__
from gs_stereo.errors import GsStereoError, InputError, StageError


def named(error: Exception) -> GsStereoError:
    """The error as one of ours: files, memory and names that are no text are the machine's; the rest is our fault."""
    if isinstance(error, GsStereoError):
        return error
    if isinstance(error, MemoryError):
        return StageError("The memory is used up; lower the image size or the counts, or use --workers 1.")
    if isinstance(error, UnicodeError):
        text = getattr(error, "object", "")
        shown = ascii(text[:120] if isinstance(text, str | bytes) else "")
        return InputError(
            f"A name or text is not valid UTF-8 ({shown}); rename the file or folder, or correct the text."
        )
    if isinstance(error, OSError) and error.strerror:
        where = f" {error.filename!r}" if error.filename is not None else ""
        fix = "check its permissions" if isinstance(error, PermissionError) else "check the path and the disk"
        return InputError(f"The system refuses{where} ({error.strerror}); {fix}.")
    return _our_fault(error)


def _our_fault(error: Exception) -> StageError:
    what = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    report = "\n".join(
        [
            f"gsstereo {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"command: {sys.argv!r}",
            "",
            *traceback.format_exception(error),
        ]
    )
    with suppress(OSError):
        handle, path = tempfile.mkstemp(prefix="gsstereo-fault-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(report)
        return StageError(f"This is a fault of gsstereo ({what}); please send the file {path} with a report of it.")
    return StageError(f"This is a fault of gsstereo ({what}); please report it with the command that you gave.")
