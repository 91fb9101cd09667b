"""What the shell offers for the values of options, by the option's name. Nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import typer


def offered(*values: str) -> Callable[[str], list[str]]:
    """A completion from a fixed list."""

    def complete(incomplete: str) -> list[str]:
        return _beginning(values, incomplete)

    return complete


def _beginning(values: Iterable[str], incomplete: str) -> list[str]:
    return [value for value in values if value.startswith(incomplete)]


def _experts(incomplete: str) -> list[str]:
    from gs_stereo.labels.sources import source_names

    return _beginning(source_names(), incomplete)


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

    names = {path.stem for root in SHIPPED_ROOTS for path in root.glob(f"{folder}/*.yaml")}
    experts = {path.stem for root in SHIPPED_ROOTS for path in root.glob("configs/experts/*.yaml")}
    return sorted(names - experts)


def _made(kind: str) -> Callable[[typer.Context, str], list[str]]:
    """Names of published sets of the scene, such as its data sets."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        # An option without its value yet ends the parsing, so that a scene before it is among the rest.
        scenes = [word for word in ctx.args if not word.startswith("-")]
        scene = Path(scenes[0] if scenes else ctx.params.get("scene") or ".")
        output = Path(ctx.params.get("out") or scene / "gsstereo")
        folders = (path.name for path in output.glob(f"{kind}/*") if path.is_dir() and "." not in path.name)
        return _beginning(sorted(folders), incomplete)

    return complete


COMPLETIONS: dict[str, Callable[..., list[str]]] = {
    "backend": offered("auto", "cpu", "gsplat"),
    "config": _recipes,
    "dataset": _made("dataset"),
    "expert": _experts,
    "gps": offered("auto", "off"),
    "mapper": offered("incremental", "global"),
    "matcher": offered("auto", "exhaustive", "sequential", "retrieval"),
    "pairs": _made("pairs"),
    "preset": _presets,
    "strategy": offered("default", "mcmc", "none"),
    "views": offered("train", "interpolate", "perturb"),
}
