"""The project's text: nothing but plain characters in code, and no path of somebody's machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("gs_stereo", "tests") for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_explains_itself(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith('"""'), "the first line must be a docstring"
    assert not re.search(r"(?<![\w.])/(?:home|root|work)/", text), "a path of somebody's machine"
