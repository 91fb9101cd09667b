"""What the viewer draws: label points lie where the disparity says, splats keep their shape, rigs their baseline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import HEIGHT, WIDTH, camera_at, true_gaussians
from published_scene import BASELINE, renderer, wall_sample

from gs_stereo.imaging.colour_maps import colour_table
from gs_stereo.types import StereoRig
from gs_stereo.viewer.frame import display_frame
from gs_stereo.viewer.live_pair import baseline_range, describe_disparity, render_live_pair
from gs_stereo.viewer.pictures import (
    disparity_colours,
    label_points,
    plain_splat,
    rig_lines,
)

ALL = 1_000_000


def test_label_points_lie_on_the_wall_and_unlabelled_pixels_give_none() -> None:
    points = label_points(wall_sample(), 0.0, "image", ALL)
    assert len(points) == (HEIGHT - 1) * WIDTH
    np.testing.assert_allclose(points.xyz_in_world[:, 2], 2.0, rtol=1e-6)
    half_width = 2.0 * WIDTH / 2 / 40.0
    assert points.xyz_in_world[:, 0].min() == pytest.approx(0.5 - half_width, abs=0.05)
    assert np.unique(points.rgb).tolist() == [77]


def test_the_threshold_hides_what_is_less_sure() -> None:
    sample = wall_sample()
    points = label_points(sample, 0.5, "confidence", ALL)
    assert len(points) == (sample.confidence[1:] >= 127.5).sum()
    assert len(points) < (HEIGHT - 1) * WIDTH
    sure = colour_table("cividis")[255]
    assert (points.rgb == sure).all(axis=1).sum() == HEIGHT - 1


def test_a_large_label_is_thinned_evenly() -> None:
    points = label_points(wall_sample(), 0.0, "image", 100)
    assert 50 <= len(points) <= 100
    assert np.ptp(points.xyz_in_world[:, 0]) > 1.0


def test_a_label_of_nonsense_gives_no_points() -> None:
    sample = wall_sample()
    broken = replace(sample, disparity=-np.abs(sample.disparity), baseline=float("inf"))
    assert len(label_points(broken, 0.0, "image", ALL)) == 0


def test_a_splat_keeps_its_shape_and_the_most_visible_gaussians() -> None:
    truth = true_gaussians()
    faint = replace(truth, opacity_logits=truth.opacity_logits - 6.0 * (torch.arange(len(truth)) % 2))
    all_of_it = plain_splat(faint, ALL, display_per_unit=0.5)
    np.testing.assert_allclose(all_of_it.means, truth.means.numpy() * 0.5, rtol=1e-6)
    np.testing.assert_allclose(all_of_it.covariances, np.broadcast_to(np.eye(3) * 0.045**2, (160, 3, 3)), atol=1e-8)
    half = plain_splat(faint, len(truth) // 2, display_per_unit=0.5)
    np.testing.assert_array_equal(half.means, all_of_it.means[::2])


def test_a_turned_gaussian_is_long_along_its_turned_axis() -> None:
    truth = true_gaussians(1)
    quarter = torch.tensor([[np.sqrt(0.5), 0, 0, np.sqrt(0.5)]], dtype=torch.float32)  # +90 degrees about z
    long = replace(truth, quats_wxyz=quarter, log_scales=torch.log(torch.tensor([[0.4, 0.1, 0.2]])))
    covariance = plain_splat(long, ALL, 1.0).covariances[0]
    np.testing.assert_allclose(covariance, np.diag([0.01, 0.16, 0.04]), atol=1e-6)


def test_rigs_are_drawn_with_their_baseline() -> None:
    rig = StereoRig(left=camera_at("a", 0.0), baseline=BASELINE)
    lines, colours = rig_lines((rig, rig), depth=0.5)
    assert lines.shape == (34, 2, 3)
    assert colours.shape == (34, 2, 3)
    np.testing.assert_allclose(lines[16], [[0, 0, 0], [BASELINE, 0, 0]])
    assert np.abs(lines[:8, :, 2]).max() == pytest.approx(0.5)
    assert rig_lines((), depth=0.5)[0].shape == (0, 2, 3)


def test_disparity_colours_tell_near_from_far_and_from_nothing() -> None:
    disparity = np.array([[1.0, 5.0, 9.0, np.nan]])
    far, _, near, nothing = disparity_colours(disparity)[0].astype(int)
    assert near[0] > near[2]  # red
    assert far[2] > far[0]  # blue
    assert len(set(nothing)) == 1
    assert disparity_colours(np.full((2, 2), np.nan)).std() == 0
    assert describe_disparity(np.full((2, 2), np.nan)).startswith("No disparity")


def test_the_live_pair_moves_with_the_baseline() -> None:
    left = camera_at("a", 0.0)
    none, some, twice = (render_live_pair(renderer(), StereoRig(left=left, baseline=b)) for b in (0.0, 0.2, 0.4))
    np.testing.assert_array_equal(none.eyes[:, :WIDTH], none.eyes[:, -WIDTH:])
    np.testing.assert_array_equal(some.eyes[:, :WIDTH], none.eyes[:, :WIDTH])
    assert (some.eyes[:, -WIDTH:] != none.eyes[:, -WIDTH:]).mean() > 0.2
    medians = [float(pair.caption.split("median ")[1].split()[0]) for pair in (some, twice)]
    assert medians[1] == pytest.approx(2 * medians[0], abs=0.11)
    assert none.eyes.shape[1] > 2 * WIDTH


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e5])
def test_the_slider_has_round_steps_and_reaches_half_of_the_distance(unit: float) -> None:
    frame = display_frame([camera_at("a", 0.0)], np.array([[0.0, 0.0, 2.0 * unit]]))
    span = baseline_range(frame, ())
    assert 1.0 * unit <= span.largest * (1 + 1e-9) <= 1.11 * unit
    assert 99 < span.largest / span.step <= 1011
    assert span.usual == pytest.approx(0.2 * unit, rel=0.05)
    wide = StereoRig(left=camera_at("a", 0.0), baseline=5.0 * unit)
    assert baseline_range(frame, (wide,)).largest >= 5.0 * unit
