"""Tensors in memory of the engine that is used again and again, for the gradients that every step of a fit makes anew.

Fresh memory of that size comes from the operating system, which clears it page by page: for 100,000 Gaussians that
takes about a tenth of a training step. A block goes back to its pool when no tensor refers to it any more.
"""

from __future__ import annotations

import ctypes
import math
import threading
import weakref
from collections.abc import Sequence

import torch

ALIGNMENT_FLOATS = 16  # a cache line
HEADROOM = 1.25  # a fit grows by and by


class TensorPool:
    """Hands out groups of uninitialised float32 tensors that share a block of memory."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._free: list[tuple[int, int]] = []  # address, capacity in floats
        self._lock = threading.RLock()  # the collector may give back a block while this thread takes one

    def empty(self, shapes: Sequence[tuple[int, ...]]) -> list[torch.Tensor]:
        """One contiguous tensor a shape. MemoryError if there is no memory."""
        sizes = [math.prod(shape) for shape in shapes]
        starts = [0]
        for size in sizes:
            starts.append(starts[-1] + -(-size // ALIGNMENT_FLOATS) * ALIGNMENT_FLOATS)
        if starts[-1] == 0:
            return [torch.empty(shape) for shape in shapes]
        block = self._block(starts[-1])
        return [
            torch.frombuffer(block, dtype=torch.float32, count=size, offset=4 * start).view(shape)
            if size
            else torch.empty(shape)
            for shape, size, start in zip(shapes, sizes, starts, strict=False)
        ]

    def _block(self, floats: int) -> ctypes.Array[ctypes.c_float]:
        address, capacity = self._take(floats)
        block = (ctypes.c_float * floats).from_address(address)
        weakref.finalize(block, self._give_back, address, capacity).atexit = False
        return block

    def _take(self, floats: int) -> tuple[int, int]:
        with self._lock:
            while self._free:
                address, capacity = self._free.pop()
                if capacity >= floats:
                    return address, capacity
                self._library.gss_memory_free(address)
        capacity = int(floats * HEADROOM)
        address = self._library.gss_memory_new(4 * capacity)
        if not address:
            raise MemoryError("the CPU engine has no memory for gradients")
        return address, capacity

    def _give_back(self, address: int, capacity: int) -> None:
        with self._lock:
            self._free.append((address, capacity))
