"""`gsstereo synthesize`: the other eye of single photos."""

from pathlib import Path
from typing import Annotated

import typer

from gs_stereo.cli.options import Common, given, path_text, shared_options
from gs_stereo.cli.running import run_stage


@shared_options()
def synthesize(
    *,
    photo: Annotated[Path, typer.Argument(metavar="PHOTO|SCENE", help="A photo, or a folder of photos.")] = Path(),
    weights: Annotated[
        Path | None,
        typer.Option(help="Folder of prs-eth/stereospace-v1-0, or of train-synthesis.", show_default="small"),
    ] = None,
    baseline: Annotated[
        list[float] | None,
        typer.Option(
            help="To the generated eye, negative = to the left; may be repeated. In metres; with the small model in "
            "median depths of the photo.",
            show_default="0.15, small: 0.06",
        ),
    ] = None,
    target_disparity: Annotated[
        float | None, typer.Option(help="Instead: largest disparity wanted in px (98th percentile), measured on a try.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the sampler.", show_default="50, small: 1")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the set of pairs.", show_default="generated")] = None,
    common: Common,
) -> None:
    """Make the other eye of photos by diffusion (StereoSpace).

    The generated pixels are invented, not observed. Label the pairs with a matcher: `gsstereo label SCENE --pairs
    generated --expert lite`.
    """
    from gs_stereo.imaging.images import VIDEO_SUFFIXES

    scene, photos = photo, None
    if photo.is_file() and photo.suffix.lower() not in VIDEO_SUFFIXES:
        scene = photo.parent.parent if photo.parent.name == "images" else photo.parent
        photos = [photo.name]
    values = given(
        weights=path_text(weights),
        baselines=baseline or None,
        target_disparity_px=target_disparity,
        steps=steps,
        name=name,
        photos=photos,
    )
    run_stage("synthesize", scene, values, common)
