"""The acceptance run of a fleet in its short form: a bucket, a cluster of Ray, two drivers, and a few kills."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPE = "stages: [{stage: sample-pairs, set: {count: 24, samples_per_shard: 2, pairs: {width: 256, height: 192}}}]\n"


@pytest.mark.slow
@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("ray", "moto", "s3fs")),
    reason="Ray, moto or s3fs is not installed; see the extra dev",
)
def test_a_fleet_under_attack_makes_the_bytes_of_a_plain_run(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    scenes = [tmp_path / "scenes" / name for name in ("attic", "barn")]
    for scene in scenes:
        scene.mkdir(parents=True)
        (scene / "photo.txt").write_text(scene.name)
    words = ["--work", tmp_path / "work", "--config", tmp_path / "recipe.yaml", "--kills", 2, *scenes]
    command = [sys.executable, "-W", "ignore", str(ROOT / "tools/fleet_acceptance.py"), *map(str, words)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout[run.stdout.index("{") :])
    assert (found["cells"], found["differ"]) == (2, [])
    assert len(found["kills"]) == sum(found["killed"].values()) <= 2
    shards = list((tmp_path / "work/fleet/all_scenes").rglob("*.h5"))
    assert len(shards) == 24  # something was compared
