"""Writes docs/commands.md and docs/settings.md from the real command line and the real settings classes.

    python tools/write_reference.py

A test compares the pages with what this program would write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from gs_stereo.benchmarks.evaluate_matcher import EvaluateConfig
from gs_stereo.cli.help import SHARED_OPTIONS
from gs_stereo.cli.main import VERBS, app
from gs_stereo.config import Config
from gs_stereo.datasets.layouts.protocol import ExportConfig
from gs_stereo.stages.registry import STAGES
from gs_stereo.synthesis.evaluation_config import EvaluateSynthesisConfig
from gs_stereo.worlds.rooms.config import SampleConfig

DOCS = Path(__file__).parents[1] / "docs"
WRITTEN = "Written by `python tools/write_reference.py`; change the code, not this page."
EXIT_CODES = (
    (0, "done"),
    (2, "usage or configuration"),
    (3, "bad input"),
    (4, "a stage failed"),
    (5, "`report`: the verdict is fail"),
    (130, "interrupted; the same command goes on"),
)
STAGES_WITHOUT_VERB = ("import-splat", "evaluate", "compare")
OTHER_SETTINGS: dict[str, type[Config]] = {
    "evaluate": EvaluateConfig,
    "evaluate-synthesis": EvaluateSynthesisConfig,
    "export": ExportConfig,
    "sample": SampleConfig,
}


def commands_page() -> str:
    """Every verb with its options, in the groups of `gsstereo --help`."""
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    lines = [
        "# Commands",
        "",
        f"{WRITTEN} `gsstereo VERB --help` says the same.",
        "",
        "SCENE is a folder with photos, the current one by default. Results are in `SCENE/gsstereo/`; the photos are "
        "never touched. A second run does nothing, an interrupted one goes on. `gsstereo --install-completion` teaches "
        "your shell the verbs, options, experts, presets and data sets.",
        "",
        "| exit code | meaning |",
        "|---|---|",
        *(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES),
        "",
        "## Common options",
        "",
        "Each verb names those it takes.",
        "",
        *_options_table(_shared(verbs["run"])),
    ]
    for title, names in VERBS.items():
        lines += [f"## {title}", ""]
        for name in names:
            group, _, inner = name.rpartition(" ")
            lines += _verb(name, verbs[group].commands[inner] if group else verbs[name])
    return "\n".join(lines).rstrip() + "\n"


def _verb(name: str, verb: Any) -> Iterator[str]:
    verb.name_choices()
    arguments = [each for each in verb.params if each.param_type_name == "argument"]
    shared = _shared(verb)
    own = [each for each in verb.params if each not in (*arguments, *shared) and each.help and each.name != "help"]
    yield from (f"### {name}", "", " ".join(verb.help.split("\n\n")[0].split()), "")
    yield from (" ".join(text.split()) + "\n" for text in verb.help.split("\n\n")[1:])
    yield from (f"    {verb.epilog.removeprefix('Example: ')}", "")
    yield from _options_table([*arguments, *own])
    if shared:
        yield from (f"Common options: {', '.join(f'`{each.opts[0]}`' for each in shared)}.", "")


def _shared(verb: Any) -> list[Any]:
    return [each for each in verb.params if getattr(each, "rich_help_panel", None) == SHARED_OPTIONS]


def _options_table(parameters: list[Any]) -> Iterator[str]:
    if not parameters:
        return
    yield from ("| option | meaning |", "|---|---|")
    for each in parameters:
        if each.param_type_name == "argument":
            names = each.name.upper()
        else:
            names = ", ".join(f"`{name}`" for name in (*each.opts, *each.secondary_opts))
            names += f" {each.metavar}" if each.metavar else ""
        default = _default(each)
        yield f"| {names} | {each.help}{f' Default: {default}.' if default else ''} |"
    yield ""


def _default(parameter: Any) -> str:
    """What help shows as the default, or nothing."""
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    silent = not parameter.show_default or parameter.default in (None, False, True, [])
    return "" if silent else str(parameter.default)


def settings_page() -> str:
    """Every setting of every stage and tool, with its default."""
    lines = [
        "# Settings",
        "",
        f"{WRITTEN} Give them as `--set name=value`, with `run` as `--set stage.name=value`; nested names have dots. "
        "Files of `configs/` (presets) and `pipelines/` (recipes) hold the same names.",
        "",
    ]
    stages = {name: STAGES.load(name).config_type for name in STAGES.names() if name not in STAGES_WITHOUT_VERB}
    for name, config_type in {**stages, **OTHER_SETTINGS}.items():
        lines += [f"## {name}", "", "| setting | default | meaning |", "|---|---|---|"]
        lines += [f"| `{setting}` | `{value}` | {meaning} |" for setting, value, meaning in _settings(config_type)]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _settings(config_type: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for name, field in config_type.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        if isinstance(default, Config):
            yield from _settings(type(default), f"{prefix}{name}.")
        else:
            meaning = " ".join((field.description or "").split()).replace("|", "\\|")
            yield f"{prefix}{name}", _value(default), meaning


def _value(default: Any) -> str:
    """A default as it would be typed."""
    if default is None or isinstance(default, bool):
        return str(default).lower().replace("none", "null")
    if isinstance(default, list | tuple):
        return f"[{', '.join(map(_value, default))}]"
    return str(default)


PAGES = {"commands.md": commands_page, "settings.md": settings_page}


def main() -> None:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
