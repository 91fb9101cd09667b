"""A data set named by its folder, where a verb expects a scene."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gs_stereo.cli.options import Common


def of_scene(folder: Path, dataset: str | None, common: Common) -> tuple[Path, str | None, Common]:
    """The scene, the name of the data set and the options that `folder` means.

    A data set lies in OUTPUT/dataset/NAME: its folder stands for that output and name. A scene stays what it is.
    Raises InputError for a data set that lies elsewhere, or whose name or output was given too.
    """
    from gs_stereo.datasets.schema import INDEX_NAME
    from gs_stereo.errors import InputError
    from gs_stereo.pipeline.scene import DATASETS_FOLDER, OUTPUT_FOLDER

    if not (folder / INDEX_NAME).is_file():
        return folder, dataset, common
    place = folder.resolve()
    if dataset is not None or common.out is not None:
        raise InputError(f"{folder} is a data set itself; leave out --dataset and --out, or name its scene.")
    if place.parent.name != DATASETS_FOLDER:
        raise InputError(f"The data set {folder} lies in no folder of results (OUTPUT/dataset/NAME); move it there.")
    output = place.parent.parent
    scene = output.parent if output.name == OUTPUT_FOLDER else output
    return scene, place.name, replace(common, out=output)
