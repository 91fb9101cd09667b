"""The card of a trained stereo net."""

from __future__ import annotations

from gs_stereo.training.card import model_card
from gs_stereo.training.record import last_validation
from gs_stereo.training.stereo.train import TrainingJob, TrainingResult


def stereo_card(result: TrainingResult, job: TrainingJob) -> str:
    """Markdown; the same run gives the same text."""
    config, description = job.config, result.description
    start = description.training["start"]
    trained = (
        f"Trained with seed {job.seed} for {config.steps} steps of {config.batch_size} crops of "
        f"{config.crop_width}x{config.crop_height} from {result.training_pairs} pairs"
        + (", from scratch." if start is None else f", from weights under: {start['licence']}.")
    )
    paragraphs = [trained]
    if (last := last_validation(result.records)) is not None:
        scores = last.values
        paragraphs.append(
            f"On {scores['pairs']} held-out pairs of the same data (pixels that both eyes see): "
            f"EPE {scores['epe_px']:.3f} px, bad-1 {scores['bad_1']:.2%}, bad-2 {scores['bad_2']:.2%}, "
            f"bad-3 {scores['bad_3']:.2%}, D1 {scores['d1']:.2%}."
        )
    paragraphs.append(
        "`net.json` has the settings of the net, `log.jsonl` the curves that `curves.svg` draws, `manifest.json` "
        "every setting of the run. Use it with `gsstereo label SCENE --expert checkpoint --checkpoint FOLDER`."
    )
    title, labels = f"Stereo net {description.net}", description.training["labels"]
    return model_card(title, result.net, description.licence, sources=labels, paragraphs=paragraphs)
