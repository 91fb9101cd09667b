"""`gsstereo report`: the verdict on a data set, with a page to look at. Its exit code says fail, for use in scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gs_stereo.cli.options import Common, SceneArgument, given, with_common

FAILED_VERDICT_EXIT_CODE = 5


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("report", epilog="Example: gsstereo report my_room --json")(report)


@with_common
def report(
    *,
    scene: SceneArgument = Path(),
    dataset: Annotated[
        str | None, typer.Option(help="Name of the data set; the one that was written last by default.")
    ] = None,
    common: Common,
) -> None:
    """Judge a data set (pass, look closer or fail, with reasons) and write an HTML page about it.

    SCENE may also be the folder of a data set.
    Exit code 0: pass or look closer; 5: fail.
    """
    from gs_stereo.cli.dataset_place import of_scene
    from gs_stereo.cli.running import run_stage
    from gs_stereo.cli.tables import print_json
    from gs_stereo.report.stage import PAGE_NAME

    scene, dataset, common = of_scene(scene, dataset, common)
    reports = run_stage("report", scene, given(dataset=dataset), common, printing=False)
    for done in reports:
        page = done.folder / PAGE_NAME
        if common.json:
            print_json({"scene": str(scene.resolve()), "page": str(page), **done.manifest.metrics})
        else:
            print(done.manifest.text)
            print(f"The report is {page}")
        if done.manifest.metrics.get("verdict") == "fail":
            raise typer.Exit(FAILED_VERDICT_EXIT_CODE)
