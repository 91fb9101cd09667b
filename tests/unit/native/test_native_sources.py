"""All native sources under the compilers that the tests' own build did not use: they compile without a warning."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import gs_stereo

SOURCES = sorted(Path(gs_stereo.__file__).parent.rglob("native/*/*.cpp"))
STRICT = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-psabi"]
# Without -fopenmp, clang also tries the engine's single-threaded form.
COMPILERS = {
    "clang": ["clang++", "-march=x86-64-v3"],
    "gcc-arm": ["aarch64-linux-gnu-g++", "-fopenmp"],
}


@pytest.mark.parametrize("name", COMPILERS)
def test_compiles_without_a_warning(name: str) -> None:
    command = COMPILERS[name]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    if "-march" in command[1] and not _is_x86(command[0]):
        pytest.skip(f"{command[0]} does not compile for x86-64")
    result = subprocess.run([*command, *STRICT, *map(str, SOURCES)], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr


def test_there_are_sources() -> None:
    assert {path.name for path in SOURCES} >= {"projection.cpp", "backward.cpp", "multiview.cpp", "shade.cpp"}


def _is_x86(compiler: str) -> bool:
    target = subprocess.run([compiler, "-dumpmachine"], capture_output=True, text=True, check=True).stdout
    return target.startswith("x86_64")
