"""Cells at once in processes of their own: they share the cores."""

from gs_stereo.core.cores import cores
from gs_stereo.executors.pool import LocalPool
from gs_stereo.pipeline.cell import Resources


def test_cells_at_once_share_the_cores() -> None:
    pool = LocalPool(cores())
    try:
        assert pool.result(pool.submit(cores, Resources(), "room")) == 1
    finally:
        pool.close()
