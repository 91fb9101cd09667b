"""The trained net that comes with the package. No torch here, so that stages can name its files."""

from __future__ import annotations

from pathlib import Path

LITE = "lite"
LITE_FOLDER = Path(__file__).parent / "lite/weights"


def located(path: Path) -> Path:
    """Where weights lie: `lite` names those of the package, unless there is such a file; any other path is itself."""
    return LITE_FOLDER if path == Path(LITE) and not path.exists() else path
