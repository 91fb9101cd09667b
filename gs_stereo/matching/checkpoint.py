"""Any trained net behind the matcher protocol."""

from __future__ import annotations

import threading
from functools import cached_property

import numpy as np
import torch

from gs_stereo import __version__
from gs_stereo.config import parse_overrides
from gs_stereo.core.hashing import sha256_file
from gs_stereo.errors import ConfigError
from gs_stereo.imaging.images import resize_to
from gs_stereo.imaging.resampling import resize_disparity
from gs_stereo.log import logger
from gs_stereo.matching.both_sides import OneDirectionMatcher
from gs_stereo.matching.checkpoint_config import CheckpointConfig, NetExpertConfig
from gs_stereo.matching.contracts import announce_licence, check_pair, positive_or_nan
from gs_stereo.nets.protocol import resolve_net
from gs_stereo.nets.shipped import LITE, LITE_FOLDER
from gs_stereo.nets.weights import TrainedNet, filled, load_net, weights_file
from gs_stereo.types import DisparityPrediction, Provenance

_FREE_LICENCES = ("Apache-2.0", "MIT")
_SMALLEST_SIDE_PX = 32
_ZERO_TOLERANCE_PX = 1.0


class CheckpointMatcher(OneDirectionMatcher):
    """StereoMatcher by a net of ours or an official RAFT-Stereo. Weights are loaded with the first prediction.

    Safe in threads: one prediction at a time. Confidence is None: the nets have none.
    max_disparity_px: the range when the config leaves it open. name: of the expert, for the provenance.
    """

    config: CheckpointConfig

    def __init__(
        self, config: CheckpointConfig, *, max_disparity_px: float | None = None, name: str = "checkpoint"
    ) -> None:
        self.config = config
        self.name = name
        self.max_disparity_px = max_disparity_px
        self._trained: TrainedNet | None = None
        self._lock = threading.Lock()

    @cached_property
    def provenance(self) -> Provenance:
        """Licence and checksum of the weights, what they were trained on, and the settings that change the answer."""
        with self._lock:
            trained = self._open()
        places = {"checkpoint", "device"}
        return Provenance(
            name=self.name,
            version=f"gs_stereo-{__version__}",
            licence=trained.description.licence,
            weights_sha256=sha256_file(weights_file(self.config.checkpoint)),
            settings={
                **self.config.model_dump(mode="json", exclude=places),
                "net": trained.description.net,
                "net_settings": trained.net.config.model_dump(mode="json"),
                "training": dict(trained.description.training),
            },
        )

    def close(self) -> None:
        """Forget the weights; the next prediction loads them again."""
        self._trained = None

    def one_direction(self, left: np.ndarray, right: np.ndarray, hint_px: float | None) -> DisparityPrediction:
        check_pair(left, right)
        size = left.shape[0], left.shape[1]
        scaled = _scaled(size, self.config.scale)
        wanted = next(
            (value for value in (self.config.max_disparity_px, hint_px, self.max_disparity_px) if value is not None),
            None,
        )
        range_px = None if wanted is None else wanted * scaled[1] / size[1]
        with self._lock, torch.inference_mode():
            net = self._open().net
            device = next(net.parameters()).device
            tensors = [_tensor(resize_to(image, scaled[1], scaled[0])).to(device) for image in (left, right)]
            answer = net(*tensors, max_disparity_px=range_px)[-1]
        disparity = resize_disparity(answer[0, 0].float().cpu().numpy(), size)
        at_infinity = (disparity < 0) & (disparity > -_ZERO_TOLERANCE_PX)  # noise about a disparity of zero
        return DisparityPrediction(disparity=positive_or_nan(np.where(at_infinity, 0.0, disparity)))

    def _open(self) -> TrainedNet:
        if self._trained is None:
            trained = load_net(self.config.checkpoint)
            if self.config.net_settings:
                trained = _changed(trained, self.config)
            licence = trained.description.licence
            if licence not in _FREE_LICENCES:
                announce_licence(f"The net in {self.config.checkpoint}", licence)
            device = _device(self.config)
            logger.debug("The net %s runs on %s.", trained.description.net, device)
            trained.net.to(device)
            self._trained = trained
        return self._trained


def lite_matcher(config: NetExpertConfig | None = None, *, max_disparity_px: float | None = None) -> CheckpointMatcher:
    """The expert `lite`: the shipped net, by the same code as any trained net."""
    settings = NetExpertConfig() if config is None else config
    shipped = CheckpointConfig(checkpoint=LITE_FOLDER, **settings.model_dump())
    return CheckpointMatcher(shipped, max_disparity_px=max_disparity_px, name=LITE)


def _changed(trained: TrainedNet, config: CheckpointConfig) -> TrainedNet:
    """The same weights in a net with other settings; InputError if those change a shape."""
    name = trained.description.net
    settings = resolve_net(name, settings={**trained.description.settings, **parse_overrides(config.net_settings)})
    net = filled(name, settings, trained.net.state_dict(), trained.file)
    return TrainedNet(net=net, description=trained.description, file=trained.file)


def _device(config: CheckpointConfig) -> torch.device:
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("The expert checkpoint is asked to run on CUDA, which is not there; set device=cpu.")
    return torch.device("cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu")


def _tensor(image: np.ndarray) -> torch.Tensor:
    """uint8 (H, W, 3) to float32 (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].contiguous().float() / 255


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    height, width = (max(round(side * scale), min(side, _SMALLEST_SIDE_PX)) for side in size)
    return height, width
