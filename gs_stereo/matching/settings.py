"""What the settings of every matcher can be asked, whichever matcher they are of."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from gs_stereo.config import Config
from gs_stereo.mvs.sgbm_config import SgbmConfig


class MatcherSettings(Config):
    """Settings of a matcher, with what they say about its files and its share of the machine."""

    torch_threads: ClassVar[int | None] = None
    """Threads of torch in a process that labels; None: as many as torch has."""

    left_right_px: float | None = Field(
        default=None,
        gt=0,
        description="Drop pixels whose two directions differ by more; None = no check, half the time",
    )

    def external_files(self) -> Mapping[str, Path]:
        """The files that decide the answers, by a stable name."""
        return {}

    def processes(self) -> int | None:
        """How many processes may ask it at once; None: one a core. A net that uses all cores or a GPU wants one."""
        return 1

    def gpus(self) -> int:
        """How many GPUs the settings ask for by name; `auto` asks for none."""
        return 0


class SgbmSettings(SgbmConfig, MatcherSettings):
    """OpenCV's semi-global matching: one thread and direction each, so that every core may have a process."""

    def processes(self) -> int | None:
        return None
