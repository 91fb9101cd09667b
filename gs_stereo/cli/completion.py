"""Values of options: what help names and the shell offers, by the option's name, from the registries the verbs use.

Nothing heavy is imported. Names whose registry would load torch are written out; a test compares them with it.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import typer


def _loaded(target: str) -> Any:
    """What `module:name` names, below gs_stereo."""
    module, _, name = target.partition(":")
    return getattr(import_module(f"gs_stereo.{module}"), name)


def _registered(target: str) -> Callable[[], list[str]]:
    return lambda: _loaded(target).names()


def _allowed(target: str, setting: str) -> Callable[[], list[str]]:
    """What a setting's Literal allows."""
    return lambda: [str(value) for value in get_args(_loaded(target).model_fields[setting].annotation)]


CHOICES: dict[str, Callable[[], list[str]]] = {
    "after": _registered("matching.protocol:MATCHERS"),
    "backend": lambda: ["auto", "cpu", "gsplat"],
    "before": _registered("matching.protocol:MATCHERS"),
    "benchmark": _registered("benchmarks.protocol:BENCHMARKS"),
    "executor": _registered("executors.registry:EXECUTORS"),
    "expert": lambda: _loaded("labels.sources:source_names")(),
    "fuse": lambda: ["multibaseline", *_loaded("matching.protocol:MATCHERS").names()],
    "gps": _allowed("sfm.config:ReconstructConfig", "gps"),
    "layout": _registered("datasets.layouts.protocol:EXPORTERS"),
    "mapper": _allowed("sfm.config:ReconstructConfig", "mapper"),
    "matcher": _allowed("sfm.config:ReconstructConfig", "matcher"),
    "missing": _allowed("benchmarks.evaluate_matcher:EvaluateConfig", "missing"),
    "model": _registered("matching.protocol:MATCHERS"),
    "net": lambda: ["lite", "raft_stereo"],
    "refine": _allowed("sfm.config:ImportConfig", "refine"),
    "strategy": _allowed("splat.config:FitConfig", "strategy"),
    "synthesizer": _registered("synthesis.protocol:SYNTHESIZERS"),
    "views": lambda: [value for value in _allowed("splat.pairs_config:PairsConfig", "views")() if value != "file"],
}


def completion(option: str) -> Callable[..., list[str]] | None:
    """What the shell offers for an option of this name; None if it offers nothing."""
    choices = CHOICES.get(option)
    if choices is None:
        return _FROM_FILES.get(option)

    def complete(incomplete: str) -> list[str]:
        return _beginning(choices(), incomplete)

    return complete


def _beginning(values: list[str], incomplete: str) -> list[str]:
    return [value for value in values if value.startswith(incomplete)]


def _recipes(incomplete: str) -> list[str]:
    """Shipped recipes, and recipe files from here."""
    files = [str(path) for path in Path().glob(f"{incomplete}*.yaml")] if incomplete.strip(".") else []
    return [*_beginning(_shipped("pipelines"), incomplete), *files]


def _presets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Presets of the verb's stage, or of any stage for `run`."""
    stage = "*" if ctx.info_name in ("run", "status") else str(ctx.info_name)
    return _beginning(_shipped(f"configs/{stage}"), incomplete)


def _shipped(folder: str) -> list[str]:
    from gs_stereo.config import SHIPPED_ROOTS

    files = {path for root in SHIPPED_ROOTS for path in root.glob(f"{folder}/*.yaml")}
    return sorted({path.stem for path in files if path.parent.name != "experts"})


def _published(kind: str) -> Callable[[typer.Context, str], list[str]]:
    """Names of published sets of the scene, such as its data sets."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        # An option without its value yet ends the parsing, so that a scene before it is among the rest.
        scenes = [word for word in ctx.args if not word.startswith("-")]
        scene = Path(scenes[0] if scenes else ctx.params.get("scene") or ".")
        output = Path(ctx.params.get("out") or scene / "gsstereo")
        folders = (path.name for path in output.glob(f"{kind}/*") if path.is_dir() and "." not in path.name)
        return _beginning(sorted(folders), incomplete)

    return complete


_FROM_FILES: dict[str, Callable[..., list[str]]] = {
    "config": _recipes,
    "dataset": _published("dataset"),
    "pairs": _published("pairs"),
    "preset": _presets,
}
