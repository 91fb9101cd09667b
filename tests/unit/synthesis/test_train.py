"""Training a model that makes second eyes: exact resume, moving average, weights at rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import builders
import numpy as np
import pytest
import torch

from gs_stereo.config import parse_config
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.synthesis.config import SynthesisConfig
from gs_stereo.synthesis.evaluation import open_rows
from gs_stereo.synthesis.evaluation_config import EvaluateSynthesisConfig
from gs_stereo.synthesis.model_files import ModelDescription
from gs_stereo.synthesis.own_model import load_model, make_model, save_model
from gs_stereo.synthesis.protocol import SourceView
from gs_stereo.synthesis.rays import default_intrinsics
from gs_stereo.synthesis.second_eye import settled
from gs_stereo.synthesis.stacks import SynthesisDraws
from gs_stereo.synthesis.stereospace import Sampling, StereoSpace
from gs_stereo.synthesis.train import SynthesisJob, prepare, train_model
from gs_stereo.synthesis.train_config import SmallModelConfig, SynthesisTrainConfig
from gs_stereo.training.config import DataSource
from gs_stereo.training.data import open_data
from gs_stereo.worlds.pairs.config import TrainingPairConfig
from gs_stereo.worlds.pairs.stack import sample_stack

TINY = {"widths": (16, 24), "attention": (False, True), "heads": 2, "norm_groups": 8}
SIZES = {"width": 48, "height": 32, "upright_share": 0.5, "batch_size": 4}
WORLDS = TrainingPairConfig(width=96, height=64, stack_views=5, textures=4, texture_px=64, camera_faults=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = [sample_stack(WORLDS, 2, number) for number in range(4)]
    return builders.write_samples(tmp_path_factory.mktemp("stacks"), samples)


def job(data: Path, folder: Path, **values: Any) -> SynthesisJob:
    plain = {
        "steps": 5,
        "batch_size": 2,
        "width": 32,
        "height": 32,
        "targets": 2,
        "validate_every": 3,
        "validation_share": 0.3,
        "model": TINY,
        "average_decay": 0.5,
        "device": "cpu",
    }
    config = parse_config(SynthesisTrainConfig, {**plain, **values}, where="test")
    return SynthesisJob(config=config, sources=(DataSource(path=data),), seed=1, folder=folder)


class StoppedError(Exception):
    pass


def stopping_after(steps: int) -> Any:
    done = 0

    def advance(count: int, note: str) -> None:
        nonlocal done
        done += count
        if done >= steps:
            raise StoppedError

    return advance


def same(one: torch.nn.Module, two: torch.nn.Module) -> bool:
    others = two.state_dict()
    return all(torch.equal(tensor, others[name]) for name, tensor in one.state_dict().items())


def test_warped_conditioning_is_trained_and_needs_depth(data: Path, tmp_path: Path) -> None:
    training = train_model(job(data, tmp_path / "run", steps=3, model={**TINY, "warped": True}))
    model = training.state.kept_net
    assert isinstance(model, StereoSpace)
    assert training.state.records[-1].values["psnr"] > 5
    folder = tmp_path / "warped"
    training.task.start.save(folder, model, "CC0-1.0", {})
    rows = open_rows([str(folder)], EvaluateSynthesisConfig(steps=(1,)))
    synthesizer = rows["stereospace-small warped, 1 step"].synthesizer
    assert synthesizer.needs_depth
    image = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    pictures = [
        synthesizer.synthesize(
            SourceView(image=image, intrinsics=default_intrinsics(64, 32), depth=np.full((32, 64), depth)), 0.2, 0
        ).image
        for depth in (1.0, 4.0)
    ]
    assert (pictures[0] != pictures[1]).any()
    with pytest.raises(InputError, match="needs a depth map"):
        synthesizer.synthesize(SourceView(image=image, intrinsics=default_intrinsics(64, 32)), 0.2, 0)
    with pytest.raises(ConfigError, match="a photo has none"):
        settled(SynthesisConfig(weights=folder))


def test_a_blend_keeps_what_was_moved_and_never_a_hole() -> None:
    model = make_model(parse_config(SmallModelConfig, {**TINY, "warped": True}, where="test"), 0)
    condition = torch.rand(1, 4, 32, 32)
    condition[:, 3] = (torch.arange(32) < 8).float()
    condition[:, :3] *= 1 - condition[:, 3:]
    latent, times = torch.randn(1, 48, 8, 8), torch.tensor([999])
    rays, prompt = torch.zeros(1, 6, 8, 8), torch.zeros(1, 1, 8)
    with torch.no_grad():
        bias = model.denoiser.conv_out.bias
        model.denoiser.conv_out.weight[48:] = 0
        bias[48:] = 30.0  # everything that can be kept is
        kept, free = (
            model.codec.decode(model.answer(latent, rays, times, prompt, None, torch.zeros_like(latent), warped))
            for warped in (model.warped_latent(condition), None)
        )
    torch.testing.assert_close(kept[..., 8:], condition[:, :3, :, 8:])
    assert (kept[..., :8] != 0).any()
    assert (free[..., 8:] != condition[:, :3, :, 8:]).any()
    with pytest.raises(ConfigError, match="prediction=clean"):
        parse_config(SmallModelConfig, {**TINY, "warped": True, "prediction": "velocity"}, where="test")


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(data: Path, tmp_path: Path) -> None:
    changing = {"width": 48, "upright_share": 0.5, "loss": {"own_share": 0.5}}
    whole = train_model(job(data, tmp_path / "whole", **changing)).state
    with pytest.raises(StoppedError):
        train_model(job(data, tmp_path / "cut", checkpoint_every=1, **changing), stopping_after(3))
    resumed = train_model(job(data, tmp_path / "cut", checkpoint_every=1, **changing)).state
    assert same(whole.net, resumed.net)
    assert same(whole.kept_net, resumed.kept_net)
    assert not same(whole.net, whole.kept_net)
    scores = [record.values for record in whole.records if record.kind == "validation"]
    assert scores
    assert all(np.isfinite(list(each.values())).all() for each in scores)


def test_pictures_stand_upright_by_whole_batches(data: Path) -> None:
    config = parse_config(SynthesisTrainConfig, SIZES, where="test")
    split = open_data((DataSource(path=data),), 0.0, 1)
    draws = SynthesisDraws(split, config, 1, in_metres=False)
    shapes = [draws[number].source.shape[1:] for number in range(24)]
    batches = [set(shapes[first : first + 4]) for first in range(0, 24, 4)]
    assert all(len(each) == 1 for each in batches)
    assert set.union(*batches) == {(32, 48), (48, 32)}


def test_noise_over_its_own_answer_asks_for_the_truth(data: Path, tmp_path: Path) -> None:
    """A net that always answers grey meets nothing but grey, and its loss is the distance of grey from the truth."""
    run = job(data, tmp_path, loss={"own_share": 1, "pixels": 0, "warp": 0, "min_snr_gamma": None, "drop_condition": 0})
    training = prepare(run, torch.device("cpu"), 0)
    batch, net, met = next(iter(training.task.batches(0))), training.state.net, []

    def grey(noisy: torch.Tensor, *args: Any) -> torch.Tensor:
        met.append(noisy)
        return torch.zeros_like(noisy)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(net, "answer", grey)
        loss = training.task.loss(net, batch, 0)
    torch.testing.assert_close(loss, batch.targets.square().mean())
    assert len(met) == 2
    of_truth = torch.corrcoef(torch.stack([met[1].flatten(), net.codec.encode(batch.targets).flatten()]))[0, 1]
    assert abs(of_truth) < 0.05


def test_it_learns_velocity_and_clean_pictures(data: Path, tmp_path: Path) -> None:
    for prediction in ("clean", "velocity"):
        values = {"model": {**TINY, "prediction": prediction}, "steps": 40, "learning_rate": 3e-3, "record_every": 10}
        values["loss"] = {"min_snr_gamma": None, "pixels": 0, "warp": 0}
        result = train_model(job(data, tmp_path / prediction, validation_share=0, **values))
        losses = [record.values["loss"] for record in result.state.records if record.kind == "train"]
        assert losses[-1] < 0.9 * losses[0]


def test_the_averaged_model_reads_its_own_conditioning(data: Path, tmp_path: Path) -> None:
    """A copy of the nets must not share what their blocks read."""
    state = train_model(job(data, tmp_path)).state
    kept = state.kept_net
    assert isinstance(kept, StereoSpace)
    assert isinstance(state.net, StereoSpace)
    assert kept.denoiser.conditioning is not state.net.denoiser.conditioning
    picture = builders.gradient((32, 32), 0)
    source = kept.read(picture, default_intrinsics(32, 32))
    assert source.records
    kept.picture_at(source, 0.05, Sampling(steps=2, guidance=1.0), 0)


def test_weights_round_trip_and_say_what_does_not_fit(tmp_path: Path) -> None:
    config = parse_config(SmallModelConfig, TINY, where="test")
    model = make_model(config, 3).half().float()
    assert not same(make_model(config, 4), make_model(config, 3))
    description = ModelDescription(settings=config.model_dump(mode="json"), licence="Apache-2.0")
    save_model(tmp_path, model, description)
    first = (tmp_path / "weights.safetensors").read_bytes()
    read = load_model(tmp_path)
    assert same(read.model, model)
    assert read.config == config
    save_model(tmp_path, model, description)
    assert (tmp_path / "weights.safetensors").read_bytes() == first
    wider = config.model_copy(update={"widths": (16, 32)})
    save_model(tmp_path, model, ModelDescription(settings=wider.model_dump(mode="json"), licence="x"))
    with pytest.raises(InputError, match="do not fit"):
        load_model(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(first[:500])
    with pytest.raises(InputError, match="cannot be read"):
        load_model(tmp_path)


def test_the_mean_of_the_answers_is_what_the_sampler_gives(tmp_path: Path) -> None:
    """One step is the same either way; the answers of several steps have fresh noise, and a seed gives the same."""
    model = make_model(parse_config(SmallModelConfig, TINY, where="test"), 0).eval()
    source = model.read(builders.gradient((32, 32), 0), default_intrinsics(32, 32))

    def made(seed: int = 5, **values: Any) -> np.ndarray:
        return model.picture_at(source, 0.05, Sampling(guidance=1.0, **values), seed)

    np.testing.assert_array_equal(made(steps=1, mean=True), made(steps=1))
    np.testing.assert_array_equal(made(steps=3, mean=True), made(steps=3, mean=True))
    answers: list[torch.Tensor] = []
    plain = model.guided

    def watched(*args: Any) -> torch.Tensor:
        answers.append(plain(*args))
        return answers[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "guided", watched)
        found = made(steps=3, mean=True)
    assert len(answers) == 3
    assert not torch.equal(answers[0], answers[1])
    np.testing.assert_array_equal(found, model.picture_of(torch.cat(answers).mean(dim=0, keepdim=True)))
