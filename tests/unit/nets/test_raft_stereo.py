"""RAFT-Stereo: the names and shapes of the published checkpoints, safe loading, and its parts against slow twins."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from gs_stereo.errors import InputError
from gs_stereo.nets.config import VARIANTS, RaftStereoConfig
from gs_stereo.nets.protocol import make_net, resolve_net
from gs_stereo.nets.raft_stereo.correlation import CorrelationPyramid
from gs_stereo.nets.raft_stereo.official import config_of
from gs_stereo.nets.weights import load_net

Shapes = dict[str, tuple[int, ...]]


def convolution(name: str, outputs: int, inputs: int, size: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, size, size), f"{name}.bias": (outputs,)}


def norm(name: str, channels: int, kind: str) -> Shapes:
    if kind == "instance":
        return {}
    vectors = {f"{name}.{each}": (channels,) for each in ("weight", "bias", "running_mean", "running_var")}
    return {**vectors, f"{name}.num_batches_tracked": ()}


def block(name: str, inputs: int, outputs: int, kind: str, changes: bool) -> Shapes:
    shapes = convolution(f"{name}.conv1", outputs, inputs, 3) | convolution(f"{name}.conv2", outputs, outputs, 3)
    shapes |= norm(f"{name}.norm1", outputs, kind) | norm(f"{name}.norm2", outputs, kind)
    if changes:
        shapes |= convolution(f"{name}.downsample.0", outputs, inputs, 1)
        shapes |= norm(f"{name}.norm3", outputs, kind) | norm(f"{name}.downsample.1", outputs, kind)
    return shapes


def encoder(name: str, layers: int, kind: str) -> Shapes:
    shapes = convolution(f"{name}.conv1", 64, 3, 7) | norm(f"{name}.norm1", 64, kind)
    widths = [64, 64, 96, 128, 128, 128]
    for layer in range(1, layers + 1):
        inputs, outputs = widths[layer - 1], widths[layer]
        shapes |= block(f"{name}.layer{layer}.0", inputs, outputs, kind, changes=layer > 1)
        shapes |= block(f"{name}.layer{layer}.1", outputs, outputs, kind, changes=False)
    return shapes


def published_shapes(*, shared: bool, levels: int, factor: int, kind: str = "batch") -> Shapes:
    """What the authors' release saves, written down from its checkpoints."""
    shapes = encoder("cnet", 5, kind)
    for head in range(2):
        for scale in ("08", "16"):
            shapes |= block(f"cnet.outputs{scale}.{head}.0", 128, 128, kind, changes=False)
            shapes |= convolution(f"cnet.outputs{scale}.{head}.1", 128, 128, 3)
        shapes |= convolution(f"cnet.outputs32.{head}", 128, 128, 3)
    motion = {"convc1": (64, 36, 1), "convc2": (64, 64, 3), "convf1": (64, 2, 7), "convf2": (64, 64, 3)}
    for name, (outputs, inputs, size) in {**motion, "conv": (126, 128, 3)}.items():
        shapes |= convolution(f"update_block.encoder.{name}", outputs, inputs, size)
    for scale, inputs in (("08", 384), ("16", 384 if levels == 3 else 256), ("32", 256)):
        for gate in ("convz", "convr", "convq"):
            shapes |= convolution(f"update_block.gru{scale}.{gate}", 128, inputs, 3)
    shapes |= convolution("update_block.flow_head.conv1", 256, 128, 3)
    shapes |= convolution("update_block.flow_head.conv2", 2, 256, 3)
    shapes |= convolution("update_block.mask.0", 256, 128, 3)
    shapes |= convolution("update_block.mask.2", 9 * factor**2, 256, 1)
    for level in range(levels):
        shapes |= convolution(f"context_zqr_convs.{level}", 384, 128, 3)
    if shared:
        return shapes | block("conv2.0", 128, 128, "instance", changes=False) | convolution("conv2.1", 256, 128, 3)
    return shapes | encoder("fnet", 3, "instance") | convolution("fnet.conv2", 256, 128, 1)


CASES = [
    ("full", {}, published_shapes(shared=False, levels=3, factor=4)),
    ("full", {"context_norm": "instance"}, published_shapes(shared=False, levels=3, factor=4, kind="instance")),
    ("realtime", {}, published_shapes(shared=True, levels=2, factor=8)),
]


@pytest.mark.parametrize(("variant", "settings", "shapes"), CASES)
def test_names_shapes_and_recognised_variant(variant: str, settings: dict[str, object], shapes: Shapes) -> None:
    config = resolve_net("raft_stereo", variant, settings)
    state = make_net("raft_stereo", config).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == shapes
    assert config_of(state, Path("x.pth")) == config


def test_published_variants() -> None:
    counts = {variant: len(published_shapes(shared=variant != "full", levels=3, factor=4)) for variant in ("full",)}
    assert counts == {"full": 337}
    assert RaftStereoConfig().model_dump() == resolve_net("raft_stereo").model_dump()
    assert set(VARIANTS["raft_stereo"]) == {"full", "realtime"}


@pytest.fixture(scope="module")
def official_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as the release writes it: a state dict of the data-parallel wrapper."""
    net = make_net("raft_stereo", resolve_net("raft_stereo", "realtime", {"hidden_channels": 16}), seed=3)
    path = tmp_path_factory.mktemp("official") / "raftstereo-realtime.pth"
    torch.save({f"module.{name}": tensor for name, tensor in net.state_dict().items()}, path)
    return path


def test_an_official_file_loads(official_file: Path) -> None:
    trained = load_net(official_file)
    expected = make_net("raft_stereo", resolve_net("raft_stereo", "realtime", {"hidden_channels": 16}), seed=3)
    assert trained.net.config == expected.config
    assert trained.description.licence.startswith("MIT")
    assert all(torch.equal(one, two) for one, two in zip(trained.net.parameters(), expected.parameters(), strict=True))
    assert not trained.net.training


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "module._orig_mod.", "model.net."])
@pytest.mark.parametrize("wrapper", [(), ("state_dict",), ("ema", "shadow")])
def test_what_trainers_put_around_a_net_is_taken_off(
    official_file: Path, tmp_path: Path, prefix: str, wrapper: tuple[str, ...]
) -> None:
    plain = {name.removeprefix("module."): value for name, value in torch.load(official_file).items()}
    content: dict[str, Any] = {prefix + name: value for name, value in plain.items()}
    if prefix:
        content["loss.weight"] = torch.ones(3)
    for name in reversed(wrapper):
        content = {"optimizer": {"state": {0: torch.zeros(2)}}, name: content, "epoch": 3}
    torch.save(content, tmp_path / "last.ckpt")
    found = load_net(tmp_path / "last.ckpt").net.state_dict()
    assert found.keys() == plain.keys()
    assert all(torch.equal(found[name], plain[name]) for name in plain)


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("it ran",)


def test_foreign_and_broken_files_are_refused(
    official_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = torch.load(official_file, weights_only=True)
    missing = {name: tensor for name, tensor in good.items() if "flow_head" not in name}
    unknown = {"weight": torch.zeros(3)}
    cases = {
        "bomb.pth": pickle.dumps({"state": _Bomb()}),
        "cut.pth": official_file.read_bytes()[:5000],
        "empty.pth": b"",
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
    torch.save(missing, tmp_path / "missing.pth")
    torch.save(unknown, tmp_path / "unknown.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    for path in [*sorted(tmp_path.iterdir()), tmp_path / "nowhere.pth"]:
        with pytest.raises(InputError, match=path.name):
            load_net(path)
    assert "it ran" not in capsys.readouterr().out


def test_correlation_lookup_equals_the_slow_twin() -> None:
    random = torch.Generator().manual_seed(1)
    left, right = (torch.randn(1, 5, 2, 9, generator=random) for _ in range(2))
    column = 12 * torch.rand(1, 1, 2, 9, generator=random) - 2
    column[0, 0, 0, 0] = -1e6  # an untrained net can point anywhere
    found = CorrelationPyramid(left, right, levels=2, radius=1).lookup(column)
    assert found.shape == (1, 6, 2, 9)
    for level in range(2):
        coarse = functional.avg_pool2d(right, (1, 2**level))
        width = coarse.shape[-1]
        for k, offset in enumerate((-1, 0, 1)):
            for row in range(2):
                for x in range(9):
                    place = float(column[0, 0, row, x]) / 2**level + offset
                    low = math.floor(place)
                    value = sum(
                        weight * float(left[0, :, row, x] @ coarse[0, :, row, near]) / math.sqrt(5)
                        for near, weight in ((low, 1 - (place - low)), (low + 1, place - low))
                        if 0 <= near < width
                    )
                    assert float(found[0, 3 * level + k, row, x]) == pytest.approx(value, abs=1e-5)


def test_batch_statistics_stay_while_training() -> None:
    net = make_net("raft_stereo", resolve_net("raft_stereo", settings={"hidden_channels": 8, "train_iterations": 2}))
    before = {name: tensor.clone() for name, tensor in net.named_buffers()}
    left, right = torch.rand(2, 1, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    answers = net.train()(left, right)
    assert len(answers) == 2
    assert all(torch.equal(before[name], tensor) for name, tensor in net.named_buffers())
    assert len(net.eval()(left, right)) == 1
