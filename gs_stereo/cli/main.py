"""The `gsstereo` command: all verbs, with an example each."""

import io
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from gs_stereo import __version__
from gs_stereo.cli import dataset_verbs, doctor, fleet_verbs, run_verbs, scene_verbs, training_verbs
from gs_stereo.cli.advise_verb import advise
from gs_stereo.cli.audit_verb import audit
from gs_stereo.cli.compare_on_verb import compare_on
from gs_stereo.cli.evaluate_synthesis_verb import evaluate_synthesis
from gs_stereo.cli.experiment_verb import experiment
from gs_stereo.cli.export_verb import export
from gs_stereo.cli.help import App, Verbs
from gs_stereo.cli.rig_verb import rig_of
from gs_stereo.cli.synthesize_verb import synthesize
from gs_stereo.cli.view_verb import view
from gs_stereo.core.memory import reuse_freed_memory

VERBS: Mapping[str, Mapping[str, tuple[Callable[..., Any], str]]] = {
    "The whole way": {
        "run": (run_verbs.run, "run my_room --set render-pairs.target_disparity_px=48"),
        "sample": (scene_verbs.sample, "sample demo && gsstereo run demo"),
        "status": (run_verbs.status, "status my_room"),
        "refresh": (run_verbs.refresh, "refresh my_room --only pairs/default"),
        "doctor": (doctor.doctor, "doctor"),
    },
    "Step by step": {
        "reconstruct": (scene_verbs.reconstruct, "reconstruct my_room --max-image-size 1200"),
        "import": (scene_verbs.import_scene, "import my_room --colmap sparse/0 --images images"),
        "fit": (scene_verbs.fit, "fit my_room --iterations 10000"),
        "render-pairs": (scene_verbs.render_pairs, "render-pairs my_room --baseline 0.1 --baseline 0.3"),
        "rig-of": (rig_of, "rig-of my_pairs --calibration stereo.yaml --to my_camera.yaml"),
        "label": (dataset_verbs.label, "label my_room --expert sgbm"),
        "evaluate-labels": (
            dataset_verbs.evaluate_labels,
            "evaluate-labels demo/gsstereo/dataset/sgbm --truth demo",
        ),
        "synthesize": (synthesize, "synthesize photo.jpg --target-disparity 24"),
    },
    "Many scenes": {
        "fleet plan": (fleet_verbs.plan, "fleet plan captures/room_a captures/room_b > jobs.json"),
        "fleet run": (fleet_verbs.run, "fleet run jobs.json --at-once 4"),
        "fleet publish": (fleet_verbs.publish, "fleet publish jobs.json --to all_rooms"),
        "fleet status": (fleet_verbs.status, "fleet status jobs.json --html fleet.html"),
    },
    "Look and judge": {
        "evaluate-synthesis": (evaluate_synthesis, "evaluate-synthesis warp my_model --root stacks"),
        "report": (dataset_verbs.report, "report my_room --json"),
        "advise": (advise, "advise my_room --count 5"),
        "audit": (audit, "audit my_room --max-bad-1 2"),
        "view": (view, "view my_room --dataset splat"),
    },
    "Use the labels": {
        "export": (export, "export my_room --format kitti --to my_room_kitti"),
        "train": (training_verbs.train, "train my_room --net lite --from path/to/weights"),
        "train-synthesis": (training_verbs.train_synthesis, "train-synthesis my_room --data stacks"),
        "evaluate": (training_verbs.evaluate, "evaluate sgbm --benchmark motorcycle"),
        "compare-on": (compare_on, "compare-on my_pairs --before lite --after my_room/gsstereo/train/lite"),
        "experiment": (experiment, "experiment room_a room_b --from weights --root pairs"),
        "sample-pairs": (training_verbs.sample_pairs, "sample-pairs pairs/train --count 2000"),
    },
}
"""Group in the help -> verb -> its function, and an example of its use. A verb of two words is one of a group."""

app = App(
    name="gsstereo",
    cls=Verbs,
    help="Photos of a scene in, rectified stereo pairs with trusted disparity labels out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_fleet = App(help="Work on many scenes, on this machine or on many", rich_markup_mode=None, no_args_is_help=True)
app.add_typer(_fleet, name="fleet", rich_help_panel="Many scenes")
for _group, _verbs in VERBS.items():
    for _name, (_verb, _example) in _verbs.items():
        _app = _fleet if _name.startswith("fleet ") else app
        _app.command(_name.split()[-1], epilog=f"Example: gsstereo {_example}", rich_help_panel=_group)(_verb)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Photos of a scene in, rectified stereo pairs with trusted disparity labels out."""


def main() -> None:
    """Entry point of the console script."""
    reuse_freed_memory()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names need not be text that the terminal can show
    app()


if __name__ == "__main__":
    main()
