"""What this machine can do, and what to install for more."""

import importlib
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from gs_stereo import __version__
from gs_stereo.cli.options import Common, shared_options
from gs_stereo.cli.tables import print_json, print_table
from gs_stereo.core.cores import cores
from gs_stereo.errors import GsStereoError
from gs_stereo.pipeline.environment import library_versions


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the answer. `advice` is empty when there is nothing to do."""

    topic: str
    ok: bool
    found: str
    advice: str = ""


@shared_options("json")
def doctor(*, common: Common) -> None:
    """Say what this machine can do, and what to install for more."""
    findings = [check() for check in CHECKS]
    if common.json:
        print_json({"version": __version__, "libraries": library_versions(), "checks": [asdict(f) for f in findings]})
        return
    rows = [[f.topic, "ok" if f.ok else "--", f"{f.found}: {f.advice}" if f.advice else f.found] for f in findings]
    print_table(["topic", "", "found"], rows)


def _machine() -> Finding:
    import torch

    threads, policy = torch.get_num_threads(), os.environ.get("OMP_WAIT_POLICY")
    advice = "" if threads >= cores() else "unset OMP_NUM_THREADS to use them all"
    found = f"{cores()} of {os.cpu_count()} may be used, torch uses {threads} threads, {policy} while they wait"
    return Finding(topic="cores", ok=True, found=found, advice=advice)


def _memory() -> Finding:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError):
        return Finding(topic="memory", ok=True, found="unknown")
    advice = "" if total >= 6 else "use a smaller --max-image-size on a machine with less than 6 GiB"
    return Finding(topic="memory", ok=total >= 6, found=f"{total:.0f} GiB", advice=advice)


def _disk() -> Finding:
    free = shutil.disk_usage(".").free / 2**30
    return Finding(topic="free disk here", ok=free > 5, found=f"{free:.0f} GiB", advice="" if free > 5 else "free some")


def _cuda() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding(topic="CUDA", ok=True, found=torch.cuda.get_device_name(0))
    advice = "not needed; for large scenes use a CUDA machine with a CUDA build of torch"
    return Finding(topic="CUDA", ok=False, found="no device", advice=advice)


def _gsplat() -> Finding:
    import torch

    found = library_versions().get("gsplat", "")
    if not found:
        return Finding(topic="gsplat", ok=False, found="not installed", advice="pip install gsplat on a CUDA machine")
    usable = torch.cuda.is_available()
    return Finding(topic="gsplat", ok=usable, found=found, advice="" if usable else "it needs CUDA; our engine is used")


def _cpu_engine() -> str:
    from gs_stereo.splat.engine import ENGINE

    level = ENGINE.best_level()
    ENGINE.open(level)
    return f"level {level} (usable here: {', '.join(ENGINE.available_levels())})"


def _ray_casting() -> str:
    from gs_stereo.worlds import raycast

    raycast.load_open3d()
    return library_versions().get("open3d", "importable")


def _photos_here() -> Finding:
    """How many photos of the scene in the current folder registered."""
    from gs_stereo.io.reconstruction import SUMMARY_FILE, load_summary
    from gs_stereo.pipeline.scene import ScenePaths
    from gs_stereo.stages.reconstruct import FOLDER

    folder = ScenePaths.of(Path(), None).published(FOLDER)
    if not (folder / SUMMARY_FILE).is_file():
        return Finding(topic="photos here", ok=True, found="none were reconstructed")
    try:
        summary = load_summary(folder)
    except GsStereoError as error:
        return Finding(topic="photos here", ok=False, found="not readable", advice=str(error))
    advice = summary.advice or ""
    return Finding(topic="photos here", ok=not advice, found=summary.sentence().rstrip("."), advice=advice)


def _tried(topic: str, attempt: Callable[[], str], advice: str = "") -> Callable[[], Finding]:
    """Whether an attempt works, which says what was found. The advice is the error itself if none is given."""

    def check() -> Finding:
        try:
            return Finding(topic=topic, ok=True, found=attempt())
        except (ImportError, GsStereoError) as error:
            reason = str(error).splitlines()[0]
            found = f"not importable: {reason}" if advice else "not usable"
            return Finding(topic=topic, ok=False, found=found, advice=advice or reason)

    return check


def _importable(topic: str, module: str, advice: str) -> Callable[[], Finding]:
    return _tried(topic, lambda: str(getattr(importlib.import_module(module), "__version__", "importable")), advice)


CHECKS: tuple[Callable[[], Finding], ...] = (
    _machine,
    _memory,
    _disk,
    _photos_here,
    _tried("CPU engine", _cpu_engine),
    _cuda,
    _gsplat,
    _importable("pycolmap", "pycolmap", "pip install pycolmap"),
    _importable("OpenCV", "cv2", "pip install opencv-python; on Debian also apt install libgl1"),
    _importable("HDF5 filters", "hdf5plugin", "pip install hdf5plugin"),
    _tried("Open3D", _ray_casting),
    _importable("HEIC photos", "pillow_heif", "for photos of an iPhone, pip install 'gs_stereo[heic]'"),
    _importable("viewer", "viser", "for `gsstereo view`, pip install 'gs_stereo[viewer]'"),
)
