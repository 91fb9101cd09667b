"""`gsstereo advise`: where the next photos should be taken."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gs_stereo.cli.options import Common, SceneArgument, shared_options
from gs_stereo.cli.tables import print_json


@shared_options("out", "json", "quiet")
def advise(
    *,
    scene: SceneArgument = Path(),
    count: Annotated[int, typer.Option(min=1, max=20, help="How many photos.")] = 3,
    dataset: Annotated[
        str | None, typer.Option(help="Data set whose missing labels count; the last one, if there is any.")
    ] = None,
    common: Common,
) -> None:
    """Say where the next photos of a capture should be taken: stand here, look there.

    They go to surfaces that too few photos see from places that are apart, and that have no label. It needs a
    reconstruction, and knows more with labels.
    """
    from gs_stereo.core.records import json_values
    from gs_stereo.datasets.samples import DatasetSamples
    from gs_stereo.io.reconstruction import load_sparse_scene
    from gs_stereo.pipeline.scene import DATASETS_FOLDER, ScenePaths
    from gs_stereo.quality.advice import advise as find
    from gs_stereo.quality.advice import labels_of
    from gs_stereo.stages import reconstruct

    paths = ScenePaths.of(scene, common.out)
    name = dataset or next(reversed(paths.datasets()), None)
    labels = labels_of(DatasetSamples(paths.published(DATASETS_FOLDER) / name)) if name else {}
    found = find(load_sparse_scene(paths.published(reconstruct.FOLDER)), labels, count)
    if common.json:
        print_json(json_values(found))
    else:
        print(found.to_text())
