"""The trained net that comes with the package. No torch here, so that stages can name its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gs_stereo.matching.checkpoint_config import CheckpointConfig, NetExpertConfig

if TYPE_CHECKING:
    from gs_stereo.matching.checkpoint import CheckpointMatcher

LITE = "lite"
LITE_FOLDER = Path(__file__).parent / "nets/lite/weights"


def located(path: Path) -> Path:
    """Where weights lie: `lite` names those of the package, unless there is such a file; any other path is itself."""
    return LITE_FOLDER if path == Path(LITE) and not path.exists() else path


def lite_matcher(config: NetExpertConfig | None = None, *, max_disparity_px: float | None = None) -> CheckpointMatcher:
    """The expert `lite`: the shipped net, by the same code as any trained net."""
    from gs_stereo.matching.checkpoint import CheckpointMatcher

    settings = NetExpertConfig() if config is None else config
    shipped = CheckpointConfig(checkpoint=LITE_FOLDER, **settings.model_dump())
    return CheckpointMatcher(shipped, max_disparity_px=max_disparity_px, name=LITE)
