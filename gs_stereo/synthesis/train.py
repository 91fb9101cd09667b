"""One training run of a model that makes second eyes, from settings to a model: task, start weights, what it is called.

The loop is the one of every net (`gs_stereo.training`): exact resume, moving average, several processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import nn
from torch.utils.data import DataLoader

from gs_stereo.config import canonical_json
from gs_stereo.core.hashing import sha256_text, unit_seed
from gs_stereo.synthesis.losses import denoising_loss, pixel_loss, seen_by_both, warp_loss
from gs_stereo.synthesis.schedule import TIMES
from gs_stereo.synthesis.stacks import (
    SynthesisBatch,
    SynthesisDraw,
    SynthesisDraws,
    draw_of,
    to_batch,
    unit_of,
    views_of,
)
from gs_stereo.synthesis.start import StartingModel, starting_model
from gs_stereo.synthesis.stereospace import StereoSpace
from gs_stereo.synthesis.train_config import SynthesisTrainConfig
from gs_stereo.training.config import DataSource
from gs_stereo.training.data import SplitData, data_digests, draws_of_steps, open_data
from gs_stereo.training.loop import Advance, Task, Training, autocast, train
from gs_stereo.training.record import Curve, Curves
from gs_stereo.training.state import TrainingState

CURVES = Curves(
    curves=(
        Curve(title="training loss", kind="train", value="loss"),
        Curve(title="held-out PSNR, outermost views", kind="validation", value="psnr"),
    ),
    unit="",
)


@dataclass(frozen=True, kw_only=True)
class SynthesisJob:
    """What to train on what.

    folder: where the checkpoint lies; a run continues from the one it finds there. live_folder: where the record can
    be watched while it grows, if anywhere.
    """

    config: SynthesisTrainConfig
    sources: tuple[DataSource, ...]
    seed: int
    folder: Path
    live_folder: Path | None = None


def train_model(job: SynthesisJob, advance: Advance = lambda steps, note: None) -> Training[SynthesisTask]:
    """Train, or finish an interrupted run; `kept_model` is the result.

    Raises ConfigError or InputError for settings, data or weights that do not fit, StageError if it diverges.
    """
    return train(prepare, job, job.config, advance)


def kept_model(training: Training[SynthesisTask]) -> StereoSpace:
    """The model of a run, with averaged weights if the run averages."""
    model = training.state.kept_net
    assert isinstance(model, StereoSpace)
    return model


def prepare(job: SynthesisJob, device: torch.device, rank: int) -> Training[SynthesisTask]:
    """The run of process `rank`, from fresh weights that depend on the seed or from the start weights."""
    config = job.config
    data = open_data(job.sources, config.validation_share, job.seed)
    start = starting_model(config.start, config.model, job.seed)
    values = config.model_dump(mode="json", exclude={"start", "loader_workers"})
    weights = dict(start.sha256)
    run_id = sha256_text(canonical_json([values, weights, job.seed, data_digests(data), [d.weight for d in data]]))
    return Training(
        task=SynthesisTask(data=data, config=config, seed=job.seed, device=device, rank=rank, start=start),
        state=TrainingState.of(start.model.to(device), config, config.average_decay or None),
        config=config,
        run_id=run_id,
        folder=job.folder,
        live_folder=job.live_folder,
        rank=rank,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class SynthesisTask(Task):
    """The part of process `rank` in the training of a model that makes second eyes. start: what it began with."""

    data: tuple[SplitData, ...]
    config: SynthesisTrainConfig
    seed: int
    device: torch.device
    rank: int
    start: StartingModel

    uses_every_parameter = False  # none of the reference net after its last record, or where the condition is dropped

    def batches(self, first_step: int) -> Iterator[SynthesisBatch]:
        """The batches from `first_step` on; with several devices, the part of this process."""
        config, cells = self.config, self.start.model.cells
        mine = draws_of_steps(config, first_step, self.rank)
        draws = SynthesisDraws(
            self.data,
            config,
            self.seed,
            in_metres=self.start.in_metres,
            warped=self.start.model.takes_warped,
        )
        loader: DataLoader[SynthesisDraw] = DataLoader(
            draws, batch_sampler=mine, num_workers=config.loader_workers, collate_fn=list, generator=torch.Generator()
        )
        for each in loader:
            yield to_batch(each, cells).to(self.device)

    def loss(self, net: nn.Module, batch: SynthesisBatch, step: int) -> torch.Tensor:
        """Times, noise and whether the condition is dropped depend on (seed, step, rank) only."""
        assert isinstance(net, StereoSpace)
        config, schedule = self.config.loss, net.schedule
        generator = torch.Generator().manual_seed(unit_seed(self.seed, f"noise {step}/{self.rank}"))
        with torch.no_grad():
            clean = net.codec.encode(batch.targets)
        noise = torch.randn(clean.shape, generator=generator)
        noise = noise + config.noise_offset * torch.randn(*clean.shape[:2], 1, 1, generator=generator)
        noise = noise.to(clean)
        drawn = torch.rand(len(clean), generator=generator) ** (1 / config.time_exponent)
        times = (drawn * TIMES).long().clamp(max=TIMES - 1).to(self.device)
        dropped = torch.rand((), generator=generator).item() < config.drop_condition
        alpha_bar, noisy = schedule.alpha_bar_at(times, clean), schedule.noised(clean, noise, times)
        if torch.rand((), generator=generator).item() < config.own_share:
            first = torch.randn(clean.shape, generator=generator).to(clean)
            noisy = schedule.noised(self._own_answer(net, batch, first), noise, times)
            noise = schedule.noise_in(noisy, clean, alpha_bar)
        with autocast(self.device, self.config):
            answer = answered(net, batch, noisy, times, given=not dropped).float()
        loss = denoising_loss(answer, schedule.target(clean, noise, times), alpha_bar, schedule, config.min_snr_gamma)
        if dropped or not (config.pixels or config.warp):
            return loss
        picture = net.codec.decode(schedule.clean(noisy, answer, alpha_bar)) / 2 + 0.5
        per_sample = config.pixels * pixel_loss(picture, batch.targets / 2 + 0.5, config.ssim_share)
        if config.warp:
            source = batch.source.repeat_interleave(len(clean) // len(batch.source), dim=0) / 2 + 0.5
            disparity_px, mask = seen_by_both(batch.of_source_px, batch.of_target_px)
            per_sample = per_sample + config.warp * warp_loss(picture, source, disparity_px, mask)
        weight = alpha_bar.reshape(-1) if config.pixels_by_signal else torch.ones_like(per_sample)
        return loss + (per_sample * weight).mean()

    def _own_answer(self, net: StereoSpace, batch: SynthesisBatch, noise: torch.Tensor) -> torch.Tensor:
        """The clean latents that the net makes of pure noise."""
        last = torch.full((len(noise),), TIMES - 1, device=self.device)
        with torch.no_grad(), autocast(self.device, self.config):
            answer = answered(net, batch, noise, last, given=True).float()
        return net.schedule.clean(noise, answer, net.schedule.alpha_bar_at(last, noise))

    def validate(self, net: nn.Module) -> Mapping[str, float] | None:
        """PSNR of the last view of held-out stacks made out of the first, read after one step, beside the source's."""
        assert isinstance(net, StereoSpace)
        chosen = [(data, int(index)) for data in self.data for index in data.held_out]
        if not chosen:
            return None
        spread = np.linspace(0, len(chosen) - 1, min(len(chosen), self.config.validation_views)).round().astype(int)
        made, copied = [], []
        for data, index in (chosen[n] for n in spread):
            views = views_of(data.samples.read(index), unit_of(data, in_metres=self.start.in_metres))
            last = [len(views.offsets) - 1]
            draw = draw_of(views, 0, last, in_metres=self.start.in_metres, warped=net.takes_warped)
            batch = to_batch([draw], net.cells).to(self.device)
            generator = torch.Generator().manual_seed(unit_seed(self.seed, f"validation {index}"))
            noise = torch.randn(net.codec.encode(batch.targets).shape, generator=generator)
            picture = net.codec.decode(self._own_answer(net, batch, noise.to(self.device)))
            made.append(_psnr(picture, batch.targets))
            copied.append(_psnr(batch.source, batch.targets))
        return {"views": len(made), "psnr": float(np.mean(made)), "psnr_of_the_source": float(np.mean(copied))}


