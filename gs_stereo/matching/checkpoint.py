"""Any trained net behind the matcher protocol."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch

from gs_stereo import __version__
from gs_stereo.config import parse_overrides
from gs_stereo.core.hashing import sha256_file
from gs_stereo.errors import ConfigError
from gs_stereo.imaging.images import resize_to
from gs_stereo.imaging.resampling import resize_confidence, resize_disparity
from gs_stereo.matching.both_sides import OneDirectionMatcher, Pair, announce_licence, positive_or_nan
from gs_stereo.matching.checkpoint_config import CheckpointConfig, NetExpertConfig
from gs_stereo.matching.sizing import scaled_size
from gs_stereo.nets.protocol import resolve_net
from gs_stereo.nets.shipped import LITE, LITE_FOLDER
from gs_stereo.nets.weights import TrainedNet, filled, load_net
from gs_stereo.types import DisparityPrediction, Provenance

_FREE_LICENCES = ("Apache-2.0", "MIT")
_ZERO_TOLERANCE_PX = 1.0


class CheckpointMatcher(OneDirectionMatcher):
    """StereoMatcher by a net of ours or an official RAFT-Stereo. Weights are loaded with the first prediction.

    Safe in threads: one prediction at a time. Confidence is that of the net, None if it has none.
    name: of the expert, for the provenance.
    """

    config: CheckpointConfig

    def __init__(self, config: CheckpointConfig, *, name: str = "checkpoint") -> None:
        self.config = config
        self.name = name
        self._lock = threading.Lock()

    @cached_property
    def provenance(self) -> Provenance:
        """Licence and checksum of the weights, what they were trained on, and the settings that change the answer."""
        with self._lock:
            trained = self._trained
        places = {"checkpoint", "device"}
        return Provenance(
            name=self.name,
            version=f"gs_stereo-{__version__}",
            licence=trained.description.licence,
            weights_sha256=sha256_file(trained.file),
            settings={
                **self.config.model_dump(mode="json", exclude=places),
                "net": trained.description.net,
                "net_settings": trained.net.config.model_dump(mode="json"),
                "training": dict(trained.description.training),
            },
        )

    def left_disparities(self, pairs: Sequence[Pair], max_disparity_px: float | None) -> list[DisparityPrediction]:
        return [self._left_disparity(left, right, max_disparity_px) for left, right in pairs]

    def _left_disparity(self, left: np.ndarray, right: np.ndarray, range_px: float | None) -> DisparityPrediction:
        size = left.shape[0], left.shape[1]
        with self._lock, torch.inference_mode():
            net = self._trained.net
            device = next(net.parameters()).device
            if range_px is None:
                range_px = net.visible_range_px(_tensor(left), _tensor(right))
            scale = net.working_scale(size, range_px) if self.config.scale is None else self.config.scale
            height, width = scaled_size(size, scale)
            tensors = [_tensor(resize_to(image, width, height)).to(device) for image in (left, right)]
            answer = net.answer(*tensors, max_disparity_px=None if range_px is None else range_px * width / size[1])
        disparity = resize_disparity(_as_array(answer.disparities[-1]), size)
        at_infinity = (disparity < 0) & (disparity > -_ZERO_TOLERANCE_PX)  # noise about a disparity of zero
        confidence = None
        if answer.logit is not None:
            confidence = resize_confidence(_as_array(torch.sigmoid(answer.logit.float())), size)
        return DisparityPrediction(
            disparity=positive_or_nan(np.where(at_infinity, 0.0, disparity)), confidence=confidence
        )

    @cached_property
    def _trained(self) -> TrainedNet:
        config, cuda = self.config, torch.cuda.is_available()
        trained = load_net(config.checkpoint)
        name, licence = trained.description.net, trained.description.licence
        if config.net_settings:  # the same weights in a net with other settings; InputError if those change a shape
            values = {**trained.description.settings, **parse_overrides(config.net_settings)}
            net = filled(name, resolve_net(name, None, values), trained.net.state_dict(), trained.file)
            trained = replace(trained, net=net)
        if licence not in _FREE_LICENCES:
            announce_licence(f"The net in {config.checkpoint}", licence)
        if config.device == "cuda" and not cuda:
            raise ConfigError(
                "The net is asked to run on CUDA, which is not there; leave experts.checkpoint.device or "
                "experts.lite.device out."
            )
        trained.net.to("cuda" if cuda and config.device != "cpu" else "cpu")
        return trained


def lite_matcher(config: NetExpertConfig | None = None) -> CheckpointMatcher:
    """The expert `lite`: the shipped net, by the same code as any trained net."""
    settings = NetExpertConfig() if config is None else config
    shipped = CheckpointConfig(checkpoint=LITE_FOLDER, **settings.model_dump())
    return CheckpointMatcher(shipped, name=LITE)


def _as_array(maps: torch.Tensor) -> np.ndarray:
    """The first map of a batch."""
    return maps[0, 0].float().cpu().numpy()


def _tensor(image: np.ndarray) -> torch.Tensor:
    """uint8 (H, W, 3) to float32 (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].contiguous().float() / 255
