"""Checkpoints of a run: one file of torch, replaced atomically, that names the run it belongs to."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gs_stereo.core.atomic import atomic_path
from gs_stereo.errors import InputError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
_VERSION = 1

_FULL_BELOW_BYTES = 1 << 20


def write_checkpoint(path: Path, kind: str, run_id: str, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values atomically; StageError if the disk is full, and what was there stays.

    kind: whose checkpoint it is. run_id: names settings and inputs, so that it is never continued with others.
    """
    import torch

    with atomic_path(path) as temporary:
        try:
            torch.save({"format": kind, "version": _VERSION, "run_id": run_id, **content}, temporary)
        except RuntimeError as error:  # torch's archive writer hides the OSError behind one of its own
            if shutil.disk_usage(temporary.parent).free > _FULL_BELOW_BYTES:
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error


def read_checkpoint(
    path: Path, kind: str, run_id: str, *, device: torch.device, restore: Callable[[dict[str, Any]], T]
) -> T:
    """What `restore` makes of the content; InputError if the file is broken or belongs to another run.

    Nothing in the file is executed: it is read with `weights_only=True`.
    """
    import torch

    try:
        content = torch.load(path, map_location=device, weights_only=True)
        if (content["format"], content["version"], content["run_id"]) == (kind, _VERSION, run_id):
            return restore(content)
    except Exception as error:  # torch.load raises nearly anything on a damaged archive; all of it means: broken file
        raise InputError(f"The checkpoint {path} cannot be read; delete it or run again with --force.") from error
    raise InputError(f"The checkpoint {path} belongs to other settings or data; delete it or run again with --force.")
