"""A good dataset passes; one that was spoiled fails, for the right reason and no other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import spoil
from builders import camera_at, make_points

from gs_stereo.datasets.schema import ShardSample
from gs_stereo.quality.config import QualityConfig
from gs_stereo.quality.dataset import measure_dataset
from gs_stereo.quality.sample import measure_sample
from gs_stereo.quality.verdict import Verdict, judge, sample_numbers
from gs_stereo.types import LabelFlag, SparseScene


def verdict_on(
    samples: Sequence[ShardSample],
    limits: QualityConfig,
    scene: SparseScene | None = None,
    damaged: tuple = (),
    fitted: bool = True,
) -> Verdict:
    measured = [measure_sample(sample, limits, scene, None) for sample in samples]
    width = samples[0].left.shape[1]
    size = {"width": width, "sample_count": len(samples)}
    return judge(measure_dataset(measured, limits, **size, damaged_shards=damaged, fitted=fitted), limits)


def failed(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.reasons if check.grade == "fail"]


def check_of(verdict: Verdict, name: str):
    return next(check for check in verdict.checks if check.name == name)


def scene_of(samples: Sequence[ShardSample]) -> SparseScene:
    """Exact points on a grid of every view, seen by that view."""
    from gs_stereo.geometry.pixels import pixel_centres
    from gs_stereo.geometry.projection import unproject

    cameras, points, visible = [], [], []
    for sample in samples:
        height, width = sample.disparity.shape
        camera = replace(
            camera_at(sample.view_id, size=(width, height)),
            intrinsics=sample.intrinsics,
            cam_from_world=sample.cam_from_world,
        )
        grid = (slice(8, None, 16), slice(8, None, 16))
        depth = sample.intrinsics[0, 0] * sample.baseline / sample.disparity[grid].astype(np.float64)
        found = unproject(camera, pixel_centres(width, height)[grid], depth).reshape(-1, 3)
        start = sum(map(len, points))
        visible.append(np.arange(start, start + len(found)))
        cameras.append(camera)
        points.append(found)
    xyz = np.concatenate(points)
    return SparseScene(
        cameras=tuple(cameras),
        points=make_points(xyz, error_px=0.3, track_length=4),
        visible_points=tuple(visible),
    )


def test_a_good_dataset_passes(good_samples: tuple[ShardSample, ...], limits: QualityConfig) -> None:
    verdict = verdict_on(good_samples, limits, scene_of(good_samples))
    assert verdict.name == "pass", verdict.to_text()
    assert {check.grade for check in verdict.checks} == {"pass"}


@pytest.mark.parametrize("name", sorted(spoil.SPOILS))
def test_a_spoiled_dataset_fails_for_that_reason_only(
    good_samples: tuple[ShardSample, ...], limits: QualityConfig, name: str
) -> None:
    verdict = verdict_on(spoil.SPOILS[name](good_samples), limits)
    assert verdict.name == "fail"
    assert failed(verdict) == [name], verdict.to_text()
    sentence = check_of(verdict, name).sentence
    assert any(character.isdigit() for character in sentence), "it says how much"
    assert "fail" in sentence or "tolerable" in sentence, "it says how much is too much"


def test_the_disparity_scale_is_measured_whatever_the_contrast(
    good_samples: tuple[ShardSample, ...], limits: QualityConfig
) -> None:
    def dull(image: np.ndarray) -> np.ndarray:
        return (image // 4 + 90).astype(np.uint8)

    dulled = [replace(sample, left=dull(sample.left), right=dull(sample.right)) for sample in good_samples]
    assert verdict_on(dulled, limits).name == "pass"
    check = check_of(verdict_on(spoil.disparity_scaled(dulled), limits), "disparity_scale")
    assert check.grade == "fail"
    assert check.value == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("factor", [0.9, 1.06])
def test_a_wrong_scale_is_also_seen_against_the_points(
    good_samples: tuple[ShardSample, ...], limits: QualityConfig, factor: float
) -> None:
    verdict = verdict_on(spoil.disparity_scaled(good_samples, factor), limits, scene_of(good_samples))
    assert failed(verdict) == ["disparity_scale", "label_scale"]
    assert check_of(verdict, "label_scale").value == pytest.approx(1 / factor - 1, abs=0.01)


def test_a_wrong_baseline_is_a_matter_of_scale_not_of_disparity(
    good_samples: tuple[ShardSample, ...], limits: QualityConfig
) -> None:
    samples = [replace(sample, baseline=1.2 * sample.baseline) for sample in good_samples]
    assert failed(verdict_on(samples, limits, scene_of(good_samples))) == ["label_scale"]


@pytest.mark.parametrize("sigma", [1.4, 4.0])
def test_light_and_heavy_blur_of_half_the_views_are_found(
    good_samples: tuple[ShardSample, ...], limits: QualityConfig, sigma: float
) -> None:
    verdict = verdict_on(spoil.half_blurred(good_samples, sigma), limits)
    assert failed(verdict) == ["blurred_views"]
    assert check_of(verdict, "blurred_views").samples == tuple(sample.sample_id for sample in good_samples[1::2])


def test_one_blurred_eye_is_enough(good_samples: tuple[ShardSample, ...], limits: QualityConfig) -> None:
    assert failed(verdict_on(spoil.right_eye_blurred(good_samples), limits)) == ["blurred_views"]


@pytest.mark.parametrize(("sigma", "verdict"), [(0.4, "pass"), (2.5, "fail")])
def test_views_that_are_all_soft_are_judged_beside_their_photos(
    good_samples: tuple[ShardSample, ...], limits: QualityConfig, sigma: float, verdict: str
) -> None:
    soft = [spoil.half_blurred([sample, sample], sigma)[1] for sample in good_samples]
    found = beside_photos(soft, good_samples, limits)
    assert found.name == verdict, found.to_text()
    assert "throughout" in check_of(found, "blurred_views").sentence or verdict == "pass"


def test_half_blurred_views_stand_out_among_soft_ones(
    good_samples: tuple[ShardSample, ...], limits: QualityConfig
) -> None:
    soft = [spoil.half_blurred([sample, sample], 0.8)[1] for sample in good_samples]
    found = beside_photos(spoil.half_blurred(soft, 1.5), good_samples, limits)
    assert failed(found) == ["blurred_views"]
    assert "50 % of the samples" in found.reasons[0].sentence


def beside_photos(samples: Sequence[ShardSample], photos: Sequence[ShardSample], limits: QualityConfig) -> Verdict:
    measured = [
        measure_sample(*pair) for pair in ((s, limits, None, p.left) for s, p in zip(samples, photos, strict=True))
    ]
    return judge(measure_dataset(measured, limits, width=208, sample_count=len(measured)), limits)


def test_two_faults_give_two_reasons(good_samples: tuple[ShardSample, ...], limits: QualityConfig) -> None:
    verdict = verdict_on(spoil.disparity_scaled(spoil.rows_shifted(good_samples)), limits)
    assert failed(verdict) == ["row_alignment", "disparity_scale"]


def test_wrong_samples_among_good_ones_are_named(good_samples: tuple[ShardSample, ...], limits: QualityConfig) -> None:
    mixed = [*spoil.disparity_scaled(good_samples[:2]), *good_samples[2:], *spoil.rows_shifted(good_samples[2:3], 0)]
    verdict = verdict_on(mixed, limits)
    assert failed(verdict) == ["disparity_scale"]
    assert check_of(verdict, "disparity_scale").samples == tuple(sample.sample_id for sample in good_samples[:2])


def test_a_failed_warp_is_put_down_to_its_cause(good_samples: tuple[ShardSample, ...], limits: QualityConfig) -> None:
    strict = limits.model_copy(update={"warp_error": (0.0, 0.01)})
    verdict = verdict_on(spoil.eyes_swapped(good_samples), strict)
    assert check_of(verdict, "warp_error").explained_by == "swapped_eyes"
    assert failed(verdict) == ["swapped_eyes"]


@pytest.mark.parametrize("name", ["row_alignment", "disparity_scale", "disparity_shift", "swapped_eyes"])
def test_without_feature_matches_the_pixels_tell(
    good_samples: tuple[ShardSample, ...], limits: QualityConfig, name: str
) -> None:
    blind = limits.model_copy(update={"min_matches": 10**6})
    assert verdict_on(good_samples, blind).name == "pass"
    assert failed(verdict_on(spoil.SPOILS[name](good_samples), blind)) == [name]


def test_samples_without_labels_or_texture_do_not_break_it(
    good_samples: tuple[ShardSample, ...], limits: QualityConfig
) -> None:
    flat = np.full_like(good_samples[0].left, 120)
    nothing = np.full_like(good_samples[0].disparity, np.nan)
    samples = [
        replace(sample, left=flat, right=flat, disparity=nothing, confidence=np.zeros_like(sample.confidence))
        for sample in good_samples
    ]
    verdict = verdict_on(samples, limits)
    assert failed(verdict) == ["blank_views", "coverage"]
    json.dumps(verdict.to_json(), allow_nan=False)


def test_a_single_sample_can_be_judged(good_samples: tuple[ShardSample, ...], limits: QualityConfig) -> None:
    assert verdict_on(good_samples[:1], limits).name == "pass"


def test_a_changed_shard_deserves_a_closer_look(good_samples: tuple[ShardSample, ...], limits: QualityConfig) -> None:
    verdict = verdict_on(good_samples, limits, damaged=("train-00000-of-00001.h5",))
    assert verdict.name == "look closer"
    assert "train-00000-of-00001.h5" in verdict.reasons[0].sentence


def test_an_unusual_disparity_range_is_no_failure(good_samples: tuple[ShardSample, ...], limits: QualityConfig) -> None:
    verdict = verdict_on(good_samples, limits.model_copy(update={"disparity_share": (0.5, 0.6)}))
    assert (verdict.name, [check.name for check in verdict.reasons]) == ("look closer", ["disparity_range"])


def test_sample_rows_are_plain_json(good_samples: tuple[ShardSample, ...], limits: QualityConfig) -> None:
    measured = [measure_sample(sample, limits, None, None) for sample in good_samples[:2]]
    data = measure_dataset(measured, limits, width=208, sample_count=2)
    rows = json.loads(json.dumps(sample_numbers(data), allow_nan=False))
    assert [row["sample_id"] for row in rows] == [sample.sample_id for sample in good_samples[:2]]
    assert rows[0]["disparity_factor"] == pytest.approx(1.0, abs=0.02)
    assert rows[0]["depth_over_points"] is None


def test_the_limits_must_be_in_order() -> None:
    with pytest.raises(ValueError, match="must not exceed"):
        QualityConfig(row_offset_px=(2.0, 1.0))


def test_labels_that_nothing_bears_out_are_a_reason(
    good_samples: tuple[ShardSample, ...], limits: QualityConfig
) -> None:
    def doubted(share: float) -> list[ShardSample]:
        spoiled = []
        for sample in good_samples:
            confidence = sample.confidence.copy()
            confidence[: round(share * len(confidence))] = 20
            spoiled.append(replace(sample, confidence=confidence))
        return spoiled

    assert [check_of(verdict_on(doubted(share), limits), "confidence").grade for share in (0.1, 0.4, 0.7)] == [
        "pass",
        "look closer",
        "fail",
    ]
    for fitted in (True, False):  # what was not fitted here cannot be fitted longer
        sentence = check_of(verdict_on(doubted(0.7), limits, fitted=fitted), "confidence").sentence
        assert ("fit longer" in sentence) == fitted
        assert "more photos" in sentence


def test_pixels_that_photos_cut_out_are_no_lack_of_coverage(
    good_samples: tuple[ShardSample, ...], limits: QualityConfig
) -> None:
    half = good_samples[0].left.shape[1] // 2
    cut = []
    for sample in good_samples:
        disparity, flags = sample.disparity.copy(), sample.flags.copy()
        disparity[:, half:], flags[:, half:] = np.nan, LabelFlag.CUT_OUT
        cut.append(replace(sample, disparity=disparity, flags=flags))
    whole, part = (check_of(verdict_on(samples, limits), "coverage").value for samples in (good_samples, cut))
    assert part == pytest.approx(whole, abs=0.05)
