"""The CPU rasterizer: the native engine behind the Rasterizer protocol and torch's autograd.

One autograd node a render. It keeps the engine's Frames (projected and binned Gaussians of each view) for backward;
frames and gradients are pooled, so that a training loop asks for no memory after its first step. Results do not depend
on the number of threads, which is torch.get_num_threads().
"""

import weakref
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch.nn import functional

from gs_stereo.errors import InputError
from gs_stereo.native.library import Struct
from gs_stereo.splat.engine import ENGINE
from gs_stereo.splat.raster.inputs import check_inputs, poses, used_sh_degree
from gs_stereo.splat.raster.protocol import RenderExtras, RenderOutput, RenderSettings
from gs_stereo.splat.raster.tensor_pool import TensorPool
from gs_stereo.types import Camera, StereoRig
from gs_stereo.types.gaussians import Gaussians

PARAMETERS = ("means", "quats_wxyz", "log_scales", "opacity_logits", "sh")
IMAGES = ("rgb", "alpha", "z_sum", "z2_sum", "median_depth", "features")

_GRADIENTS = TensorPool()


class CpuRasterizer:
    """The Rasterizer protocol on the CPU. `level`: instruction set, None = the best (see native.library)."""

    name = "cpu"

    def __init__(self, device: torch.device | str = "cpu", level: str | None = None) -> None:
        self.device = torch.device(device)
        if self.device.type != "cpu":
            raise InputError(f"The cpu rasterizer cannot work on {self.device}; use the gsplat rasterizer there.")
        self.level = ENGINE.best_level() if level is None else level

    def render(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],
        settings: RenderSettings,
        extras: RenderExtras = RenderExtras(),
    ) -> RenderOutput:
        """See Rasterizer.render. With features, `absolute` sums them in groups of three beside the colour."""
        return self._render(gaussians, cameras, settings, extras)

    def render_stereo(
        self, gaussians: Gaussians, rig: StereoRig, settings: RenderSettings
    ) -> tuple[RenderOutput, RenderOutput]:
        """See Rasterizer.render_stereo."""
        with torch.no_grad():
            both = self._render(gaussians, (rig.left, rig.right), settings, RenderExtras(), same_depths=True)
        return both.view(0), both.view(1)

    def _render(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],
        settings: RenderSettings,
        extras: RenderExtras,
        same_depths: bool = False,
    ) -> RenderOutput:
        check_inputs(gaussians, cameras, extras, self.device)
        call = _Call(
            level=self.level, cameras=cameras, settings=settings, extras=extras,
            sh_degree=used_sh_degree(gaussians, settings), same_depths=same_depths,
        )  # fmt: skip
        parameters = [gaussians.tensors()[name] for name in PARAMETERS]
        inputs = [*parameters, extras.features, extras.cam_from_world]
        if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in inputs):
            *images, radii = _Render.apply(call, *inputs)
        else:
            *images, radii = call.forward([_plain(tensor) for tensor in parameters], _plain(extras.features))
        named = dict(zip(IMAGES, images, strict=True))
        return RenderOutput(**{**named, "features": None if extras.features is None else images[-1]}, radii_px=radii)


class _Frame:
    """A frame of the engine, which is used again when nothing refers to it any more."""

    _free: ClassVar[defaultdict[str, list[int]]] = defaultdict(list)  # by level

    def __init__(self, level: str) -> None:
        free = self._free[level]
        try:
            self.handle = free.pop()
        except IndexError:
            memory = ENGINE.struct("Memory")
            ENGINE.call("gs_frame_new", memory, level=level)
            self.handle = memory.address
        weakref.finalize(self, free.append, self.handle).atexit = False


