"""How help is laid out: verbs in groups, and the options that verbs share apart from a verb's own."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

SHARED_OPTIONS = "Common options"
_CHOICES = "{choices}"


class Verb(TyperCommand):
    """A verb whose help lists its own options first. `{choices}` in a help text stands for the values of the option."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self.name_choices()
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], SHARED_OPTIONS: []}
        for parameter in self.get_params(ctx):
            shared = getattr(parameter, "rich_help_panel", None) == SHARED_OPTIONS
            own = "Arguments" if parameter.param_type_name == "argument" else "Options"
            if (record := parameter.get_help_record(ctx)) is not None:
                sections[SHARED_OPTIONS if shared else own].append(record)
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        self.name_choices()
        return super().shell_complete(ctx, incomplete)

    def name_choices(self) -> None:
        """Put the names in; only now, because looking them up imports things."""
        from gs_stereo.cli.completion import CHOICES

        for parameter in self.params:
            text = getattr(parameter, "help", None) or ""
            if _CHOICES in text:
                parameter.help = text.replace(_CHOICES, ", ".join(CHOICES[str(parameter.name)]()))  # type: ignore[attr-defined]


class Verbs(TyperGroup):
    """The list of verbs, in the groups of their help panels, each with its whole first sentence."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for name, verb in self.commands.items():
            sentence = str(verb.help or "").split(". ")[0].split("\n\n")[0].rstrip(".")
            groups.setdefault(getattr(verb, "rich_help_panel", None) or "More", []).append((name, sentence))
        for title, rows in groups.items():
            with formatter.section(title):
                formatter.write_dl(rows)


class App(typer.Typer):
    """A Typer application whose verbs are `Verb`s."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        return super().command(name, **{"cls": Verb, **settings})
