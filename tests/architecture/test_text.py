"""The project's text names no path of somebody's machine."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("gs_stereo", "tools", "tests", "configs", "pipelines", "docker", "docs")
SUFFIXES = {".py", ".cpp", ".h", ".md", ".yaml", ".css", ".js"}


def test_no_path_of_a_machine() -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    assert len(files) > 400
    named = re.compile(r"(?<![\w.])/(?:home|root|work)/(?!\|)")
    found = [str(path.relative_to(ROOT)) for path in files if named.search(path.read_text(encoding="utf-8"))]
    assert found == []
