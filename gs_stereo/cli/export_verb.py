"""`gsstereo export`: a data set in the layout of other programs.

It is no pipeline stage. A stage publishes inside SCENE/gsstereo, beside a manifest, and is made again when its inputs
change; an export goes where the user wants it, often to another disk, holds nothing but what foreign loaders expect,
and is never replaced unasked. Where it comes from is in its own `export.json`.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gs_stereo.cli.options import Common, SceneArgument, given, shared_options
from gs_stereo.cli.tables import print_json

_REASONS = {"low_confidence": "their confidence is too low", "too_large": "the layout cannot hold so many pixels"}


@shared_options("set_", "out", "force", "json", "quiet")
def export(
    *,
    scene: SceneArgument = Path(),
    layout: Annotated[str, typer.Option("--format", help="{choices}.")],
    to: Annotated[Path, typer.Option("--to", help="Folder to make; must be new or empty.")],
    dataset: Annotated[
        str | None, typer.Option(help="Name of the data set, if the scene has several.", show_default=False)
    ] = None,
    min_confidence: Annotated[
        float | None, typer.Option(help="Leave out labels below this confidence, 0 to 1.", show_default="0")
    ] = None,
    common: Common,
) -> None:
    """Write a data set in the layout of another program's. SCENE may also be the folder of a data set.

    With --force an earlier export in the folder is replaced.
    """
    from gs_stereo.cli.running import refuse_stale_dataset
    from gs_stereo.config import merge, parse_config, parse_overrides
    from gs_stereo.datasets.export import export_dataset
    from gs_stereo.datasets.layouts.protocol import ExportConfig
    from gs_stereo.datasets.schema import find_dataset
    from gs_stereo.errors import ConfigError, InputError
    from gs_stereo.pipeline.scene import DATASETS_FOLDER, ScenePaths

    values = merge(parse_overrides(common.set_ or []), given(min_confidence=min_confidence))
    config = parse_config(ExportConfig, values, where="the options of export")
    for name, of in {"images": "foundationstereo", "max_shard_megabytes": "webdataset"}.items():
        if name in values and layout != of:
            raise ConfigError(f"The setting {name} has an effect only with --format {of}; leave it out.")
    paths = ScenePaths.of(scene, common.out)
    root = paths.published(DATASETS_FOLDER)
    source = root / dataset if dataset else find_dataset(root if common.out or scene.is_file() else scene)
    if not source.is_dir():
        known = ", ".join(sorted(paths.datasets())) or "none"
        raise InputError(f"There is no data set {dataset!r} in {root}; known are: {known}.")
    refuse_stale_dataset(source, paths if source.parent == root else None)
    summary = export_dataset(source, to, layout, config, force=common.force)
    if common.json:
        print_json({**asdict(summary), "dataset": str(source), "folder": str(to)})
        return
    share = summary.labels / summary.pixels if summary.pixels else 0.0
    print(
        f"{to}: {summary.samples} samples in {summary.layout} layout, {summary.files} files, {summary.bytes / 1e6:.1f} "
        f"MB, labels on {share:.1%} of the pixels, licence {summary.licence}."
    )
    for reason, count in summary.left_out.items():
        print(f"left out: {count} labels, {_REASONS[reason]}")
