"""`gsstereo view`: a scene in the browser."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gs_stereo.cli.completion import COMPLETIONS
from gs_stereo.cli.options import SceneArgument, with_errors
from gs_stereo.errors import InputError, PluginError
from gs_stereo.log import logger, setup_logging

if TYPE_CHECKING:
    from gs_stereo.pipeline.scene import ScenePaths
    from gs_stereo.viewer.contents import SceneContents
    from gs_stereo.viewer.server import Viewer


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("view", epilog="Example: gsstereo view my_room --dataset splat")(view)


def view(
    scene: SceneArgument = Path(),
    dataset: Annotated[
        str | None,
        typer.Option(help="Data set whose label is shown at first.", autocompletion=COMPLETIONS["dataset"]),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback is open to others.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; the next free one if it is taken.")] = 8080,
    backend: Annotated[str, typer.Option(help="Rasterizer of the live pair: auto, cpu or gsplat.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Folder of the results, if not SCENE/gsstereo.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the address as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the address and errors.")] = False,
) -> None:
    """Look at the splat, the cameras, the labels and a live stereo pair in the browser. Ctrl-C ends it."""
    setup_logging(quiet=quiet or as_json)
    wish = _Wish(scene=scene, out=out, dataset=dataset, backend=backend, as_json=as_json)
    with_errors(lambda: _serve(wish, {"host": host, "port": port}))


@dataclass(frozen=True, kw_only=True)
class _Wish:
    """What is to be seen, and how its address is said."""

    scene: Path
    out: Path | None
    dataset: str | None
    backend: str
    as_json: bool


def _serve(wish: _Wish, values: Mapping[str, Any]) -> None:
    """Show the scene until Ctrl-C."""
    from gs_stereo.config import parse_config
    from gs_stereo.pipeline.scene import ScenePaths
    from gs_stereo.viewer.config import ViewerConfig

    config = parse_config(ViewerConfig, values, where="the options of view")
    paths = ScenePaths.of(wish.scene, wish.out)
    viewer_type = _viewer_type()
    contents = _contents(wish, paths)
    if not config.is_local:
        logger.warning(
            "Warning: there is no password; whoever can reach %s, port %d, can look at this scene.",
            config.host,
            config.port,
        )
    viewer = viewer_type(contents, config, wish.dataset)
    try:
        _announce(viewer.url, wish.as_json)
        threading.Event().wait()
    except KeyboardInterrupt:
        logger.info("The viewer is closed.")
    finally:
        viewer.stop()


def _viewer_type() -> type[Viewer]:
    try:
        from gs_stereo.viewer.server import Viewer
    except ImportError as error:
        raise PluginError(
            f"The viewer needs the package viser ({error}); install it with: pip install 'gs_stereo[viewer]'."
        ) from error
    return Viewer


def _contents(wish: _Wish, paths: ScenePaths) -> SceneContents:
    """What there is to see; InputError if that is nothing, or not the data set that was asked for."""
    from gs_stereo.viewer.published import published_contents

    contents = published_contents(paths, wish.backend)
    if contents.is_empty:
        raise InputError(f"There is nothing to see in {paths.output} yet. {contents.notes[0]}")
    if wish.dataset is not None and wish.dataset not in contents.datasets:
        known = ", ".join(contents.datasets) or "none"
        raise InputError(f"There is no data set {wish.dataset!r} in {paths.output}; there are: {known}.")
    return contents


def _announce(url: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"url": url}), flush=True)
    else:
        print(f"Open {url} in a browser; Ctrl-C ends the viewer.", flush=True)
