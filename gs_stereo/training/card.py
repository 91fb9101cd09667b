"""The card of a trained net: what it is, what it was trained on, under which licence, and how it did."""

from __future__ import annotations

from gs_stereo.nets.protocol import parameter_count
from gs_stereo.training.record import ValidationRecord
from gs_stereo.training.stereo.train import TrainingJob, TrainingResult

CARD_NAME = "README.md"


def model_card(result: TrainingResult, job: TrainingJob) -> str:
    """Markdown; the same run gives the same text."""
    config, description = job.config, result.description
    labels = description.training["labels"]
    start = description.training["start"]
    rows = [f"| {label['name']} | {label['version']} | {label['licence']} |" for label in labels]
    return "\n".join(
        [
            f"# Stereo net {description.net}",
            "",
            f"{parameter_count(result.net) / 1e6:.2f} M parameters. Licence of the weights: {description.licence}.",
            "",
            f"Trained with seed {job.seed} for {config.steps} steps of {config.batch_size} crops of "
            f"{config.crop_width}x{config.crop_height} from {result.training_pairs} pairs"
            + (", from scratch." if start is None else f", from weights under: {start['licence']}."),
            "",
            "| label source | version | licence |",
            "|---|---|---|",
            *rows,
            "",
            *_held_out(result),
            "`net.json` has the settings of the net, `log.jsonl` the curves that `curves.svg` draws, `manifest.json` "
            "every setting of the run. Use it with `gsstereo label SCENE --expert checkpoint --checkpoint FOLDER`.",
            "",
        ]
    )


def _held_out(result: TrainingResult) -> list[str]:
    scores = [record for record in result.records if isinstance(record, ValidationRecord)]
    if not scores:
        return []
    last = scores[-1]
    text = (
        f"On {last.pairs} held-out pairs of the same data (pixels that both eyes see): EPE {last.epe_px:.3f} px, "
        f"bad-1 {last.bad_1:.2%}, bad-2 {last.bad_2:.2%}, bad-3 {last.bad_3:.2%}, D1 {last.d1:.2%}."
    )
    return [text, ""]
