"""Settings of the learned judges, which run in the user's own checkouts and environments."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from gs_stereo.config import Config


class JudgeConfig(Config):
    """What every learned judge needs."""

    title: ClassVar[str]
    licence: ClassVar[str]
    how: ClassVar[str]
    entry: ClassVar[str]

    repo: Path = Field(description="Your checkout")
    python: str = Field(description="The Python of the environment that you made for it, a path or a command")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto: CUDA if its torch offers it")
    start_timeout_s: float = Field(default=900.0, gt=0, description="Starting and loading may take this long")
    pair_timeout_s: float = Field(default=300.0, gt=0, description="One pair may take this long")


class IsqoeConfig(JudgeConfig):
    """iSQoE (apple/ml-isqoe): predicted preference of stereo viewers."""

    title: ClassVar[str] = "iSQoE"
    licence: ClassVar[str] = "Apple Machine Learning Research Model terms, research only"
    how: ClassVar[str] = "lower is better; (real left, made right) in this order, each eye at 720x1280, bicubic"
    entry: ClassVar[str] = "isqoe/lightning_model.py"

    checkpoint: Path = Field(description="isqoe_1_1.ckpt")


class Met3rConfig(JudgeConfig):
    """MEt3R (mohammadasim98/met3r): features of both pictures compared through MASt3R's points."""

    title: ClassVar[str] = "MEt3R"
    licence: ClassVar[str] = "code MIT; MASt3R and DUSt3R CC BY-NC-SA 4.0, non-commercial; FeatUp and DINO their own"
    how: ClassVar[str] = "lower is better; mean of both directions, for the released module computes one"
    entry: ClassVar[str] = "met3r/__init__.py"

    size_px: int = Field(default=256, ge=64, le=2048, multiple_of=16, description="Pictures are compared at this side")
    torch_home: Path | None = Field(
        default=None, description="Folder of torch.hub with FeatUp and DINO; None: the environment's own"
    )
    hf_home: Path | None = Field(
        default=None,
        description="Folder of Hugging Face with MASt3R, used offline; None: the environment's own",
    )
