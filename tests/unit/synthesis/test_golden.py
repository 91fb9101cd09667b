"""StereoSpace against numbers of the official modules at a tiny width: rays, framing, nets, sampling, a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gs_stereo.synthesis.framing import square_framing
from gs_stereo.synthesis.prompt import clip_input
from gs_stereo.synthesis.published import load_published
from gs_stereo.synthesis.rays import default_intrinsics, ray_map
from gs_stereo.synthesis.schedule import TIMES, Schedule
from gs_stereo.synthesis.stereospace import Sampling, SourcePicture, StereoSpace


@pytest.fixture(scope="module")
def golden(shared_data: Path) -> Path:
    folder = shared_data / "stereospace_golden"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.fixture(scope="module")
def model(golden: Path) -> StereoSpace:
    return load_published(golden / "weights").model


def opened(golden: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(golden / f"{name}.npz", allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}


def source_of(model: StereoSpace, values: dict[str, np.ndarray], case: str) -> SourcePicture:
    latent, rays, prompt = (
        torch.from_numpy(values[f"{case}.{name}"]) for name in ("source_latent", "source_map", "prompt")
    )
    with torch.inference_mode():
        records = model.reference.record(latent, rays, prompt)
    return SourcePicture(latent=latent, prompt=prompt, records=records, intrinsics=np.eye(3), size_wh=(1, 1))


def worst(found: torch.Tensor, expected: np.ndarray) -> float:
    return float(np.abs(found.numpy() - expected).max())


def test_ray_maps(golden: Path) -> None:
    values = opened(golden, "rays")
    cases = [str(case) for case in values["cases"] if "default_upstream" not in case]  # which has no square pixels
    assert len(cases) >= 20
    for case in cases:
        height, width = (int(side) for side in values[f"{case}.image_hw"])
        source = values.get(f"{case}.K_source", default_intrinsics(width, height))
        target = values.get(f"{case}.K_target", source)
        stride, offset = values[f"{case}.stride_offset"]
        for name, intrinsics, baseline in (("source", source, 0.0), ("target", target, values[f"{case}.baseline"])):
            found = ray_map(intrinsics, (width, height), (width // 8, height // 8), float(baseline))
            expected = values[f"{case}.{name}"]
            np.testing.assert_allclose(found[:, offset::stride, offset::stride], expected, atol=1e-6, err_msg=case)


def test_moments_are_about_the_source_camera() -> None:
    intrinsics = default_intrinsics(96, 96)
    source, target = (ray_map(intrinsics, (96, 96), (12, 12), baseline) for baseline in (0.0, 0.15))
    assert (source[3:] == 0).all()
    np.testing.assert_array_equal(target[:3], source[:3])
    np.testing.assert_allclose(target[3:], [0 * target[2], -0.15 * target[2], 0.15 * target[1]], atol=1e-7)


def test_framing(golden: Path) -> None:
    values = opened(golden, "preprocess")
    for case in values["cases"]:
        width, height = (int(side) for side in values[f"{case}.input_wh"])
        framing = square_framing((width, height), int(values[f"{case}.crop_size"]))
        assert framing.resized_wh == tuple(values[f"{case}.resized_wh"]), case
        assert framing.left_top == tuple(values[f"{case}.left_top"]), case
        for eye in ("source", "target"):
            if f"{case}.K_{eye}_in" in values:
                found = framing.intrinsics(values[f"{case}.K_{eye}_in"])
                np.testing.assert_allclose(found, values[f"{case}.K_{eye}_out"], atol=1e-3, err_msg=case)
        if f"{case}.crop" in values:
            np.testing.assert_array_equal(framing.picture(values[f"{case}.input"]), values[f"{case}.crop"], case)


def test_schedule(golden: Path) -> None:
    values, schedule = opened(golden, "sampling"), Schedule()
    np.testing.assert_allclose(schedule.alpha_bar, values["schedule.alpha_bar"], atol=1e-6)
    for steps in (4, 7, 10, 20, 30, 50):
        times = schedule.times(steps)
        np.testing.assert_array_equal(times, values[f"schedule.timesteps_{steps}"])
        np.testing.assert_array_equal(np.maximum(times - TIMES // steps, -1), values[f"schedule.previous_{steps}"])


@pytest.mark.parametrize("case", ["square", "wide"])
def test_forward(golden: Path, model: StereoSpace, case: str) -> None:
    values = opened(golden, "forward")
    source = source_of(model, values, case)
    recorded = {key: value for key, value in values.items() if key.startswith(f"{case}.record.")}
    assert len(recorded) == len(source.records) == 16
    for key, value in recorded.items():
        assert worst(source.records[key.removeprefix(f"{case}.record.")], value) < 1e-4, key
    noisy, rays = (torch.from_numpy(values[f"{case}.{name}"]) for name in ("noisy_latent", "target_map"))
    with torch.inference_mode():
        for time in values[f"{case}.timesteps"].tolist():
            times = torch.full((len(noisy),), time)
            free = model.answer(noisy, rays, times, torch.zeros_like(source.prompt), None, source.latent)
            given = model.answer(noisy, rays, times, source.prompt, source.records, source.latent)
            guided = model.guided(noisy, source, rays, time, 1.5)
            assert worst(free, values[f"{case}.t{time}.unconditional"]) < 1e-4
            assert worst(given, values[f"{case}.t{time}.conditional"]) < 1e-4
            assert worst(guided, values[f"{case}.t{time}.guided"]) < 1e-4


@pytest.mark.parametrize("case", ["square", "wide"])
def test_four_steps(golden: Path, model: StereoSpace, case: str) -> None:
    values = opened(golden, "sampling")
    source = source_of(model, values, case)
    noise, rays = (torch.from_numpy(values[f"{case}.{name}"]) for name in ("noise", "target_map"))
    with torch.inference_mode():
        final = model.denoised(noise, source, rays, Sampling(steps=4))
    assert worst(final, values[f"{case}.final_latent"]) < 1e-3


def test_a_whole_picture(golden: Path, model: StereoSpace) -> None:
    values = opened(golden, "end_to_end")
    np.testing.assert_array_equal(clip_input(values["crop"]), values["right_exact8bit.clip_input_8bit"])
    source = model.read(values["crop"], default_intrinsics(192, 192))
    assert worst(source.latent, values["source_latent"]) < 1e-4
    assert worst(source.prompt[0], values["right_exact8bit.clip_embedding"]) < 1e-4
    rays = torch.from_numpy(ray_map(source.intrinsics, (192, 192), (24, 24), 0.15))[None]
    with torch.inference_mode():
        final = model.denoised(torch.from_numpy(values["noise"]), source, rays, Sampling(steps=10))
        assert worst(final, values["right_exact8bit.final_latent"]) < 1e-3
        decoded = model.codec.decode(final).clamp(-1, 1)[0].permute(1, 2, 0).numpy()
    levels = np.rint((decoded + 1) * 127.5).astype(np.int64)
    assert np.abs(levels - values["right_exact8bit.decoded_8bit"]).max() <= 1
