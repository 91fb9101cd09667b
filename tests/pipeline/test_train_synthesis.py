"""`gsstereo train-synthesis` from nothing, from the published layout and from Stable Diffusion 2, at tiny width."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import builders
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner, Result

from gs_stereo.cli.main import app
from gs_stereo.io.pairs import read_pair
from gs_stereo.synthesis.model_files import CLIP_FOLDER, VAE_FOLDER
from gs_stereo.synthesis.published import load_published
from gs_stereo.worlds.pairs.config import TrainingPairConfig
from gs_stereo.worlds.pairs.stack import sample_stack

WORLDS = TrainingPairConfig(width=96, height=64, stack_views=5, textures=4, texture_px=64, camera_faults=False)
FAST = ("--steps", "2", "--batch-size", "1", "--set", "width=64", "--set", "height=64", "--set", "device=cpu")


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = [sample_stack(WORLDS, 2, number) for number in range(3)]
    return builders.write_samples(tmp_path_factory.mktemp("stacks"), samples, builders.make_info(metres_per_unit=1.0))


@pytest.fixture(scope="module")
def weights(shared_data: Path) -> Path:
    folder = shared_data / "stereospace_golden" / "weights"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


def gsstereo(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_scratch_to_a_second_eye(stacks: Path, tmp_path: Path) -> None:
    small = 'model={"widths": [16, 24], "attention": [false, true], "side_px": 64}'
    runs = tmp_path / "new"  # data from elsewhere need no scene
    result = gsstereo("train-synthesis", runs, "--data", stacks, *FAST, "--set", small, "--name", "mine")
    assert result.exit_code == 0, result.output
    run = runs / "gsstereo/train/mine"
    assert {"weights.safetensors", "model.json", "log.jsonl", "curves.svg", "README.md"} <= {
        path.name for path in run.iterdir()
    }
    assert "generated, not observed" in (run / "README.md").read_text()
    again = gsstereo("train-synthesis", runs, "--data", stacks, *FAST, "--set", small, "--name", "mine")
    assert "up to date" in again.output
    pixels = np.random.default_rng(0).integers(0, 256, (66, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    result = gsstereo("synthesize", tmp_path / "photo.png", "--weights", run, "--baseline", -0.05)
    assert result.exit_code == 0, result.output
    (folder,) = (tmp_path / "gsstereo/pairs/generated").glob("*/pair.json")
    pair = read_pair(folder.parent)
    assert pair.left.shape == (52, 79, 3)  # 100x66 at about 64x64 pixels
    generated = json.loads(folder.read_text())["measures"]["generated"]
    assert generated["name"] == "stereospace-own"
    assert generated["settings"]["baseline_unit"] == "median_depth"
    (run / "weights.safetensors").unlink()
    result = gsstereo("synthesize", tmp_path / "photo.png", "--weights", run)
    assert result.exit_code == 3
    assert "has no weights.safetensors" in result.output.replace("\n", " ")


def test_from_published_weights_and_back(stacks: Path, weights: Path, tmp_path: Path) -> None:
    result = gsstereo("train-synthesis", tmp_path, "--data", stacks, "--from", weights, *FAST)
    assert result.exit_code == 0, result.output
    run = tmp_path / "gsstereo/train/stereospace"
    before, after = (load_published(folder).model.state_dict() for folder in (weights, run))
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert any(name.startswith("denoiser.") for name in moved)
    frozen = ("codec.", "prompter.", "reference.up_blocks.3.")
    assert not [name for name in moved if name.startswith(frozen)]
    assert "Open RAIL" in (run / "README.md").read_text()


def stable_diffusion(weights: Path, folder: Path) -> Path:
    """The layout of Stable Diffusion 2, out of the published one's tiny twin: no rays, no modulation."""
    for part in (VAE_FOLDER, CLIP_FOLDER):
        shutil.copytree(weights / part, folder / part, copy_function=shutil.copyfile)
    (folder / "unet").mkdir()
    config = json.loads((weights / "config.json").read_text())
    (folder / "unet/config.json").write_text(json.dumps({**config, "in_channels": 4}))
    tensors = torch.load(weights / "denoising_unet.pth", weights_only=True)
    plain = {name: value.contiguous() for name, value in tensors.items() if "dense_emb" not in name}
    plain["conv_in.weight"] = plain["conv_in.weight"][:, :4].contiguous()
    save_file(plain, folder / "unet/diffusion_pytorch_model.safetensors")
    return folder


def test_from_stable_diffusion_the_rays_start_at_zero(stacks: Path, weights: Path, tmp_path: Path) -> None:
    from gs_stereo.synthesis.start import starting_model
    from gs_stereo.synthesis.train_config import SmallModelConfig

    folder = stable_diffusion(weights, tmp_path / "sd2")
    start = starting_model(folder, SmallModelConfig(), 0)
    plain = load_file(folder / "unet/diffusion_pytorch_model.safetensors")
    for net in (start.model.reference, start.model.denoiser):
        assert torch.equal(net.conv_in.weight[:, :4], plain["conv_in.weight"])
        assert not net.conv_in.weight[:, 4:].any()
        assert not any(value.any() for name, value in net.state_dict().items() if "dense_emb" in name)
    result = gsstereo("train-synthesis", tmp_path, "--data", stacks, "--from", folder, *FAST)
    assert result.exit_code == 0, result.output
    load_published(tmp_path / "gsstereo/train/stereospace")
    (folder / "vae/config.json").unlink()
    result = gsstereo("train-synthesis", tmp_path, "--data", stacks, "--from", folder, *FAST, "--force")
    assert result.exit_code == 3
    assert "has no vae/config.json" in result.output.replace("\n", " ")


def test_data_without_scale_and_a_wrong_folder_are_one_sentence(stacks: Path, weights: Path, tmp_path: Path) -> None:
    samples = [sample_stack(WORLDS, 2, 0), sample_stack(WORLDS, 2, 1)]
    unscaled = builders.write_samples(tmp_path / "data", samples, builders.make_info(metres_per_unit=None))
    arguments = ("--set", "validation_share=0", *FAST)
    result = gsstereo("train-synthesis", tmp_path, "--data", unscaled, "--from", weights, *arguments)
    assert result.exit_code == 3
    assert "scale of" in result.output
    (tmp_path / "empty").mkdir()
    result = gsstereo("train-synthesis", tmp_path, "--data", stacks, "--from", tmp_path / "empty", *FAST)
    assert result.exit_code == 3
    assert "has no config.json" in result.output.replace("\n", " ")


@pytest.mark.slow
def test_two_processes_train_one_model(stacks: Path, tmp_path: Path) -> None:
    small = 'model={"widths": [16, 24], "attention": [false, true]}'
    two = ("--batch-size", "2", "--set", "devices=2", "--set", small, "--set", "loss.drop_condition=0.5")
    result = gsstereo("train-synthesis", tmp_path, "--data", stacks, *FAST, *two)
    assert result.exit_code == 0, result.output
