"""What only a GPU can show: the nets agree with the CPU, and mixed precision and two devices train."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from builders import write_shifted_pairs

from gs_stereo.config import parse_config
from gs_stereo.nets.protocol import make_net, resolve_net
from gs_stereo.training.config import DataSource
from gs_stereo.training.stereo.config import TrainConfig
from gs_stereo.training.stereo.train import TrainingJob, train_net

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize(("name", "variant"), [("lite", "full"), ("raft_stereo", "full"), ("raft_stereo", "realtime")])
def test_the_gpu_gives_the_answer_of_the_cpu(name: str, variant: str) -> None:
    net = make_net(name, resolve_net(name, variant), seed=1).eval()
    left, right = torch.rand(2, 1, 3, 64, 128, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = net(left, right)[-1]
        torch.backends.cudnn.allow_tf32 = False
        found = net.cuda()(left.cuda(), right.cuda())[-1].cpu()
    assert float((found - expected).abs().median()) < 1e-3


@pytest.mark.parametrize("devices", [1, 2])
def test_mixed_precision_training_on_cuda(tmp_path: Path, devices: int) -> None:
    if torch.cuda.device_count() < devices:
        pytest.skip(f"{devices} CUDA devices are needed")
    data = write_shifted_pairs(tmp_path / "data", 8)
    settings = {
        "device": "cuda",
        "devices": devices,
        "steps": 20,
        "crop_height": 32,
        "crop_width": 48,
        "validation_share": 0.3,
    }
    config = parse_config(TrainConfig, settings, where="the test")
    (tmp_path / "run").mkdir()
    result = train_net(TrainingJob(config=config, sources=(DataSource(path=data),), seed=0, folder=tmp_path / "run"))
    assert result.device == "cuda"
    assert result.records[-1].kind == "validation"
