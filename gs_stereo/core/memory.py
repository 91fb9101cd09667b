"""How this process asks the system for memory.

By default glibc returns every large array to the system as soon as it is freed, and gets fresh pages, which the system
must clear first, for the next. Programs that make arrays of the same sizes over and over, as ours do, spend a fifth of
their time on that.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of <malloc.h>
_REUSED_BELOW_BYTES = 256 << 20
_KEPT_BYTES = 1 << 30


def reuse_freed_memory() -> bool:
    """Arrays under 256 MiB reuse freed memory, of which the process keeps up to 1 GiB. False where it is no glibc.

    It concerns the whole process, so only those call it that own one: the command and its workers.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl and macOS lack the function, Windows the handle
        return False
    kept = ((_MMAP_THRESHOLD, _REUSED_BELOW_BYTES), (_TRIM_THRESHOLD, _KEPT_BYTES))
    refused = [name for name, size in kept if mallopt(name, size) != 1]
    return not refused
