"""Checkpoints of torch as files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gs_stereo.core.atomic import atomic_path

_FULL_BELOW_BYTES = 1 << 20


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values atomically; StageError if the disk is full, and what was there stays."""
    import torch

    with atomic_path(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # torch's archive writer hides the OSError behind one of its own
            if shutil.disk_usage(temporary.parent).free > _FULL_BELOW_BYTES:
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
