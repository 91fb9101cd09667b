"""Settings of fitting a splat. No torch here, so that the command line can read and check them at once.

Everything that says *when* is a share of `iterations`, so that a run of 500 and one of 30,000 follow the same plan.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from gs_stereo.config import Config, OnlyWith
from gs_stereo.mvs.config import SweepConfig

Share = Annotated[float, Field(ge=0.0, le=1.0)]
NonNegative = Annotated[float, Field(ge=0.0)]


class LearningRates(Config):
    """Adam's step size of each parameter (3DGS, Kerbl et al. 2023, section 7)."""

    means: PositiveFloat = Field(default=1.6e-4, description="Centres at the start, times the scene extent.")
    means_final: PositiveFloat = Field(
        default=1.6e-6, description="Centres at the end, times the scene extent; log-linear."
    )
    log_scales: PositiveFloat = Field(default=5e-3, description="Logarithms of the three axes.")
    quats_wxyz: PositiveFloat = Field(default=1e-3, description="Rotations.")
    opacity_logits: PositiveFloat = Field(default=5e-2, description="Logits of the opacities.")
    sh_dc: PositiveFloat = Field(default=2.5e-3, description="Colour without view dependence.")
    sh_rest: PositiveFloat = Field(default=1.25e-4, description="View-dependent colour.")


class InitConfig(Config):
    """Where the first Gaussians come from."""

    pixels: int = Field(
        default=20_000,
        ge=0,
        description="Gaussians added to the SfM points: random pixels of the photos at swept or interpolated depth.",
    )
    opacity: float = Field(default=0.1, gt=0.0, lt=1.0, description="Opacity of every Gaussian at the start.")
    scale_factor: PositiveFloat = Field(
        default=1.0, description="Size of a Gaussian in mean distances to its neighbours."
    )


class DensifyConfig(Config):
    """When and how the default strategy grows and prunes (gsplat's DefaultStrategy)."""

    start: Share = Field(default=0.05, description="First refinement, as a share of the iterations.")
    stop: Share = Field(default=0.6, description="Last refinement, as a share of the iterations.")
    rounds: PositiveInt = Field(
        default=40, description="Refinements between start and stop (at most one in 10 iterations)."
    )
    gradient: Literal["signed", "absolute"] = Field(
        default="absolute",
        description="Screen gradient that decides: the sum's norm (3DGS) or of absolute parts (AbsGS).",
    )
    grow_gradient: PositiveFloat = Field(
        default=1.5e-3, description="Mean screen gradient, in half image widths, above which a Gaussian grows."
    )
    grow_scale: PositiveFloat = Field(
        default=0.01,
        description="Largest axis, in scene extents, up to which a Gaussian is duplicated instead of split.",
    )
    prune_opacity: NonNegative = Field(default=0.005, description="Gaussians with a lower opacity are removed.")
    prune_scale: PositiveFloat = Field(
        default=1.0, description="Gaussians longer than this many scene extents are removed."
    )
    opacity_resets: int = Field(default=0, ge=0, description="How often opacities are reset while densifying.")
    reset_opacity: float = Field(default=0.01, gt=0.0, lt=1.0, description="Opacity that a reset leaves at most.")


class McmcConfig(Config):
    """When and how the MCMC strategy relocates and adds (3DGS as Markov Chain Monte Carlo, Kheradmand et al. 2024)."""

    start: Share = Field(default=0.02, description="First relocation, as a share of the iterations.")
    stop: Share = Field(default=0.8, description="Last relocation, as a share of the iterations.")
    rounds: PositiveInt = Field(
        default=100, description="Relocations between start and stop (at most one in 10 iterations)."
    )
    growth: NonNegative = Field(default=0.05, description="Share of Gaussians added in a round, until max_gaussians.")
    min_opacity: float = Field(
        default=0.005, gt=0.0, lt=1.0, description="Gaussians at or below it are dead and relocated."
    )
    noise: NonNegative = Field(
        default=5e5, description="Strength of the noise on the centres, times their learning rate."
    )


