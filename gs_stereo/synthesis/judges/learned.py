"""Learned judges of a stereo pair: the user's checkout, environment and checkpoint in a child process.

iSQoE (Apple) and MEt3R (Asim et al., CVPR 2025) stand under licences of their own, which are printed. Nothing of them
is part of this package: `judge_worker.py` calls their entry points. They were never run here, only stand-ins that have
their layout.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import UInt8

from gs_stereo.core.child import Child, Fixes, Program
from gs_stereo.errors import InputError, StageError
from gs_stereo.log import logger
from gs_stereo.matching.foundation_stereo import their_environment
from gs_stereo.synthesis.judges.config import JudgeConfig

_WORKER = Path(__file__).with_name("judge_worker.py")
_SILENCE_TIMEOUT_S = 300.0
_CHECK = "check that its own demo runs in that environment"


class LearnedJudge:
    """Scores (left, right). The child starts at once; use it as a context manager, or call `close()`."""

    def __init__(self, config: JudgeConfig) -> None:
        """InputError for a missing checkout, interpreter or checkpoint, StageError if it does not start."""
        self.config = config
        python = shutil.which(config.python)
        if python is None:
            raise InputError(f"There is no program {config.python}; set python of {config.title} to its environment's.")
        for path in (config.repo / config.entry, getattr(config, "checkpoint", config.repo)):
            if not path.exists():
                raise InputError(f"{config.title} has no {path}; set repo to its checkout and checkpoint to its file.")
        logger.warning("%s is used under its licence: %s.", config.title, config.licence)
        homes = {"TORCH_HOME": getattr(config, "torch_home", None), "HF_HOME": getattr(config, "hf_home", None)}
        environment = {name: str(folder.resolve()) for name, folder in homes.items() if folder is not None}
        self._child = Child(
            Program(
                name=config.title,
                command=[str(Path(python).absolute()), str(_WORKER)],
                environment={**their_environment(), "HF_HUB_OFFLINE": "1", **environment},
                fixes=Fixes(crashed=_CHECK, failed=_CHECK, not_started="check python"),
                folder=config.repo,
                silence_timeout_s=_SILENCE_TIMEOUT_S,
            )
        )
        settings = config.model_dump(mode="json", exclude={"python"})
        settings |= {name: str(Path(settings[name]).resolve()) for name in ("repo", "checkpoint") if name in settings}
        self._ask({"kind": "start", "settings": {**settings, "judge": config.title}}, b"", config.start_timeout_s)

    def __call__(self, left: UInt8[np.ndarray, "h w 3"], right: UInt8[np.ndarray, "h w 3"]) -> float:
        """The score of a pair, left eye first. StageError if the judge fails or answers with no number."""
        images = np.ascontiguousarray([left, right])
        header = {"kind": "score", "shape": images.shape}
        score = self._ask(header, images.tobytes(), self.config.pair_timeout_s).get("score")
        if not isinstance(score, float) or not math.isfinite(score):
            raise StageError(f"{self.config.title} gave no number; check the version of its checkout.")
        return score

    def close(self) -> None:
        """End the child process."""
        self._child.close()

    def __enter__(self) -> LearnedJudge:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, header: Mapping[str, object], payload: bytes, timeout_s: float) -> dict[str, object]:
        answer = dict(self._child.request(header, payload, timeout_s=timeout_s).header)
        if answer.get("kind") == "error":
            self.close()
            raise StageError(
                f"{self.config.title} failed ({answer.get('message')}; its log ends with: {self._child.log_tail()}); "
                f"{_CHECK}."
            )
        return answer
