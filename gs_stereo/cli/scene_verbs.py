"""Verbs that make something of a scene: sample, reconstruct, import, fit, render-pairs."""

from pathlib import Path
from typing import Annotated

import typer

from gs_stereo.cli.options import Common, SceneArgument, given, path_near_scene, shared_options
from gs_stereo.cli.running import run_stage
from gs_stereo.cli.tables import print_json


@shared_options("set_", "seed", "threads", "json", "quiet")
def sample(
    *,
    folder: Annotated[Path, typer.Argument(help="Folder to make; must be new or empty.")],
    views: Annotated[int | None, typer.Option(help="Number of photos.", show_default="24")] = None,
    width: Annotated[int | None, typer.Option(help="Width in pixels.", show_default="640")] = None,
    height: Annotated[int | None, typer.Option(help="Height in pixels.", show_default="480")] = None,
    hard: Annotated[
        bool,
        typer.Option("--hard", help="Blank walls, lacquer, mirrors, foliage, thin rods; another room for every seed."),
    ] = False,
    wild: Annotated[
        bool, typer.Option("--wild", help="As phones take photos: exposure, blur, noise, people who pass.")
    ] = False,
    common: Common,
) -> None:
    """Write a capture with exact depth, disparity and occlusion, to try things on without a download."""
    from dataclasses import asdict

    from gs_stereo.config import merge, parse_config, parse_overrides
    from gs_stereo.worlds.rooms.config import SampleConfig
    from gs_stereo.worlds.rooms.write import write_sample

    values = merge(
        parse_overrides(common.set_ or []),
        given(views=views, width=width, height=height, hard=hard or None, wild=wild or None),
    )
    summary = write_sample(folder, parse_config(SampleConfig, values, where="the options of sample"), common.seed or 0)
    if common.json:
        print_json({**asdict(summary), "folder": str(folder)})
        return
    near, far = summary.depth_range_m
    print(f"{folder}: {summary.views} photos, {summary.test_views} test views, depth {near:.2f} to {far:.2f} m.")
    print(f"Next: gsstereo run {folder} --config demo")


@shared_options()
def reconstruct(
    *,
    scene: SceneArgument = Path(),
    images: Annotated[
        Path | None, typer.Option(help="Photo folder or video; by default SCENE/images, a video in SCENE, or SCENE.")
    ] = None,
    max_image_size: Annotated[int | None, typer.Option(help="Longest edge of the photos used, px.")] = None,
    matcher: Annotated[str | None, typer.Option(help="auto, exhaustive, sequential or retrieval.")] = None,
    mapper: Annotated[str | None, typer.Option(help="{choices}.")] = None,
    metres_per_unit: Annotated[float | None, typer.Option(help="Metres in one unit of the normalised frame.")] = None,
    known_distance: Annotated[
        tuple[str, str, float] | None,
        typer.Option(metavar="PHOTO PHOTO METRES", help="Distance between the cameras of two photos."),
    ] = None,
    camera_positions: Annotated[Path | None, typer.Option(help="File with lines: photo x y z, in metres.")] = None,
    gps: Annotated[str | None, typer.Option(help="{choices}: scale from the photos' GPS.")] = None,
    common: Common,
) -> None:
    """Find the cameras of the photos (structure from motion)."""
    values = given(
        images=path_near_scene(images, scene),
        max_image_size=max_image_size,
        matcher=matcher,
        mapper=mapper,
        metres_per_unit=metres_per_unit,
        known_distance=known_distance,
        camera_positions=path_near_scene(camera_positions, scene),
        gps=gps,
    )
    run_stage("reconstruct", scene, values, common)


