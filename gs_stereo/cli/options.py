"""Options that verbs share, added to their signatures by one decorator: all of them, or some."""

import functools
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from typer.models import ParameterInfo

from gs_stereo.cli.completion import completion
from gs_stereo.cli.failures import named
from gs_stereo.cli.help import SHARED_OPTIONS
from gs_stereo.core.cores import use_cores
from gs_stereo.log import setup_logging

SceneArgument = Annotated[
    Path, typer.Argument(help="Scene folder or video; the current folder by default.", show_default=False)
]
INTERRUPTED_EXIT_CODE = 130


def _shared(*names: str, **settings: Any) -> Any:
    return typer.Option(*names, show_default=False, rich_help_panel=SHARED_OPTIONS, **settings)


@dataclass(frozen=True, kw_only=True)
class Common:
    """What the shared options say."""

    out: Annotated[Path | None, _shared("--out", help="Write results here instead of SCENE/gsstereo.")] = None
    preset: Annotated[str | None, _shared("--preset", help="Preset of configs/: draft, fast or quality.")] = None
    set_: Annotated[
        list[str] | None,
        _shared("--set", metavar="NAME=VALUE", help="Override a setting; with run: STAGE.NAME=VALUE. Repeatable."),
    ] = None
    seed: Annotated[int | None, _shared("--seed", help="Seed of everything random; 0 by default.")] = None
    force: Annotated[bool, _shared("--force", help="Make it again although it is up to date.")] = False
    workers: Annotated[
        int | None, _shared("--workers", help="Processes for independent units; one a core by default.")
    ] = None
    threads: Annotated[
        int | None,
        _shared("--threads", min=1, help="Cores to use at most, workers included; all that this process may use."),
    ] = None
    dry_run: Annotated[bool, _shared("--dry-run", help="Say what would run and stop.")] = False
    json: Annotated[bool, _shared("--json", help="Print results as JSON on stdout.")] = False
    quiet: Annotated[bool, _shared("--quiet", "-q", help="Print only results and errors.")] = False


def shared_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give `verb(…, common: Common)` the shared options `names`, or all, and turn errors into exit codes.

    What is not offered keeps its default. The shell completes the values of options by their names.
    """
    hints = inspect.get_annotations(Common, eval_str=True)
    shared = [
        inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=item.default, annotation=hints[item.name])
        for item in fields(Common)
        if not names or item.name in names
    ]

    def give(verb: Callable[..., Any]) -> Callable[..., Any]:
        own = [
            item.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for item in inspect.signature(verb, eval_str=True).parameters.values()
            if item.name != "common"
        ]
        for item in [*own, *shared]:
            for info in get_args(item.annotation):
                if isinstance(info, ParameterInfo) and info.autocompletion is None:
                    info.autocompletion = completion(item.name)

        @functools.wraps(verb)
        def wrapper(**values: Any) -> None:
            common = Common(**{item.name: values.pop(item.name) for item in shared})
            use_cores(common.threads)
            setup_logging(quiet=common.quiet or common.json)
            try:
                verb(**values, common=common)
            except KeyboardInterrupt:
                print("gsstereo: interrupted; the same command goes on from here.", file=sys.stderr)
                raise typer.Exit(INTERRUPTED_EXIT_CODE) from None
            except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
                raise
            except Exception as error:
                told = named(error)
                print(f"gsstereo: {told}", file=sys.stderr)
                raise typer.Exit(told.exit_code) from None

        wrapper.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
        wrapper.__annotations__ = {item.name: item.annotation for item in [*own, *shared]}
        del wrapper.__wrapped__  # typer would look through it
        return wrapper

    return give


def given(**values: Any) -> dict[str, Any]:
    """The settings that were given on the command line: those that are not None or empty."""
    return {name: value for name, value in values.items() if value not in (None, [], {})}


def path_near_scene(path: Path | None, scene: Path) -> str | None:
    """A path as its user means it: in the scene if there is such a file, else from the current folder."""
    return None if path is None else path_text(scene / path if (scene / path).exists() else path)


def path_text(path: Path | None) -> str | None:
    """An absolute path as text for the settings, which outlive the current folder."""
    return str(path.resolve()) if path else None


def weights_text(path: Path | None) -> str | None:
    """Like `path_text`, but the name of a shipped net stays a name."""
    from gs_stereo.nets.shipped import located

    return str(path) if path and located(path) != path else path_text(path)
