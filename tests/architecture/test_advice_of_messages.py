"""What messages advise exists: every verb, option and setting that a text of the program names."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import typer.main

from gs_stereo.cli.main import app
from gs_stereo.matching.checkpoint_config import CheckpointConfig
from gs_stereo.matching.foundation_stereo_config import FoundationStereoConfig
from gs_stereo.matching.onnx_config import OnnxConfig

ROOT = Path(__file__).parents[2]
# Of pip, COLMAP, git and the like; and what stands for any option.
FOREIGN_OPTIONS = {"--set", "--help", "--version"}
WANTED = r"\b(?:set|lower|raise|correct) '?\"?([a-z]+[_.][a-z_0-9.]*[a-z]|[a-z]+(?==))"
"""A setting after a verb that tells to change it."""


@cache
def messages() -> tuple[tuple[str, str], ...]:
    """Where, and the text, of every string with spaces that is no docstring; what is filled in is `{}`."""
    found = []
    for file in sorted((ROOT / "gs_stereo").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.JoinedStr(values=values):
                    text = "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in values)
                case ast.Constant(value=str(text)):
                    pass
                case _:
                    continue
            if " " in text:
                found.append((f"{file.relative_to(ROOT)}:{node.lineno}", text))
    return tuple(found)


def named(pattern: str) -> dict[str, str]:
    """What the messages name, and where."""
    found = {}
    for where, text in messages():
        for name in re.findall(pattern, text):
            found.setdefault(name, where)
    return found


@cache
def verbs() -> dict[str, set[str]]:
    """The options of each verb."""
    commands, found = [("", typer.main.get_command(app))], {}
    while commands:
        name, command = commands.pop()
        found[name] = {
            option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]
        }
        commands += [(f"{name} {inner}".strip(), each) for inner, each in getattr(command, "commands", {}).items()]
    return found


def settings() -> set[str]:
    """Every setting of a verb, as docs/settings.md lists them, and those of experts that need one to be there."""
    rows = re.findall(r"^\| `([a-z_0-9.]+)` \|", (ROOT / "docs/settings.md").read_text("utf-8"), re.MULTILINE)
    experts = {"onnx": OnnxConfig, "foundationstereo": FoundationStereoConfig, "checkpoint": CheckpointConfig}
    inner = {f"experts.{name}.{field}" for name, kind in experts.items() for field in kind.model_fields}
    prefixes = {".".join(name.split(".")[:depth]) for name in rows for depth in range(1, name.count(".") + 1)}
    return {*rows, *inner, *prefixes}


def test_every_verb_that_a_message_names_is_there() -> None:
    unknown = {v: w for v, w in named(r"`gsstereo ([a-z][a-z-]*)").items() if v not in verbs()}
    assert unknown == {}


def test_every_option_that_a_message_names_is_there() -> None:
    known = {option for options in verbs().values() for option in options} | FOREIGN_OPTIONS
    unknown = {o: w for o, w in named(r"(?<![\w{}-])(--[a-z][a-z0-9-]*[a-z0-9])(?![\w{}])").items() if o not in known}
    assert unknown == {}


def test_every_option_that_a_message_gives_to_a_verb_is_one_of_that_verb() -> None:
    wrong = {}
    for where, text in messages():
        for command in re.findall(r"`gsstereo ([^`]*)`", text):
            words = command.split()
            verb = next((v for v in (" ".join(words[:2]), words[0]) if v in verbs()), None)
            for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]", command):
                if verb is not None and option not in verbs()[verb] | FOREIGN_OPTIONS:
                    wrong[f"{verb} {option}"] = where
    assert wrong == {}


def test_every_setting_that_a_message_wants_to_be_changed_is_there() -> None:
    known = settings()
    stages = {verb.split()[0] for verb in verbs() if verb} | {"compare"}
    unknown = {}
    for name, where in named(WANTED).items():
        stage, _, rest = name.partition(".")
        if name not in known and not (stage in stages and (rest in known or stage == "compare")):
            unknown[name] = where
    assert unknown == {}