@shared_options()
def import_scene(
    *,
    scene: SceneArgument = Path(),
    colmap: Annotated[Path | None, typer.Option(help="COLMAP model folder (text or binary).")] = None,
    images: Annotated[Path | None, typer.Option(help="Photo folder of the COLMAP model.")] = None,
    transforms: Annotated[Path | None, typer.Option(help="transforms.json of nerfstudio or instant-ngp.")] = None,
    capture: Annotated[
        Path | None, typer.Option(help="Folder of Polycam (raw data) or Record3D (frames), in metres.")
    ] = None,
    splat: Annotated[
        Path | None, typer.Option(help="A 3DGS .ply, an .spz or an .sog in the frame of the cameras.")
    ] = None,
    metres_per_unit: Annotated[float | None, typer.Option(help="Metres in one unit of the given frame.")] = None,
    max_image_size: Annotated[int | None, typer.Option(help="Longest edge of the photos used, px.")] = None,
    refine: Annotated[
        str | None,
        typer.Option(help="Adjust poses to the photos where held-out matches then agree better: {choices}."),
    ] = None,
    share_intrinsics: Annotated[
        bool, typer.Option("--share-intrinsics", help="One camera for all photos of one size: the median of theirs.")
    ] = False,
    common: Common,
) -> None:
    """Bring your own cameras (the frame is kept, and poses, unless the photos say better) or your own splat."""
    from gs_stereo.errors import ConfigError

    if colmap is None and transforms is None and capture is None and splat is None:
        raise ConfigError("Nothing to import; give --colmap and --images, --transforms, --capture, or --splat.")
    if colmap is not None or transforms is not None or capture is not None:
        values = given(
            colmap=path_near_scene(colmap, scene),
            images=path_near_scene(images, scene),
            transforms=path_near_scene(transforms, scene),
            capture=path_near_scene(capture, scene),
            metres_per_unit=metres_per_unit,
            max_image_size=max_image_size,
            refine=refine,
            share_intrinsics=share_intrinsics or None,
        )
        run_stage("import", scene, values, common)
    if splat is not None:
        run_stage("import-splat", scene, given(splat=path_near_scene(splat, scene)), common)


@shared_options()
def fit(
    *,
    scene: SceneArgument = Path(),
    backend: Annotated[str | None, typer.Option(help="{choices}.")] = None,
    iterations: Annotated[int | None, typer.Option(help="Training steps.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Densification: {choices}.")] = None,
    common: Common,
) -> None:
    """Learn the scene as 3D Gaussians.

    Every eighth photo is held out to measure the quality of new views, so the views there are the worst of the set; for
    a data set to keep, fit to all photos with `--set test_every=0` (with run: `--set fit.test_every=0`).
    """
    run_stage("fit", scene, given(backend=backend, iterations=iterations, strategy=strategy), common)


@shared_options()
def render_pairs(
    *,
    scene: SceneArgument = Path(),
    baseline: Annotated[
        list[float] | None, typer.Option(help="Scene units (metres if the scale is known); may be repeated.")
    ] = None,
    target_disparity: Annotated[
        list[float] | None,
        typer.Option(help="Choose each view's baseline so that its median disparity is this, px; may be repeated."),
    ] = None,
    views: Annotated[str | None, typer.Option(help="{choices}, or cameras: a JSON file or COLMAP model.")] = None,
    stack_views: Annotated[
        int | None, typer.Option(help="Instead: rectified stacks of so many views with depth, spread over the capture.")
    ] = None,
    rig: Annotated[
        Path | None,
        typer.Option(help="Pairs as this stereo camera would see them: a rig file, or its calibration (docs/rig.md)."),
    ] = None,
    objects: Annotated[
        int | None, typer.Option(help="Virtual objects with exact labels in each pair, for training.", show_default="0")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Width of the pairs, px; the photo's by default.")] = None,
    height: Annotated[int | None, typer.Option(help="Height of the pairs, px; the photo's by default.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of this set of pairs.", show_default="default")] = None,
    common: Common,
) -> None:
    """Render rectified stereo pairs with depth."""
    from gs_stereo.cli.completion import CHOICES

    file = views is not None and views not in CHOICES["views"]()
    values = given(
        baselines=baseline,
        target_disparity_px=target_disparity,
        views="file" if file else views,
        views_file=path_near_scene(Path(views), scene) if file and views else None,
        stack_views=stack_views,
        rig=path_near_scene(rig, scene),
        objects=objects,
        width=width,
        height=height,
        name=name,
    )
    run_stage("render-pairs", scene, values, common)
