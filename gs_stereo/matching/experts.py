"""Matchers by name, made from their settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from gs_stereo.config import Config, leaf
from gs_stereo.errors import ConfigError, PluginError
from gs_stereo.matching.checkpoint_config import CheckpointConfig, NetExpertConfig
from gs_stereo.matching.foundation_stereo_config import FoundationStereoConfig
from gs_stereo.matching.onnx_config import OnnxConfig
from gs_stereo.matching.protocol import MATCHERS
from gs_stereo.matching.settings import MatcherSettings, SgbmSettings

if TYPE_CHECKING:
    from gs_stereo.matching.protocol import StereoMatcher


class ExpertsConfig(Config):
    """Settings of each built-in expert; only those of the chosen one are used."""

    sgbm: SgbmSettings = Field(default=SgbmSettings(), description="OpenCV's semi-global matching.")
    lite: NetExpertConfig = Field(default=NetExpertConfig(), description="The trained net that comes along.")
    onnx: OnnxConfig | None = Field(default=None, description="Any ONNX stereo model; needs `model`.")
    foundationstereo: FoundationStereoConfig | None = Field(
        default=None, description="Your checkout; needs `expert_repo`, `expert_python` and `checkpoint`."
    )
    checkpoint: CheckpointConfig | None = Field(
        default=None, description="A trained net: a folder of `gsstereo train` or a RAFT-Stereo .pth."
    )

    def of(self, expert: str) -> MatcherSettings:
        """The settings of an expert; PluginError if there is none of that name, ConfigError if an option is missing."""
        if expert not in MATCHERS:
            raise PluginError(f"There is no expert called {expert!r}; use one of: {', '.join(MATCHERS.names())}.")
        if expert not in ExpertsConfig.model_fields:
            return MatcherSettings()  # a third party's, which knows its own
        settings: MatcherSettings | None = getattr(self, expert)
        if settings is None:
            options = _required_options(expert)
            raise ConfigError(
                f"The expert {expert} needs {options} (or `--set experts.{expert}.NAME=VALUE`); give them."
            )
        return settings


def idle_expert(given: Mapping[str, Any], asked: Collection[str]) -> str | None:
    """Which of the experts that settings were `given` for is not asked, and who is; as of `Config.idle`."""
    idle = next((name for name in given if name not in asked), None)
    if idle is None:
        return None
    name = leaf(f"experts.{idle}", given[idle])
    return f"{name} has an effect only where {idle} is asked, and {' and '.join(asked) or 'none'} is"


def _required_options(expert: str) -> str:
    """The options of the command line without which the expert cannot be asked."""
    annotation = ExpertsConfig.model_fields[expert].annotation
    settings = next(part for part in annotation.__args__ if part is not type(None))  # type: ignore[union-attr]
    options = [f"--{name.replace('_', '-')}" for name, field in settings.model_fields.items() if field.is_required()]
    return " and ".join([", ".join(options[:-1]), options[-1]] if len(options) > 1 else options)


def external_files(expert: str, experts: ExpertsConfig) -> Mapping[str, Path]:
    """The files that decide an expert's answers, by a stable name. Errors as of `ExpertsConfig.of`."""
    return experts.of(expert).external_files()


def make_matcher(expert: str, experts: ExpertsConfig) -> StereoMatcher:
    """The matcher called `expert`."""
    settings, factory = experts.of(expert), MATCHERS.load(expert)
    return factory(settings) if expert in ExpertsConfig.model_fields else factory()
