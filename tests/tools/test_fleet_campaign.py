"""The campaign against a fleet in its short form."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_kills_leave_the_bytes_of_plain_execution(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tools/fleet_campaign.py"), "--work", str(tmp_path / "work")]
    run = subprocess.run([*command, "--kills", "6", "--scenes", "6"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["cells"] == 24
    assert sum(found["killed"].values()) > 0
