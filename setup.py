"""Builds the native code, loaded with ctypes: the CPU engine for each instruction-set level, the multi-view matcher and
the shading of training pairs.

Everything else about the package is in pyproject.toml. The libraries do not depend on the Python or torch version, so
a wheel is tagged py3-none-<platform>. $CXX chooses the compiler.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.command.develop import develop
from setuptools.command.editable_wheel import editable_wheel

NATIVE = Path("gs_stereo/native")
ENGINE, MULTIVIEW, SHADE = NATIVE / "splat", NATIVE / "mvs", NATIVE / "worlds"
# No -ffast-math: results must not depend on reassociation, and NaN checks must work.
FLAGS = [
    "-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math",
    "-fno-signed-zeros", "-ffp-contract=fast", "-Wno-psabi",
]  # fmt: skip
OPENMP_CHOICES = [["-fopenmp"], ["-Xpreprocessor", "-fopenmp", "-lomp"], []]


@dataclass(frozen=True)
class Library:
    """One shared library, made of all C++ files of its folder. `flags` are added to FLAGS."""

    folder: Path
    name: str
    flags: tuple[str, ...] = ()

    def path(self, root: Path) -> Path:
        return root / NATIVE / f"libgsstereo-{self.name}.so"

    def sources(self, root: Path) -> list[Path]:
        return sorted((root / self.folder).glob("*.cpp"))

    def is_stale(self, root: Path) -> bool:
        inputs = [*self.sources(root), *(root / NATIVE).rglob("*.h"), Path(__file__)]
        library = self.path(root)
        return not library.exists() or library.stat().st_mtime < max(path.stat().st_mtime for path in inputs)


def libraries() -> list[Library]:
    """The CPU engine once a level, the multi-view matcher, which chooses its level by function, and the shading."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return [
            Library(ENGINE, "splat-generic"),
            Library(MULTIVIEW, "mvs"),
            Library(SHADE, "worlds"),
        ]
    wide = {"x86-64-v4": ("-mprefer-vector-width=512",)}
    levels = ("x86-64-v2", "x86-64-v3", "x86-64-v4")
    engines = [Library(ENGINE, f"splat-{level}", (f"-march={level}", *wide.get(level, ()))) for level in levels]
    return [*engines, Library(MULTIVIEW, "mvs", ("-mtune=haswell",)), Library(SHADE, "worlds")]


def find_compiler() -> list[str]:
    """The C++ compiler as a command."""
    chosen = os.environ.get("CXX", "").split()
    for command in [chosen] if chosen else [["c++"], ["g++"], ["clang++"]]:
        if shutil.which(command[0]):
            return command
    raise SystemExit(
        f"gs_stereo needs a C++17 compiler and {' '.join(chosen) or 'c++, g++ or clang++'} was not found; "
        "install one (Debian, Ubuntu: apt-get install g++) or set CXX."
    )


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True)


def openmp_flags(compiler: list[str]) -> list[str]:
    """The first way to ask for OpenMP that compiles and links; none = a single-threaded engine, with a warning."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "probe.cpp"
        source.write_text("#include <omp.h>\nint probe() { return omp_get_max_threads(); }\n")
        for flags in OPENMP_CHOICES[:-1]:
            if run([*compiler, "-shared", "-fPIC", str(source), *flags, "-o", f"{folder}/probe.so"]).returncode == 0:
                return flags
    print(f"gs_stereo: {compiler[0]} has no OpenMP, the CPU engine will use one thread", file=sys.stderr)
    return OPENMP_CHOICES[-1]


def build_native(root: Path) -> None:
    """Compile every library that is missing or older than a source of its folder."""
    stale = [library for library in libraries() if library.is_stale(root)]
    if not stale:
        return
    compiler = find_compiler()
    openmp = openmp_flags(compiler)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [
            (library, source, Path(folder) / f"{library.name}-{source.stem}.o")
            for library in stale
            for source in library.sources(root)
        ]
        compiled = pool.map(
            lambda job: run([*compiler, *FLAGS, *job[0].flags, *openmp, "-c", str(job[1]), "-o", str(job[2])]), jobs
        )
        for (library, _, _), result in zip(jobs, compiled, strict=True):
            stop_if_failed(result, compiler, library)
        for library in stale:
            target = library.path(root)
            temporary = target.with_name(f".{target.name}.{os.getpid()}")
            objects = [str(path) for built, _, path in jobs if built == library]
            stop_if_failed(run([*compiler, "-shared", *objects, *openmp, "-o", str(temporary)]), compiler, library)
            os.replace(temporary, target)


def stop_if_failed(result: subprocess.CompletedProcess[str], compiler: list[str], library: Library) -> None:
    if result.returncode != 0:
        raise SystemExit(
            f"gs_stereo: {compiler[0]} could not build {library.name}; "
            f"install g++ 11 or clang 14 or newer, or set CXX.\n{result.stderr[-4000:]}"
        )


class BuildPy(build_py):
    """Builds the libraries before the package data is collected, in place: editable installs use the same files."""

    def run(self) -> None:
        build_native(Path(__file__).parent.resolve())
        super().run()


class EditableWheel(editable_wheel):
    def run(self) -> None:
        build_native(Path(__file__).parent.resolve())
        super().run()


class Develop(develop):
    def run(self) -> None:
        build_native(Path(__file__).parent.resolve())
        super().run()


class PlatformWheel(bdist_wheel):
    """Any Python 3, no Python ABI, but only this platform."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


class BinaryDistribution(Distribution):
    """Installs to the platform's site-packages."""

    def has_ext_modules(self) -> bool:
        return True


if __name__ == "__main__":
    setup(
        distclass=BinaryDistribution,
        cmdclass={
            "build_py": BuildPy,
            "editable_wheel": EditableWheel,
            "develop": Develop,
            "bdist_wheel": PlatformWheel,
        },
    )
