"""The trained net that comes with the package. No torch here, so that stages can name its files."""

from collections.abc import Mapping
from pathlib import Path

LITE = "lite"
LITE_FOLDER = Path(__file__).parent / "lite/weights"


def located(path: Path) -> Path:
    """Where weights lie: `lite` names those of the package, unless there is such a file; any other path is itself."""
    return LITE_FOLDER if path == Path(LITE) and not path.exists() else path


def net_files(path: Path) -> Mapping[str, Path]:
    """The files of a trained net that decide its answers, by a stable name."""
    path = located(path)
    if path.is_dir():
        return {"(weights)": path / "weights.safetensors", "(net)": path / "net.json"}
    return {"(weights)": path}
