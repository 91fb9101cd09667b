"""What is said when no view is left, and pairs of a real camera."""

from __future__ import annotations

from pathlib import Path

import pytest
from published_scene import publish_fit, publish_reconstruction

from gs_stereo.errors import StageError
from gs_stereo.io.pair_index import PairEntry
from gs_stereo.io.pairs import read_header, read_images, read_pair
from gs_stereo.io.rigs import read_rig
from gs_stereo.pipeline.manifest import PublishedFolder
from gs_stereo.splat.folder import load_scene
from gs_stereo.splat.guards import REFUSAL_REASONS
from gs_stereo.splat.pair_planner import plan_pairs
from gs_stereo.stages.render_pairs import _REMEDIES, PairUnit, RenderPairsConfig, _outcome, render_unit


def test_every_reason_to_refuse_a_view_has_its_own_remedy() -> None:
    assert set(_REMEDIES) == set(REFUSAL_REASONS)


def test_the_remedy_is_that_of_the_commonest_reason() -> None:
    reasons = ["low_alpha", "baseline_too_wide", "baseline_too_wide"]
    entries = [
        PairEntry(sample_id=f"{n}", view_id="a", refusal=reason, measures={}) for n, reason in enumerate(reasons)
    ]
    with pytest.raises(
        StageError, match=r"2 x baseline_too_wide, 1 x low_alpha\); choose a smaller --baseline"
    ) as told:
        _outcome(entries)
    assert "guards.enabled=false" in str(told.value)


def test_pairs_of_a_rig_keep_the_clean_rendering_and_say_what_the_sensor_did(tmp_path: Path) -> None:
    publish_reconstruction(tmp_path)
    publish_fit(tmp_path)
    (tmp_path / "rig.yaml").write_text(
        "{width: 40, height: 24, fx: 40, cx: 19.5, cy: 11.5, baseline_m: 0.1,"
        " sensor: {grey: true, read_noise: 2, row_offset_px: 0.5}}"
    )
    config = RenderPairsConfig(rig=str(tmp_path / "rig.yaml"), backend="cpu", guards={"enabled": False})
    scene = load_scene(tmp_path / "reconstruct", tmp_path / "fit")
    unit = PairUnit(
        plan=plan_pairs(scene, config, 0)[0],
        config=config,
        reconstruction=PublishedFolder(path=tmp_path / "reconstruct", fingerprint="a"),
        fit=PublishedFolder(path=tmp_path / "fit", fingerprint="b"),
        folder=tmp_path / "pair",
        sensor=read_rig(tmp_path / "rig.yaml").sensor,
        run_seed=5,
    )
    entry = render_unit(unit)
    assert entry.refusal is None
    clean, seen = read_pair(tmp_path / "pair"), read_images(tmp_path / "pair")
    assert clean.left.shape == (24, 40, 3)
    assert clean.rig.baseline == 0.1
    assert (seen.left[..., 0] == seen.left[..., 2]).all()
    assert (clean.left[..., 0] != clean.left[..., 2]).any()
    sensor = read_header(tmp_path / "pair").measures["sensor"]
    assert (sensor["grey"], sensor["read_noise"]) == (True, 2)
    assert abs(sensor["drawn"]["row_offset_px"]) <= 0.5
