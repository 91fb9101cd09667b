"""The `gsstereo` command."""

from __future__ import annotations

from typing import Annotated

import typer

from gs_stereo import __version__
from gs_stereo.cli import (
    dataset_verbs,
    evaluate_verb,
    experiment_verb,
    export_verb,
    inspect_verbs,
    report_verb,
    run_verb,
    sample_pairs_verb,
    scene_verbs,
    synthesize_verb,
    train_verb,
    view_verb,
)
from gs_stereo.cli.help import App, Verbs
from gs_stereo.core.memory import reuse_freed_memory

app = App(
    name="gsstereo",
    cls=Verbs,
    help="Photos of a scene in, rectified stereo pairs with trusted disparity labels out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


run_verb.register(app)
scene_verbs.register(app)
sample_pairs_verb.register(app)
synthesize_verb.register(app)
dataset_verbs.register(app)
export_verb.register(app)
report_verb.register(app)
view_verb.register(app)
train_verb.register(app)
evaluate_verb.register(app)
experiment_verb.register(app)
inspect_verbs.register(app)


def main() -> None:
    """Entry point of the console script."""
    reuse_freed_memory()
    app()


if __name__ == "__main__":
    main()
