"""What every stereo net takes and gives, the table of nets, and how to make one.

A net never sees uint8 images or files; `matching/checkpoint.py` makes a StereoMatcher of a trained one.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

from gs_stereo.config import Config, merge, parse_config
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.nets.config import VARIANTS
from gs_stereo.nets.padding import next_multiple, padding_to
from gs_stereo.plugins import Registry

Images = Float[torch.Tensor, "b 3 h w"]
Disparity = Float[torch.Tensor, "b 1 h w"]


@dataclass(frozen=True, kw_only=True, eq=False)
class NetAnswer:
    """What a net says of a batch: disparities in px, coarse to fine, the last one is the answer.

    logit: of the probability that the last one's error is under 1 px; None from nets that do not say.
    """

    disparities: list[Disparity]
    logit: Float[torch.Tensor, "b 1 h w"] | None = None


class StereoNet(nn.Module, ABC):
    """Disparity of the left image of rectified pairs.

    `net(left, right)` takes float32 sRGB images in [0, 1], (B, 3, H, W), of any size, and returns a list of
    disparities (B, 1, H, W) in pixels, coarse to fine; the last one is the answer. Positive means that the match lies
    further left in the right image. Training mode gives every stage (each of them wants a loss), evaluation mode may
    leave out all but the last. max_disparity_px is the range to search, for nets that have one.

    `net.answer` has the net's confidence too.

    Subclasses say what `multiple` they need both sides to be and implement `disparities` for such sizes, or, with a
    confidence, `answer_to`; padding (border pixels repeated, split between both sides) and cropping are done here.
    """

    config_type: ClassVar[type[Config]]
    multiple: ClassVar[int]
    config: Any

    @abstractmethod
    def disparities(self, left: Images, right: Images, max_disparity_px: float | None) -> list[Disparity]:
        """The net on images whose sides are multiples of `multiple`."""

    def answer_to(self, left: Images, right: Images, max_disparity_px: float | None) -> NetAnswer:
        """The same with the confidence."""
        return NetAnswer(disparities=self.disparities(left, right, max_disparity_px))

    def visible_range_px(self, left: Images, right: Images) -> float | None:
        """How far disparities seem to reach, for nets that search a range and are told none; None: no need to know."""
        return None

    def working_scale(self, size: tuple[int, int], range_px: float | None) -> float:
        """The share of the resolution at which the net is at its best for a (height, width) and a range."""
        return 1.0

    def forward(self, left: Images, right: Images, *, max_disparity_px: float | None = None) -> list[Disparity]:
        return self.answer(left, right, max_disparity_px=max_disparity_px).disparities

    def answer(self, left: Images, right: Images, *, max_disparity_px: float | None = None) -> NetAnswer:
        """`forward` with the net's confidence."""
        if left.shape != right.shape or left.ndim != 4 or left.shape[1] != 3 or left.numel() == 0:
            raise InputError(
                f"A net takes two (B, 3, H, W) images of one size, not {tuple(left.shape)} and {tuple(right.shape)}."
            )
        size = (int(left.shape[2]), int(left.shape[3]))
        padding = padding_to(size, next_multiple(size, self.multiple))
        if padding.empty:
            return self.answer_to(left, right, max_disparity_px)
        sides = (padding.left, padding.right, padding.top, padding.bottom)
        left, right = (functional.pad(image, sides, mode="replicate") for image in (left, right))
        padded = self.answer_to(left, right, max_disparity_px)
        return NetAnswer(
            disparities=[padding.crop(each) for each in padded.disparities],
            logit=None if padded.logit is None else padding.crop(padded.logit),
        )


NETS: Registry[type[StereoNet]] = Registry(
    kind="net",
    builtin={
        "lite": "gs_stereo.nets.lite.net:LiteStereo",
        "raft_stereo": "gs_stereo.nets.raft_stereo.net:RaftStereo",
    },
)


def resolve_net(name: str, variant: str | None = "full", settings: Mapping[str, Any] | None = None) -> Config:
    """The settings of a net: defaults < variant < `settings`. ConfigError or PluginError names what is unknown.

    variant: None for weights at rest, whose settings are complete but for fields that came later.
    """
    net_type = NETS.load(name)
    variants = VARIANTS.get(name, {"full": {}})
    if variant is None:
        return parse_config(net_type.config_type, settings or {}, where=f"the settings of the net {name}")
    if variant not in variants:
        raise ConfigError(f"The net {name} has no variant {variant!r}; it has: {', '.join(variants)}.")
    values = merge(variants[variant], settings or {})
    return parse_config(net_type.config_type, values, where=f"the settings of the net {name}")


def make_net(name: str, config: Config, seed: int = 0) -> StereoNet:
    """A net with fresh weights that depend on `seed` only; the global random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        factory: Any = NETS.load(name)
        net: StereoNet = factory(config)
    return net


def parameter_count(net: nn.Module) -> int:
    """How many numbers the parameters of a net hold."""
    return sum(parameter.numel() for parameter in net.parameters())
