"""Two tiny captures, written once for all tests of the samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from gs_stereo.worlds.rooms.config import SampleConfig

TINY = {"views": 4, "test_views": 1, "width": 160, "height": 120, "baselines_m": (0.05, 0.1)}


@pytest.fixture(scope="session")
def tiny_config() -> SampleConfig:
    return SampleConfig(**TINY)


@pytest.fixture(scope="session")
def plain_folder(tmp_path_factory: pytest.TempPathFactory, tiny_config: SampleConfig) -> Path:
    from gs_stereo.worlds.rooms.write import write_sample

    folder = tmp_path_factory.mktemp("samples") / "plain"
    write_sample(folder, tiny_config, seed=0)
    return folder


@pytest.fixture(scope="session")
def hard_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from gs_stereo.worlds.rooms.write import write_sample

    folder = tmp_path_factory.mktemp("samples") / "hard"
    write_sample(folder, SampleConfig(**{**TINY, "hard": True}), seed=0)
    return folder
