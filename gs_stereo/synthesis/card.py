"""The card of a trained model that makes second eyes."""

from __future__ import annotations

from collections.abc import Sequence

from gs_stereo.synthesis.train import SynthesisJob, SynthesisTask
from gs_stereo.training.card import joint_licence, model_card
from gs_stereo.training.loop import Training
from gs_stereo.training.record import last_validation


def licence_of(task: SynthesisTask) -> str:
    """Of the trained weights: what the data and the start ask for is carried on."""
    return joint_licence([each.provenance.licence for each in task.data] + [task.start.licence])


def synthesis_card(training: Training[SynthesisTask], job: SynthesisJob) -> str:
    """Markdown; the same run gives the same text."""
    task, config = training.task, job.config
    own = task.start.own
    paragraphs = [
        f"Trained with seed {job.seed} for {config.steps} steps of {config.batch_size} sources with {config.targets} "
        f"targets each, {config.width}x{config.height} pixels, from {sum(len(each.training) for each in task.data)} "
        + ("samples, from scratch." if not task.start.sha256 else "samples, from other weights.")
    ]
    if own is not None:
        unit = "median depths of the source picture" if own.baseline_unit == "median_depth" else "metres"
        paragraphs.append(f"Baselines are in {unit}. The pixels it makes are generated, not observed.")
    if (last := last_validation(training.state.records)) is not None:
        scores = last.values
        paragraphs.append(
            f"On {scores['views']} held-out samples, the outermost views out of each other, read after one step: "
            f"PSNR {scores['psnr']:.2f} dB; the source itself has {scores['psnr_of_the_source']:.2f} dB."
        )
    paragraphs.append("Use it with `gsstereo synthesize PHOTO --weights FOLDER`.")
    return model_card(
        "Second eyes of photos",
        training.state.kept_net,
        licence_of(task),
        sources=_sources(task),
        paragraphs=paragraphs,
    )


def _sources(task: SynthesisTask) -> Sequence[dict[str, str]]:
    rows = dict.fromkeys((each.provenance.name, each.provenance.version, each.provenance.licence) for each in task.data)
    return [{"name": name, "version": version, "licence": licence} for name, version, licence in rows]
