"""What a result was made with: library versions and the peak memory of a stage."""

import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_RECORDED = ("torch", "numpy", "pycolmap", "opencv-python", "open3d", "h5py", "hdf5plugin", "gsplat")
_KIB = 1024


def library_versions() -> dict[str, str]:
    """Versions of the libraries that can change a result, and of Python. Nothing is imported."""
    found = {"python": platform.python_version()}
    for name in _RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


class MemoryPeak:
    """Peak resident memory since construction: of this process, or of its largest child, ended or not, if larger.

    Linux can reset the high-water mark; elsewhere the peak of the whole process is reported.
    """

    def __init__(self) -> None:
        self._children_before = _peak_bytes(resource.RUSAGE_CHILDREN)
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        except OSError:
            return

    def bytes(self) -> int:
        children = _peak_bytes(resource.RUSAGE_CHILDREN)
        own = _peak_bytes(resource.RUSAGE_SELF)
        own = _high_water_bytes("self") or own
        living = max(map(_high_water_bytes, _living_children()), default=0)
        return max(own, living, children if children > self._children_before else 0)


def _living_children() -> list[str]:
    """Process ids; none where Linux does not tell them."""
    try:
        return [pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()]
    except OSError:
        return []


def _high_water_bytes(pid: str) -> int:
    """Peak resident memory of a process; 0 where that is not known."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * _KIB for line in lines if line.startswith("VmHWM:")), 0)


def _peak_bytes(who: int) -> int:
    peak = resource.getrusage(who).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB
