"""The program that runs in the user's own FoundationStereo environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gs_stereo.core.child import Child, Program
from gs_stereo.matching import expert_worker
from gs_stereo.matching.foundation_stereo import their_environment

ROOT = Path(__file__).parents[3]
WORKER = Path(expert_worker.__file__)


def test_our_python_path_stays_out_of_their_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert "PYTHONPATH" not in their_environment()
    assert their_environment()["PYTHONDONTWRITEBYTECODE"] == "1"


def test_the_worker_answers_where_this_package_is_not_installed(tmp_path: Path) -> None:
    """A request that it cannot fulfil, which tells that it was read."""
    command = [sys.executable, "-S", "-I", str(WORKER)]
    with Child(Program(name="x", command=command, environment=their_environment(), folder=tmp_path)) as child:
        answer = child.request({"kind": "start", "settings": {"repo": str(tmp_path)}}, timeout_s=60)
    assert answer.header["kind"] == "error"
    assert "torch" in answer.header["message"]


def test_the_worker_imports_nothing_of_this_package_and_no_neighbour(tmp_path: Path) -> None:
    """It must run where this package is not installed, although the names in its folder hide well-known ones."""
    code = (
        f"import runpy, sys; sys.argv = [{str(WORKER)!r}]; sys.path.insert(0, {str(WORKER.parent)!r})\n"
        f"module = runpy.run_path({str(WORKER)!r}, run_name='worker'); module['_import_from']({str(tmp_path)!r})\n"
        "assert not [name for name in sys.modules if name.startswith(('gs_stereo', 'numpy', 'torch'))]\n"
        f"assert sys.path[0] == {str(tmp_path)!r} and {str(WORKER.parent)!r} not in sys.path"
    )
    subprocess.run([sys.executable, "-S", "-I", "-c", code], check=True, cwd=tmp_path)
