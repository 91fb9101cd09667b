"""FoundationStereo behind the matcher protocol: the user's own checkout, environment and weights in a child process.

FoundationStereo (Wen et al., CVPR 2025, github.com/NVlabs/FoundationStereo) stands under a non-commercial licence,
which every label carries on. Nothing of it is part of this package: `expert_worker.py` calls its entry points.
"""

import math
import os
import re
import shutil
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gs_stereo.core.child import Answer, Child, Fixes, Program
from gs_stereo.core.foreign import what_it_is_instead
from gs_stereo.core.hashing import sha256_file
from gs_stereo.errors import ConfigError, GsStereoError, InputError, PluginError, StageError
from gs_stereo.imaging.images import resize_to
from gs_stereo.imaging.resampling import resize_disparity
from gs_stereo.log import logger
from gs_stereo.matching.both_sides import OneDirectionMatcher, Pair, announce_licence, positive_or_nan
from gs_stereo.matching.foundation_stereo_config import FoundationStereoConfig
from gs_stereo.matching.sizing import scaled_size
from gs_stereo.types import DisparityPrediction, Provenance

LICENCE = "LicenseRef-NVIDIA-Source-Code-License-NC (non-commercial: research purposes only)"

_WORKER = Path(__file__).with_name("expert_worker.py")
_PLACES = {"expert_repo", "expert_python", "checkpoint", "device"}
_ASKED = {"valid_iters", "hierarchical", "mixed_precision", "device", "allow_unsafe_pickle"}
_TIMEOUTS = {"start_timeout_s", "pair_timeout_s", "silence_timeout_s"}
_FIXES = Fixes(
    killed="use a smaller scale or batch_size",
    crashed="check that its own demo runs in that environment",
    failed="check that its own demo runs in that environment",
    slow="raise its timeout setting, use a smaller scale, or a GPU",
    not_started="check expert_python",
)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class FoundationStereoMatcher(OneDirectionMatcher):
    """StereoMatcher by FoundationStereo. The child starts with the first prediction; `close()` ends it.

    A failed prediction ends the child; the next one starts a new child. Confidence is None: the net has none.
    The range is that of the config or the weights, whatever the caller says.
    """

    config: FoundationStereoConfig

    def __init__(self, config: FoundationStereoConfig) -> None:
        self.config = config
        self._cfg = config.cfg
        self._python = _find_python(config.expert_python)
        self._child: Child | None = None
        self._lock = threading.Lock()
        _check_files(config, self._cfg)

    @cached_property
    def provenance(self) -> Provenance:
        """Licence, commit of the checkout, sha256 of the weights and the settings that change the answer."""
        settings = self.config.model_dump(mode="json", exclude=_PLACES | _TIMEOUTS)
        return Provenance(
            name="foundationstereo",
            version=checkout_commit(self.config.expert_repo) or "unknown",
            licence=LICENCE,
            weights_sha256=sha256_file(self.config.checkpoint),
            settings={**settings, "cfg_sha256": sha256_file(self._cfg)},
        )

    def close(self) -> None:
        """End the child process."""
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def left_disparities(self, pairs: Sequence[Pair], max_disparity_px: float | None) -> list[DisparityPrediction]:
        size, most = (pairs[0][0].shape[0], pairs[0][0].shape[1]), self.config.batch_size
        with self._lock:
            found = [each for first in range(0, len(pairs), most) for each in self._infer(pairs[first : first + most])]
        return [DisparityPrediction(disparity=positive_or_nan(resize_disparity(each, size))) for each in found]

    def _infer(self, pairs: Sequence[Pair]) -> Float[np.ndarray, "b h w"]:
        """Disparities at the scaled size, in pixels of the scaled size.

        The demo of FoundationStereo shrinks by the factor itself, and never scales disparities back. Here they are
        scaled by the ratio of the widths, so the images must be shrunk by that ratio too; on odd sizes the two differ.
        """
        height, width = scaled_size((pairs[0][0].shape[0], pairs[0][0].shape[1]), self.config.scale)
        images = np.ascontiguousarray([[resize_to(pair[side], width, height) for pair in pairs] for side in (0, 1)])
        shape = (len(pairs), height, width)
        answer = self._ask(
            self._open(),
            {"kind": "predict", "shape": images.shape},
            images.tobytes(),
            timeout_s=self.config.pair_timeout_s * len(pairs),
            answer_bytes=math.prod(shape) * 4,
        )
        if answer.header.get("kind") != "result" or len(answer.payload) != math.prod(shape) * 4:
            self.close()
            raise StageError(f"FoundationStereo gave no disparity map of {shape}; check the version of your checkout.")
        return np.frombuffer(answer.payload, dtype="<f4").reshape(shape)

    def _open(self) -> Child:
        if self._child is None:
            config = self.config
            announce_licence("FoundationStereo", LICENCE)
            self._child = Child(
                Program(
                    name="FoundationStereo",
                    command=[self._python, str(_WORKER)],
                    environment=their_environment(),
                    fixes=_FIXES,
                    folder=config.expert_repo,
                    silence_timeout_s=config.silence_timeout_s,
                )
            )
            settings = {
                "repo": str(config.expert_repo.resolve()),
                "checkpoint": str(config.checkpoint.resolve()),
                "cfg": str(self._cfg.resolve()),
                "max_disparity": config.max_disparity_px,
                **config.model_dump(include=_ASKED),
            }
            start = {"kind": "start", "settings": settings}
            ready = self._ask(self._child, start, timeout_s=config.start_timeout_s)
            logger.info("FoundationStereo runs on %s.", ready.header.get("device", "an unknown device"))
        return self._child

    def _ask(
        self, child: Child, header: Mapping[str, Any], payload: bytes = b"", *, timeout_s: float, answer_bytes: int = 0
    ) -> Answer:
        """One request; whatever fails, no child is left."""
        try:
            answer = child.request(header, payload, timeout_s=timeout_s, answer_bytes=answer_bytes)
            if answer.header.get("kind") == "error":
                child.close()  # its log is complete now
                raise _explained(answer.header, child.log_tail(), self.config)
        except BaseException:
            self.close()
            raise
        return answer


