"""The expert that runs trained nets: files, settings, range, scale, both directions, licence."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import shifted_pair
from tiny_net import TINY_NET, TinyNet, tiny_net_entry

from gs_stereo.errors import ConfigError, InputError
from gs_stereo.matching.checkpoint import CheckpointMatcher
from gs_stereo.matching.checkpoint_config import CheckpointConfig
from gs_stereo.matching.experts import ExpertsConfig, external_files
from gs_stereo.nets.protocol import NetAnswer, make_net, resolve_net
from gs_stereo.nets.weights import DESCRIPTION_NAME, WEIGHTS_NAME, NetDescription, save_net

SHIFT_PX = 6


@pytest.fixture(autouse=True)
def _tiny_net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(*tiny_net_entry())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    net = make_net(TINY_NET, resolve_net(TINY_NET))
    save_net(tmp_path / "net", net, NetDescription(net=TINY_NET, settings={"planes": 16}, licence="LicenseRef-lab"))
    return tmp_path / "net"


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    return shifted_pair((50, 90), SHIFT_PX, seed=4)


def matcher(folder: Path, **settings: object) -> CheckpointMatcher:
    return CheckpointMatcher(CheckpointConfig.model_validate({"checkpoint": folder, "device": "cpu", **settings}))


def test_the_folder_and_its_weights_file_are_the_same(folder: Path, pair: tuple[np.ndarray, np.ndarray]) -> None:
    one = matcher(folder).predict(*pair).disparity
    np.testing.assert_array_equal(one, matcher(folder / WEIGHTS_NAME).predict(*pair).disparity)
    assert abs(np.median(one) - SHIFT_PX) < 0.2


def test_settings_of_the_net_can_be_changed(folder: Path, pair: tuple[np.ndarray, np.ndarray]) -> None:
    narrow = matcher(folder, net_settings=["planes=4"]).predict(*pair).disparity
    assert narrow.max() <= 3
    with pytest.raises(ConfigError, match="Unknown setting"):
        matcher(folder, net_settings=["plains=4"]).predict(*pair)


def test_the_net_chooses_scale_and_range_where_nobody_does(
    folder: Path, pair: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[tuple[int, ...], float | None]] = []
    answer = TinyNet.answer

    def watched(net: TinyNet, left: torch.Tensor, right: torch.Tensor, *, max_disparity_px: float | None) -> NetAnswer:
        asked.append((tuple(left.shape[2:]), max_disparity_px))
        found = answer(net, left, right, max_disparity_px=max_disparity_px)
        return dataclasses.replace(found, logit=torch.zeros_like(left[:, :1]))

    monkeypatch.setattr(TinyNet, "answer", watched)
    monkeypatch.setattr(TinyNet, "visible_range_px", lambda net, left, right: 12.0)
    monkeypatch.setattr(TinyNet, "working_scale", lambda net, size, range_px: 0.5 if range_px > 10 else 1.0)
    sure = matcher(folder).predict(*pair)
    matcher(folder).predict(*pair, max_disparity_px=8)
    matcher(folder, scale=1.0).predict(*pair)
    assert asked == [((32, 45), 6.0), ((50, 90), 8), ((50, 90), 12.0)]
    assert abs(np.median(sure.disparity) - SHIFT_PX) < 0.5
    assert sure.confidence is not None
    np.testing.assert_allclose(sure.confidence, np.full((50, 90), 0.5))


def test_half_resolution_keeps_the_unit(folder: Path, pair: tuple[np.ndarray, np.ndarray]) -> None:
    half = matcher(folder, scale=0.5).predict(*pair).disparity
    assert half.shape == pair[0].shape[:2]
    assert abs(np.median(half) - SHIFT_PX) < 0.5


def test_the_check_of_both_directions_drops_what_is_out_of_frame(
    folder: Path, pair: tuple[np.ndarray, np.ndarray]
) -> None:
    checked = matcher(folder, left_right_px=1.0).predict(*pair).disparity
    assert np.isnan(checked[:, :4]).mean() > 0.9
    assert np.isfinite(checked[:, 20:-10]).mean() > 0.9


def test_provenance_names_weights_licence_and_net(
    folder: Path, pair: tuple[np.ndarray, np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "gs_stereo"):
        provenance = matcher(folder).provenance
    assert provenance.licence == "LicenseRef-lab"
    assert "LicenseRef-lab" in caplog.text
    assert provenance.settings["net"] == TINY_NET
    assert len(str(provenance.weights_sha256)) == 64
    assert str(folder) not in str(provenance)


@pytest.mark.parametrize("damage", ["no weights", "cut weights", "no description", "wrong format", "other net"])
def test_broken_folders_are_refused(folder: Path, pair: tuple[np.ndarray, np.ndarray], damage: str) -> None:
    weights, description = folder / WEIGHTS_NAME, folder / DESCRIPTION_NAME
    if damage == "no weights":
        weights.unlink()
    elif damage == "cut weights":
        weights.write_bytes(weights.read_bytes()[:20])
    elif damage == "no description":
        description.unlink()
    elif damage == "wrong format":
        description.write_text('{"format": "other"}')
    else:
        description.write_text(description.read_text().replace(TINY_NET, "lite").replace('"planes": 16', ""))
    with pytest.raises(InputError, match=folder.name):
        matcher(folder).predict(*pair)


def test_the_label_stage_knows_its_files(folder: Path) -> None:
    experts = ExpertsConfig(checkpoint=CheckpointConfig(checkpoint=folder))
    assert set(external_files("checkpoint", experts).values()) == {folder / WEIGHTS_NAME, folder / DESCRIPTION_NAME}
    with pytest.raises(ConfigError, match="--checkpoint"):
        external_files("checkpoint", ExpertsConfig())
