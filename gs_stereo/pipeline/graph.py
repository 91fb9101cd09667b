"""Runs or assesses a whole recipe: steps in order, each knowing what the earlier ones made or will make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gs_stereo.errors import InputError
from gs_stereo.pipeline.recipe import Step
from gs_stereo.pipeline.runner import Assessment, RunOptions, StageReport, assess, execute, take_parts


@dataclass(frozen=True, kw_only=True)
class StepStatus:
    """One line of `gsstereo status`. `assessment` is None if the inputs themselves are missing (see `reason`)."""

    stage: str
    folder: str
    assessment: Assessment | None
    reason: str

    @property
    def state(self) -> str:
        return self.assessment.state if self.assessment else "blocked"


def run_steps(steps: Sequence[Step], options: RunOptions) -> Iterator[StageReport]:
    """Execute the steps in order and yield what happened to each."""
    for step in steps:
        yield execute(step.stage, step.config, options)


def assess_steps(steps: Sequence[Step], options: RunOptions) -> list[StepStatus]:
    """What `run_steps` would do. A stage is stale too when one before it is."""
    known: dict[str, str] = {}
    answers = []
    for step in steps:
        folder = step.stage.folder(step.config)
        try:
            parts = take_parts(step.stage, step.config, options.paths, options.seed, known)
        except InputError as error:
            answers.append(StepStatus(stage=step.stage.name, folder=folder, assessment=None, reason=str(error)))
            continue
        found = assess(step.stage, step.config, options.paths, parts)
        kept = found.state == "up to date" and found.manifest is not None
        known[folder] = found.manifest.fingerprint if kept and found.manifest else parts.fingerprint
        answers.append(StepStatus(stage=step.stage.name, folder=folder, assessment=found, reason=found.reason))
    return answers
