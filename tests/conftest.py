"""Shared set-up of all tests: shape checking, reproducible property tests, and where the shared data lies."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

from gs_stereo.core.cores import sharing

# The processes of a run share the cores, and their threads sleep while they wait: half the time of a fit on 2 cores.
os.environ.update(sharing(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))))

# The jaxtyping shapes in these packages' signatures are checked at run time while tests run.
CHECKED = ("gs_stereo.types", "gs_stereo.geometry", "gs_stereo.metrics", "gs_stereo.labels")
install_import_hook(CHECKED, "beartype.beartype")

# Examples are the same in every run, and a slow or busy machine is no failure.
settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _the_log_as_it_was() -> Iterator[None]:
    """The command line, run within a test, sends the log to a stream that ends with the test."""
    log = logging.getLogger("gs_stereo")
    handlers, level, propagate = log.handlers[:], log.level, log.propagate
    yield
    log.handlers[:], log.propagate = handlers, propagate
    log.setLevel(level)


SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real captures and exact scenes; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"the shared data folder {SHARED} is not there")
    return SHARED
