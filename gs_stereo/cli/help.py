"""How help is laid out: verbs in groups, and the options that verbs share apart from a verb's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

SHARED_OPTIONS = "Common options"
GROUPS = {
    "The whole way": ("run", "sample", "status", "doctor"),
    "Step by step": ("reconstruct", "import", "fit", "render-pairs", "label", "evaluate-labels", "synthesize"),
    "Look and judge": ("report", "view"),
    "Use the labels": ("export", "train", "evaluate", "experiment", "sample-pairs"),
}
_OTHERS = "More"


class Verb(TyperCommand):
    """A verb whose help lists its own options first."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], SHARED_OPTIONS: []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections[_section(parameter)].append(record)
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _section(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    return SHARED_OPTIONS if getattr(parameter, "rich_help_panel", None) == SHARED_OPTIONS else "Options"


class Verbs(TyperGroup):
    """The list of verbs, in groups, each with its whole first sentence."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        grouped = {name for names in GROUPS.values() for name in names}
        others = tuple(name for name in self.commands if name not in grouped)
        for title, names in {**GROUPS, _OTHERS: others}.items():
            rows = [(name, _first_sentence(self.commands[name])) for name in names if name in self.commands]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _first_sentence(command: Any) -> str:
    return str(command.help or "").split(". ")[0].split("\n\n")[0].rstrip(".")


class App(typer.Typer):
    """A Typer application whose verbs are `Verb`s."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        return super().command(name, **{"cls": Verb, **settings})
