"""Tensors in memory of the engine that is used again and again, for the gradients that every step of a fit makes anew.

Fresh memory of that size comes from the operating system, which clears it page by page: for 100,000 Gaussians that
takes about a tenth of a training step. A block goes back to its pool when no tensor refers to it any more.
"""

import ctypes
import math
import weakref
from collections.abc import Sequence
from contextlib import suppress

import torch

from gs_stereo.splat.engine import ENGINE

ALIGNMENT_FLOATS = 16  # a cache line
HEADROOM = 1.25  # a fit grows by and by


class TensorPool:
    """Hands out groups of uninitialised float32 tensors that share a block of memory."""

    def __init__(self) -> None:
        self._free: list[tuple[int, int]] = []  # address, capacity in floats

    def empty(self, shapes: Sequence[tuple[int, ...]]) -> list[torch.Tensor]:
        """One contiguous tensor a shape. StageError if there is no memory."""
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
        weakref.finalize(block, self._free.append, (address, capacity)).atexit = False
        return block

    def _take(self, floats: int) -> tuple[int, int]:
        with suppress(IndexError):  # other threads take blocks too
            while True:
                address, capacity = self._free.pop()
                if capacity >= floats:
                    return address, capacity
                ENGINE.call("gs_memory_free", ENGINE.struct("Memory", address=address))
        memory = ENGINE.struct("Memory", bytes=4 * int(floats * HEADROOM))
        ENGINE.call("gs_memory_new", memory)
        return memory.address, int(floats * HEADROOM)
