"""The experts that `label` can ask: which there are, what they need, and one of each a process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from gs_stereo.config import Config
from gs_stereo.errors import ConfigError, PluginError
from gs_stereo.matching.checkpoint_config import CheckpointConfig, NetExpertConfig
from gs_stereo.matching.foundation_stereo_config import FoundationStereoConfig
from gs_stereo.matching.onnx_config import OnnxConfig
from gs_stereo.mvs.sgbm_config import SgbmConfig
from gs_stereo.nets.shipped import LITE, LITE_FOLDER, located

if TYPE_CHECKING:
    from gs_stereo.matching.protocol import StereoMatcher
    from gs_stereo.types import DisparityPrediction, StereoPair

FUSED, SPLAT, MULTIBASELINE = "fused", "splat", "multibaseline"


class ExpertsConfig(Config):
    """Settings of each built-in expert; only those of the chosen one are used."""

    sgbm: SgbmConfig = Field(default=SgbmConfig(), description="OpenCV's semi-global matching.")
    lite: NetExpertConfig = Field(default=NetExpertConfig(), description="The trained net that comes along.")
    onnx: OnnxConfig | None = Field(default=None, description="Any ONNX stereo model; needs `model`.")
    foundationstereo: FoundationStereoConfig | None = Field(
        default=None, description="Your checkout; needs `expert_repo`, `expert_python` and `checkpoint`."
    )
    checkpoint: CheckpointConfig | None = Field(
        default=None, description="A trained net: a folder of `gsstereo train` or a RAFT-Stereo .pth."
    )


_NEEDS = {
    "checkpoint": "--checkpoint",
    "onnx": "--model",
    "foundationstereo": "--expert-repo, --expert-python and --checkpoint",
}


def external_files(expert: str, experts: ExpertsConfig) -> Mapping[str, Path]:
    """The weights that decide the label, by a stable name. Errors name an unknown expert or a missing option."""
    from gs_stereo.matching.protocol import MATCHERS

    if expert not in MATCHERS.names():
        known = ", ".join([FUSED, SPLAT, MULTIBASELINE, *MATCHERS.names()])
        raise PluginError(f"There is no expert called {expert!r}; use one of: {known}.")
    if expert in _NEEDS and getattr(experts, expert) is None:
        raise ConfigError(f"The expert {expert} needs {_NEEDS[expert]}; give them.")
    if expert == LITE:
        return checkpoint_files(LITE_FOLDER)
    if expert == "onnx" and experts.onnx is not None:
        return {"(model)": experts.onnx.model}
    if expert == "foundationstereo" and experts.foundationstereo is not None:
        return {"(checkpoint)": experts.foundationstereo.checkpoint}
    if expert == "checkpoint" and experts.checkpoint is not None:
        return checkpoint_files(experts.checkpoint.checkpoint)
    return {}


def checkpoint_files(path: Path) -> Mapping[str, Path]:
    """The files of a trained net that decide its answers."""
    path = located(path)
    if path.is_dir():
        return {"(weights)": path / "weights.safetensors", "(net)": path / "net.json"}
    return {"(weights)": path}


def workers_for(matchers: tuple[str, ...]) -> int | None:
    """Processes that label: one for nets that use all cores or a GPU themselves; otherwise one a core."""
    if LITE in matchers and _cuda_is_there():
        return 1
    return None if set(matchers) <= {"sgbm", LITE} else 1


def _cuda_is_there() -> bool:
    import torch

    return torch.cuda.is_available()


@contextmanager
def threads_for(matchers: tuple[str, ...]) -> Iterator[None]:
    """One thread a process while `lite` labels: processes share the cores, and the bytes do not depend on how many."""
    if LITE not in matchers:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=4)
def make_matcher(expert: str, experts: ExpertsConfig) -> StereoMatcher:
    """The matcher called `expert`, made once a process. It ends with the process."""
    from gs_stereo.matching.protocol import MATCHERS

    factory = MATCHERS.load(expert)
    settings = getattr(experts, expert, None)
    return factory() if settings is None else factory(settings)


def predict_both(
    matcher: StereoMatcher, pair: StereoPair, max_disparity_px: float
) -> tuple[DisparityPrediction, DisparityPrediction]:
    """Disparity of the left and of the right image; the search range is a hint for matchers that take one."""
    from gs_stereo.matching.both_sides import predict_right

    if hasattr(matcher, "predict_both"):
        left, right = matcher.predict_both(pair.left, pair.right, max_disparity_px=max_disparity_px)
        return left, right
    return matcher.predict(pair.left, pair.right), predict_right(matcher, pair.left, pair.right)