class ResolutionConfig(Config):
    """Coarse to fine: the first part of the fit sees smaller photos."""

    coarse_levels: int = Field(default=2, ge=0, le=4, description="Levels of half size each before full resolution.")
    coarse_share: Share = Field(default=0.4, description="Share of the iterations spent on the coarse levels together.")
    min_edge_px: PositiveInt = Field(default=64, description="No level has a shorter edge than this.")


class FitConfig(Config):
    """How a splat is fitted. The seed is an argument of the fit, not a setting."""

    only_with: ClassVar[OnlyWith] = {
        "densify": {"strategy": ("default",)},
        "mcmc": {"strategy": ("mcmc",)},
        "sweep": {"plane_sweep": (True,)},
        "depth_weight": {"plane_sweep": (True,)},
        "depth_share": {"plane_sweep": (True,)},
    }
    backend: str = Field(
        default="auto", description="Rasterizer by its registered name; auto takes gsplat if CUDA is usable, else cpu."
    )
    iterations: PositiveInt = Field(default=2000, description="Optimisation steps; each renders one photo's view.")
    strategy: Literal["default", "mcmc", "none"] = Field(
        default="default",
        description="How Gaussians are added and removed: by screen gradient, by MCMC, or not at all.",
    )
    max_gaussians: PositiveInt = Field(default=120_000, description="Densification stops adding at this number.")
    sh_degree: int = Field(default=3, ge=0, le=3, description="Highest degree of spherical harmonics of the colour.")
    sh_share: Share = Field(default=0.1, description="Share of the iterations after which one more degree is used.")
    plane_sweep: bool = Field(
        default=True,
        description="Find rough dense depth of the training photos first, for the first Gaussians and depth_weight.",
    )
    sweep: SweepConfig = Field(default=SweepConfig(), description="How that depth is found.")
    dssim_weight: Share = Field(default=0.2, description="Weight of D-SSIM in the loss; L1 has the rest.")
    antialiased: bool = Field(default=True, description="Scale opacity by Mip-Splatting's compensation factor.")
    opacity_weight: NonNegative = Field(default=0.0, description="Weight of the mean opacity in the loss.")
    scale_weight: NonNegative = Field(
        default=0.0, description="Weight of the mean axis, in scene extents, in the loss."
    )
    alpha_weight: NonNegative = Field(
        default=0.1,
        description="Weight of the mean transparency in the loss: photos are opaque, and empty where they are cut out.",
    )
    depth_variance_weight: NonNegative = Field(
        default=0.05, description="Weight of the relative variance of depth along each ray in the loss."
    )
    depth_weight: NonNegative = Field(
        default=0.5, description="Weight of the relative distance to the swept depth in the loss, at the start."
    )
    depth_share: Share = Field(
        default=1.0, description="Share of the iterations after which depth_weight has fallen to zero, linearly."
    )
    background: Literal["mean", "black"] = Field(
        default="mean", description="Colour where no photo has looked: the photos' mean, or black."
    )
    undo_appearance: bool = Field(
        default=True,
        description="Find exposure and colour of each photo and the vignette from the SfM points, and undo them where "
        "that brings the photos together.",
    )
    find_transients: bool = Field(
        default=True,
        description="Find what stands before the scene in single photos (it needs plane_sweep), and leave it out.",
    )
    weigh_blur: bool = Field(default=True, description="Photos that are blurred, compared with the others, weigh less.")
    test_every: int = Field(
        default=8,
        ge=0,
        description="Every n-th photo by sorted name, from the first (of fewer than 15 photos from half of n), is held "
        "out for measuring, and views there are the worst of the set; 0 and 1 hold out none: the choice for a data set "
        "to keep.",
    )
    checkpoint_every: int = Field(default=500, ge=0, description="Iterations between checkpoints; 0 writes none.")
    rates: LearningRates = Field(default=LearningRates(), description="Learning rates.")
    init: InitConfig = Field(default=InitConfig(), description="The first Gaussians.")
    densify: DensifyConfig = Field(default=DensifyConfig(), description="The default strategy.")
    mcmc: McmcConfig = Field(default=McmcConfig(), description="The MCMC strategy.")
    resolution: ResolutionConfig = Field(default=ResolutionConfig(), description="Coarse to fine.")
