"""Builds the native libraries by gs_stereo/native/CMakeLists.txt; the rest about the package is in pyproject.toml.

They do not depend on the Python or torch version, so a wheel is tagged py3-none-<platform>. An editable installation
has them in the source tree. $CXX chooses the compiler.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeLibraries(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"], build_data["tag"] = False, f"py3-none-{platform}"
        root = Path(self.root)
        # CMake keeps to one place and compiler; others get a folder of their own.
        key = hashlib.sha256(f"{root} {os.environ.get('CXX', '')}".encode()).hexdigest()[:8]
        build, staging = root / "build" / f"{platform}-{key}", root / "build" / "wheel"
        shutil.rmtree(staging, ignore_errors=True)
        ninja = f"-DCMAKE_MAKE_PROGRAM={shutil.which('ninja')}"  # pip gives every build another one
        commands: tuple[list[str | Path], ...] = (
            ["-S", root / "gs_stereo/native", "-B", build, "-G", "Ninja", ninja],
            ["--build", build],
            ["--install", build, "--prefix", root if version == "editable" else staging],
        )
        for arguments in commands:
            if subprocess.run(["cmake", *arguments]).returncode != 0:
                raise SystemExit(
                    "gs_stereo's native libraries could not be built; install g++ 11 or clang 14 or newer "
                    "(Debian, Ubuntu: apt-get install g++), or set CXX."
                )
        if version != "editable":
            build_data["force_include"][str(staging / "gs_stereo")] = "gs_stereo"
