"""`gsstereo view`: a scene in the browser."""

import json
import threading
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from gs_stereo.cli.options import Common, SceneArgument, shared_options
from gs_stereo.errors import InputError, PluginError
from gs_stereo.log import logger


@shared_options("out", "json", "quiet")
def view(
    *,
    scene: SceneArgument = Path(),
    dataset: Annotated[str | None, typer.Option(help="Data set whose label is shown at first.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback is open to others.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; the next free one if it is taken.")] = 8080,
    backend: Annotated[str, typer.Option(help="Rasterizer of the live pair: {choices}.")] = "auto",
    common: Common,
) -> None:
    """Look at the splat, the cameras, the labels and a live stereo pair in the browser. Ctrl-C ends it."""
    from gs_stereo.config import parse_config
    from gs_stereo.pipeline.chain import Chain
    from gs_stereo.pipeline.scene import ScenePaths
    from gs_stereo.stages.registry import STAGES
    from gs_stereo.viewer.config import ViewerConfig
    from gs_stereo.viewer.published import published_contents

    config = parse_config(ViewerConfig, {"host": host, "port": port}, where="the options of view")
    paths = ScenePaths.of(scene, common.out)
    try:
        from gs_stereo.viewer.server import Viewer
    except ImportError as error:
        raise PluginError(
            f"The viewer needs the package viser ({error}); install it with: pip install 'gs_stereo[viewer]'."
        ) from error
    contents = published_contents(paths, backend)
    if contents.is_empty:
        raise InputError(f"There is nothing to see in {paths.output} yet. {contents.notes[0]}")
    if dataset is not None and dataset not in contents.datasets:
        known = ", ".join(contents.datasets) or "none"
        raise InputError(f"There is no data set {dataset!r} in {paths.output}; there are: {known}.")
    with suppress(InputError):  # a broken part is a note of the viewer
        if stale := Chain(paths, STAGES).sentence():
            logger.warning(stale)
    if not config.is_local:
        logger.warning(
            "Warning: nothing is encrypted; whoever sees the address or the traffic of %s, port %d, sees this scene.",
            config.host,
            config.port,
        )
    viewer = Viewer(contents, config, dataset)
    try:
        said = (
            json.dumps({"url": viewer.url})
            if common.json
            else f"Open {viewer.url} in a browser; Ctrl-C ends the viewer."
        )
        print(said, flush=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        logger.info("The viewer is closed.")
    finally:
        viewer.stop()