@dataclass(kw_only=True, eq=False)
class _Call:
    """One render: what it is asked for, and what backward needs of forward apart from tensors."""

    level: str
    cameras: Sequence[Camera]
    settings: RenderSettings
    extras: RenderExtras
    sh_degree: int
    same_depths: bool
    frames: list[_Frame] = field(init=False)
    engine_cameras: list[Struct] = field(init=False)

    def __post_init__(self) -> None:
        matrices = poses(self.cameras, self.extras).detach().to(torch.float64).numpy()
        self.engine_cameras = [_engine_camera(*pair) for pair in zip(self.cameras, matrices, strict=True)]
        self.frames = [_Frame(self.level) for _ in self.cameras]

    @property
    def channels(self) -> int:
        """Of features, with those that are appended: three at a time are drawn like a colour."""
        return 0 if self.extras.features is None else -(-self.extras.features.shape[1] // 3) * 3

    def forward(self, parameters: list[torch.Tensor], features: torch.Tensor | None) -> list[torch.Tensor]:
        """The images, empty where not wanted, and the radii."""
        views, size = len(self.cameras), (self.cameras[0].height, self.cameras[0].width)
        moments, median = self.settings.depth_moments, self.settings.median_depth
        images = [torch.empty(views, 3, *size), torch.empty(views, *size)]
        images += [torch.empty(views, *(size if on else (0, 0))) for on in (moments > 0, moments > 1, median)]
        images += [torch.empty(views, self.channels, *size)]
        radii = torch.empty(views, len(parameters[0]))
        ENGINE.call("gs_forward", self._asked(parameters, features, radii), self._images(images), level=self.level)
        if features is not None:
            images[-1] = images[-1][:, : features.shape[1]].contiguous()
        return [*images, radii]

    def backward(
        self,
        parameters: list[torch.Tensor],
        features: torch.Tensor | None,
        images: list[torch.Tensor | None],
        by_images: list[torch.Tensor | None],
        want_poses: bool,
    ) -> list[torch.Tensor | None]:
        """Gradients by the parameters, features and poses, from the images of `forward` and the gradients by them."""
        views, count = len(self.cameras), len(parameters[0])
        out = _GRADIENTS.empty([tuple(tensor.shape) for tensor in parameters])
        by_features = None if features is None else torch.zeros(count, self.channels)
        by_poses = torch.zeros(views, 3, 4, dtype=torch.float64) if want_poses else None
        sink, signed, absolute = self.extras.screen_gradients, None, None
        if sink is not None:
            sink.signed = signed = torch.empty(views, count, 2)
            sink.absolute = absolute = torch.empty(views, count, 2) if sink.want_absolute else None
        gradients = ENGINE.struct(
            "Gradients", count=count, views=views, sh_count=parameters[-1].shape[1], channels=self.channels,
            **dict(zip(PARAMETERS, out, strict=True)), features=by_features,
            screen_signed=signed, screen_absolute=absolute, pose=by_poses,
        )  # fmt: skip
        given = (self._images(images), self._images(by_images))
        ENGINE.call("gs_backward", self._asked(parameters, features), *given, gradients, level=self.level)
        if features is not None and by_features is not None:
            by_features = by_features[:, : features.shape[1]]
        return [*out, by_features, None if by_poses is None else functional.pad(by_poses, (0, 0, 0, 1))]

    def _asked(
        self, parameters: list[torch.Tensor], features: torch.Tensor | None, radii: torch.Tensor | None = None
    ) -> Struct:
        settings, mask, sh = self.settings, self.extras.pixel_mask, parameters[-1]
        return ENGINE.struct(
            "Render", views=len(self.cameras), height=self.cameras[0].height, width=self.cameras[0].width,
            same_depths=self.same_depths, frames=np.array([frame.handle for frame in self.frames], np.uint64),
            cameras=self.engine_cameras,
            cloud=ENGINE.struct(
                "Cloud", count=len(sh), **dict(zip(PARAMETERS, parameters, strict=True)), sh_count=sh.shape[1],
                sh_degree=self.sh_degree, features=self._padded(features), channels=self.channels,
            ),
            options=ENGINE.struct(
                "Options", near=settings.near, eps2d=settings.eps2d, background=settings.background,
                antialiased=settings.antialiased, threads=torch.get_num_threads(),
            ),
            mask=None if mask is None else mask.contiguous(), radii=radii,
        )  # fmt: skip

    def _images(self, images: Sequence[torch.Tensor | None]) -> Struct:
        """Empty images count as absent."""
        given = dict(zip(IMAGES, [*images[:-1], self._padded(images[-1])], strict=True))
        return ENGINE.struct(
            "Images", views=len(self.cameras), height=self.cameras[0].height, width=self.cameras[0].width,
            channels=self.channels,
            **{name: image for name, image in given.items() if image is not None and image.numel()},
        )  # fmt: skip

    def _padded(self, features: torch.Tensor | None) -> torch.Tensor | None:
        """Zero channels appended up to `channels`."""
        if features is None or features.shape[1] == self.channels:
            return features
        zeros = features.new_zeros(len(features), self.channels - features.shape[1], *features.shape[2:])
        return torch.cat([features, zeros], dim=1)


class _Render(torch.autograd.Function):
    """Inputs: the call, the five parameters, features and poses (or None)."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        ctx.set_materialize_grads(False)
        *parameters, features = map(_plain, inputs[:-1])
        outputs = call.forward(parameters, features)
        ctx.call = call
        ctx.dtypes = [None if tensor is None else tensor.dtype for tensor in inputs]
        rgb, alpha, z_sum, z2_sum, median, drawn, radii = outputs
        ctx.save_for_backward(*parameters, features, rgb, alpha, z_sum, z2_sum, drawn)
        ctx.mark_non_differentiable(median, radii)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *by_outputs: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        *parameters, features, rgb, alpha, z_sum, z2_sum, drawn = ctx.saved_tensors
        images, by_images = [rgb, alpha, z_sum, z2_sum, None, drawn], [_plain(tensor) for tensor in by_outputs[:-1]]
        wanted = ctx.needs_input_grad[1:]
        gradients = ctx.call.backward(parameters, features, images, by_images, wanted[-1])
        return None, *(
            gradient.to(dtype) if gradient is not None and want else None
            for gradient, dtype, want in zip(gradients, ctx.dtypes, wanted, strict=True)
        )


def _plain(tensor: Any) -> Any:
    """As the engine reads it: float32, contiguous, without history; None stays."""
    return None if tensor is None else tensor.detach().to(torch.float32).contiguous()


def _engine_camera(camera: Camera, cam_from_world: Float[np.ndarray, "4 4"]) -> Struct:
    rotation, translation = cam_from_world[:3, :3], cam_from_world[:3, 3]
    return ENGINE.struct(
        "Camera", rotation=rotation, translation=translation, centre=-rotation.T @ translation,
        fx=camera.intrinsics[0, 0], fy=camera.intrinsics[1, 1], cx=camera.intrinsics[0, 2], cy=camera.intrinsics[1, 2],
        width=camera.width, height=camera.height,
    )  # fmt: skip
