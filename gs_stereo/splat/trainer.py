"""The training loop: one view a step, on any rasterizer and device.

A step is a pure function of the state and the iteration: views, noise and schedules depend on (seed, iteration)
only. So a run that resumes from a checkpoint equals one that was never interrupted.
"""

import math
from dataclasses import dataclass, replace

import torch

from gs_stereo.errors import StageError
from gs_stereo.splat import schedule
from gs_stereo.splat.config import FitConfig
from gs_stereo.splat.objective import Objective
from gs_stereo.splat.optimizer import adam_step
from gs_stereo.splat.photos import TrainingViews
from gs_stereo.splat.quality import FitRecord
from gs_stereo.splat.raster.protocol import Rasterizer, RenderExtras, RenderSettings, ScreenGradients
from gs_stereo.splat.sh import coefficient_count
from gs_stereo.splat.strategies import make_strategy
from gs_stereo.splat.strategy import StrategyContext
from gs_stereo.splat.training_state import TrainingState
from gs_stereo.splat.transients import TransientSearch
from gs_stereo.types.gaussians import Gaussians

_RECORDS = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class Trainer:
    """Advances a training state. settings: of rendering, at full SH degree. extent: of the scene, in scene units.

    search: finds what stands before the scene, None = it is not looked for.
    """

    rasterizer: Rasterizer
    views: TrainingViews
    config: FitConfig
    settings: RenderSettings
    extent: float
    seed: int
    search: TransientSearch | None = None

    def step(self, state: TrainingState) -> float:
        """One iteration; returns its loss. StageError if the loss is no longer finite."""
        iteration = state.iteration
        strategy = make_strategy(StrategyContext(config=self.config, extent=self.extent, seed=self.seed))
        index = schedule.view_at(self.seed, iteration, len(self.views))
        level = schedule.coarse_level(self.config.resolution, self.config.iterations, iteration)
        if self.search is not None and schedule.search_due(self.config, iteration):
            found = self.search.found(state.gaussians())
            state.transients = {name: torch.from_numpy(mask).to(state.device) for name, mask in found.items()}
        view = self.views.at(index, level)
        if (transient := state.transients.get(view.camera.name)) is not None:
            view = view.without(transient)
        sink = ScreenGradients() if strategy.wants_screen_gradients(iteration) else None

        state.widen_sh(coefficient_count(schedule.sh_degree(self.config, iteration)))
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in state.parameters.items()}
        gaussians = Gaussians(**leaves)
        settings = replace(self.settings, median_depth=False)  # of the objective's images, that is not one
        output = self.rasterizer.render(gaussians, [view.camera], settings, RenderExtras(screen_gradients=sink))
        objective = Objective(config=self.config, extent=self.extent, progress=iteration / self.config.iterations)
        loss = objective.loss(output, view, gaussians)
        loss.backward()
        value = self._finite(loss, iteration)

        strategy.observe(state, view.camera, output, sink)
        gradients = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
        sh_count = state.parameters["sh"].shape[1]
        rates = schedule.learning_rates(self.config, state.iteration, self.extent, sh_count)
        adam_step(state.parameters, gradients, state.adam, rates)
        strategy.refine(state, iteration, schedule.means_rate(self.config, iteration) * self.extent)
        state.iteration += 1
        every = max(1, self.config.iterations // _RECORDS)
        if state.iteration % every == 0 or state.iteration == self.config.iterations:
            state.records.append(FitRecord(iteration=state.iteration, loss=value, count=len(state)))
        return value

    def _finite(self, loss: torch.Tensor, iteration: int) -> float:
        value = loss.item()
        if not math.isfinite(value):
            raise StageError(f"The fit diverged at iteration {iteration} (loss {value}); lower the settings rates.")
        return value
