"""The documentation is true: commands are ones that the command line takes, links lead somewhere, pages are fresh."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import write_reference
from builders import SAMPLE_SHAPE, make_dataset
from typer.testing import CliRunner

from gs_stereo.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docker/README.md", *sorted((ROOT / "docs").glob("*.md"))]
NET_CARD = ROOT / "gs_stereo/nets/lite/weights/README.md"
WITHOUT_DRY_RUN = ("sample", "status", "doctor", "view", "export", "fleet", "advise")
PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]+\b")


def commands(page: Path) -> list[str]:
    """Every `gsstereo VERB ...` of a page: lines of code, without comments, and code within a sentence."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [part for line in re.findall(r"^    (gsstereo .*)$", text, re.M) for part in line.split(" && ")]
    spans = re.findall(r"`(gsstereo [^`\n]+)`", re.sub(r"^    .*$|^```.*?^```", "", text, flags=re.M | re.S))
    return [line.split("  #")[0].strip() for line in lines + spans]


def complaint(command: str) -> str | None:
    """What the command line has against a command. Nothing is run.

    A verb without options may be no more than its name, and some have no --dry-run: these are asked for their help.
    """
    words = shlex.split(PLACEHOLDER.sub(lambda match: match[0].lower(), command))[1:]
    if words[0].startswith("--") or words[0] == "verb":
        return None
    plain = words[0] in WITHOUT_DRY_RUN or not any(word.startswith("--") for word in words)
    result = CliRunner().invoke(app, [*words, "--help" if plain else "--dry-run"])
    return result.stderr.strip() if result.exit_code not in (0, 3) else None


@pytest.fixture
def scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an empty folder for every scene that the pages speak of."""
    for name in ("my_room", "demo", "room_a", "door", "fountain", "kermit"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [*PAGES, NET_CARD], ids=lambda page: str(page.relative_to(ROOT)))
def test_the_command_line_takes_every_command(page: Path, scenes: Path) -> None:
    wrong = {command: problem for command in dict.fromkeys(commands(page)) if (problem := complaint(command))}
    assert not wrong
    assert [path for path in scenes.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("scenes")
def test_wrong_commands_would_be_found() -> None:
    wrong = (
        "gsstereo fitt my_room",
        "gsstereo fit my_room --iteration 5",
        "gsstereo fit my_room --set iteration=5",
        "gsstereo fit my_room --strategy nope",
        "gsstereo run my_room --set fit.iteration=5",
        "gsstereo run my_room --config nope",
        "gsstereo label my_room --expert nope",
        "gsstereo export my_room --form kitti --to x",
        "gsstereo evaluate lite --benchmark nope",
    )
    assert [command for command in wrong if complaint(command) is None] == []


@pytest.mark.parametrize("name", ["README.md", "docs/datasets.md"])
def test_the_python_code_runs(name: str, scenes: Path) -> None:
    make_dataset(scenes / "my_room/gsstereo/dataset/fused", 2)
    [code] = re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.M | re.S)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["disparity"].shape == names["valid"].shape == (2, 1, *SAMPLE_SHAPE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        titles = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.M) if heading else []
        anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
        assert not heading or heading in anchors, target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"\b((?:gs_stereo|tests|tools|configs|pipelines|docker)/[\w./-]*)", text)
    assert [path for path in named if not (ROOT / path.rstrip(".")).exists()] == []


def test_the_readme_leads_to_every_page_and_stays_short() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES[3:] if f"(docs/{page.name}" not in readme] == []
    assert len(readme.splitlines()) <= 100


@pytest.mark.parametrize("name", write_reference.PAGES)
def test_the_reference_is_fresh(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == write_reference.PAGES[name](), "run `python tools/write_reference.py`"


def said_by_the_program() -> str:
    """All texts of the package, with {} for what is put into them."""
    texts = []
    for path in sorted((ROOT / "gs_stereo").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def test_the_program_says_what_the_page_of_troubles_quotes() -> None:
    page = (ROOT / "docs/when_it_does_not_work.md").read_text(encoding="utf-8")
    cells = [line.split("|")[2] for line in page.splitlines() if line.count("|") == 4]
    quoted = [quote for cell in cells for quote in re.findall(r'"([^"]+)"', cell)]
    parts = [part.strip() for quote in quoted for part in quote.split("...") if len(part.strip()) > 3]
    said = said_by_the_program()
    assert len(parts) > 35
    assert [part for part in parts if part not in said] == []