def answered(
    net: StereoSpace, batch: SynthesisBatch, noisy: torch.Tensor, times: torch.Tensor, *, given: bool
) -> torch.Tensor:
    """The denoiser's answer for a batch. given: False = without the source, as one half of the guidance asks it."""
    with torch.no_grad():
        latent = net.codec.encode(batch.source)
        prompt = torch.cat([net.prompter(picture) for picture in _bytes(batch.source)]).to(latent)
    repeats = len(noisy) // len(latent)
    records = None
    if not given:
        prompt = torch.zeros_like(prompt)
    else:
        seen = net.reference.record(latent, batch.source_rays, prompt)
        records = {name: record.repeat_interleave(repeats, dim=0) for name, record in seen.items()}
    beside = latent if given else torch.zeros_like(latent)
    return net.answer(
        noisy,
        batch.target_rays,
        times,
        prompt.repeat_interleave(repeats, dim=0),
        records,
        beside.repeat_interleave(repeats, dim=0),
        net.warped_latent(batch.warped) if given and batch.warped is not None else None,
    )


def _bytes(pictures: torch.Tensor) -> UInt8[np.ndarray, "b h w 3"]:
    return np.rint((pictures.permute(0, 2, 3, 1).cpu().numpy() + 1) * 127.5).astype(np.uint8)


def _psnr(picture: torch.Tensor, target: torch.Tensor) -> float:
    error = (picture.clamp(-1, 1) - target).square().mean() / 4
    return float(-10 * torch.log10(error.clamp_min(1e-10)))