def checkout_commit(repo: Path) -> str | None:
    """The commit that a git checkout stands at, read from its files; None if it is no checkout.

    Nothing is executed, because a foreign repository may ask git to run its own programs.
    """
    try:
        folder = repo / ".git"
        if folder.is_file():  # a worktree or submodule
            folder = repo / folder.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        commit = (folder / "HEAD").read_text(encoding="utf-8").strip()
        if commit.startswith("ref:"):
            name, common = commit.removeprefix("ref:").strip(), folder / "commondir"
            shared = folder / common.read_text(encoding="utf-8").strip() if common.is_file() else folder
            loose = next((each / name for each in (folder, shared) if (each / name).is_file()), None)
            if loose is not None:
                commit = loose.read_text(encoding="utf-8").strip()
            else:
                packed = (shared / "packed-refs").read_text(encoding="utf-8").splitlines()
                commit = next((line.split()[0] for line in packed if line.split()[1:] == [name]), "")
        return commit if _COMMIT.fullmatch(commit) else None
    except (OSError, UnicodeDecodeError):
        return None


def their_environment() -> dict[str, str]:
    """This environment without what would mix our Python with theirs; nothing is written into the checkout."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONFAULTHANDLER": "1", "PYTHONSAFEPATH": "1"}


def _find_python(name: str) -> str:
    """The interpreter as given (a link into an environment stays a link); InputError if there is none."""
    found = shutil.which(name)
    if found is None:
        raise InputError(
            f"There is no program {name}; set experts.foundationstereo.expert_python to that of its environment."
        )
    return str(Path(found).absolute())


def _check_files(config: FoundationStereoConfig, cfg: Path) -> None:
    if not (config.expert_repo / "core" / "foundation_stereo.py").is_file():
        raise InputError(
            f"The folder {config.expert_repo} has no core/foundation_stereo.py; give your checkout with --expert-repo."
        )
    for path, what in ((config.checkpoint, "checkpoint"), (cfg, "cfg.yaml, which belongs beside the checkpoint")):
        if not path.is_file():
            raise InputError(f"There is no file {path} ({what}); download the whole folder of the model.")
        if instead := what_it_is_instead(path):
            raise InputError(f"The file {path} cannot be used: {instead}.")


def _explained(header: Mapping[str, Any], log: str, config: FoundationStereoConfig) -> GsStereoError:
    """What the worker refused or what failed there, as one sentence with the fix."""
    message = str(header.get("message", "")).rstrip(".")
    match header.get("reason"):
        case "unsafe_pickle":
            return InputError(
                f"The checkpoint {config.checkpoint} holds more than weights ({message}) and could run any code "
                "when it is loaded; set experts.foundationstereo.allow_unsafe_pickle=true only if you trust its source."
            )
        case "wrong_checkpoint":
            return InputError(
                f"The checkpoint {config.checkpoint} cannot be used ({message}); "
                "give the .pth of the model that its cfg.yaml describes."
            )
        case "wrong_cfg":
            return InputError(
                f"The file {config.cfg} cannot be used ({message}); download it again with its checkpoint, or set the "
                "checkpoint that belongs to it."
            )
        case "import":
            return PluginError(
                f"FoundationStereo cannot be imported with {config.expert_python} ({message}); "
                "install its requirements there, or give the right environment's with --expert-python."
            )
        case "no_cuda":
            return ConfigError(
                f"FoundationStereo cannot run on CUDA ({message}); set experts.foundationstereo.device=cpu."
            )
        case "out_of_memory":
            return StageError(
                f"FoundationStereo ran out of memory ({message}); set experts.foundationstereo.scale=0.5, or less."
            )
        case "wrong_output":
            return StageError(
                f"FoundationStereo gave no disparity map ({message}); check the version of your checkout."
            )
    return StageError(
        f"FoundationStereo failed ({message}; its log ends with: {log}); check that its own demo runs there."
    )
