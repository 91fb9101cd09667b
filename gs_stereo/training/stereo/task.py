"""What a stereo net is trained for: the loss of augmented crops of labelled pairs, scores on whole held-out pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from gs_stereo.metrics.disparity import DisparityMetrics
from gs_stereo.nets.protocol import StereoNet
from gs_stereo.nets.weights import NetDescription
from gs_stereo.training.data import SplitData
from gs_stereo.training.loop import Task, autocast
from gs_stereo.training.record import Curve, Curves
from gs_stereo.training.stereo.config import TrainConfig
from gs_stereo.training.stereo.data import Batch, to_batch, to_pair, training_batches
from gs_stereo.training.stereo.losses import confidence_loss, total_loss

CURVES = Curves(
    curves=(
        Curve(title="training loss", kind="train", value="loss"),
        Curve(title="held-out EPE", kind="validation", value="epe_px"),
    ),
    unit="px",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class StereoTask(Task):
    """The part of process `rank` in the training of a stereo net. start: the weights it begins with, None = fresh."""

    data: tuple[SplitData, ...]
    config: TrainConfig
    seed: int
    device: torch.device
    rank: int
    start: NetDescription | None = None

    def batches(self, first_step: int) -> Iterator[Batch]:
        for batch in training_batches(self.data, self.config, self.seed, first_step=first_step, rank=self.rank):
            yield batch.to(self.device)

    def loss(self, net: nn.Module, batch: Batch, step: int) -> torch.Tensor:
        with autocast(self.device, self.config):
            assert isinstance(net, StereoNet)
            answer = net.answer(batch.left, batch.right, max_disparity_px=self.config.loss.max_disparity_px)
        loss = total_loss([each.float() for each in answer.disparities], batch, self.config.loss)
        return loss if answer.logit is None else loss + confidence_loss(answer, batch, self.config.loss)

    def validate(self, net: nn.Module) -> Mapping[str, float] | None:
        """Scores on held-out pairs, whole and not augmented, all pixels that both eyes see pooled."""
        chosen = self._held_out_samples()
        if not chosen:
            return None
        metrics, most_px = DisparityMetrics((1.0, 2.0, 3.0)), self.config.loss.max_disparity_px
        for source, index in chosen:
            pair = to_pair(self.data[source].samples.read(index))
            batch = to_batch([pair]).to(self.device)
            with autocast(self.device, self.config):
                answer = net(batch.left, batch.right, max_disparity_px=most_px)[-1]
            in_range = (pair.disparity <= most_px) & ~pair.hidden
            metrics.update(answer[0, 0].float().cpu().numpy(), pair.disparity, in_range)
        scores = metrics.compute()
        return {
            "pairs": len(chosen),
            "epe_px": scores.epe_all_pixels,
            **{f"bad_{px}": scores.bad_all_pixels[float(px)] for px in (1, 2, 3)},
            "d1": scores.d1_all_pixels,
        }

    def _held_out_samples(self) -> list[tuple[int, int]]:
        """(data set, sample) of at most `validation_pairs` held-out samples, spread evenly over all data sets."""
        everything = [(source, int(index)) for source, each in enumerate(self.data) for index in each.held_out]
        most = self.config.validation_pairs
        if len(everything) <= most:
            return everything
        return [everything[n] for n in np.linspace(0, len(everything) - 1, most).round().astype(int)]
