"""The CPU rasterizer: the native engine behind the Rasterizer protocol and torch's autograd.

One autograd node a render. It keeps a Frame of the engine (projected and binned Gaussians) for backward; frames and
gradients are pooled, so that a training loop asks for no memory after its first step. Results do not depend on the
number of threads, which is torch.get_num_threads().
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Sequence
from ctypes import byref, c_void_p
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float

from gs_stereo.errors import InputError, StageError
from gs_stereo.native import raster as native
from gs_stereo.splat.raster.inputs import check_inputs, not_finite, poses
from gs_stereo.splat.raster.protocol import RenderExtras, RenderOutput, RenderSettings, ScreenGradients
from gs_stereo.splat.raster.tensor_pool import TensorPool
from gs_stereo.types import Camera, StereoRig
from gs_stereo.types.gaussians import Gaussians

PARAMETERS = ("means", "quats_wxyz", "log_scales", "opacity_logits", "sh")  # in the order of the engine's error bits
FEATURES_A_PASS = 3


class CpuRasterizer:
    """The Rasterizer protocol on the CPU. `level`: instruction set, None = the best (see native.raster)."""

    name = "cpu"

    def __init__(self, device: torch.device | str = "cpu", level: str | None = None) -> None:
        self.device = torch.device(device)
        if self.device.type != "cpu":
            raise InputError(f"The cpu rasterizer cannot work on {self.device}; use the gsplat rasterizer there.")
        self.level = native.best_level() if level is None else level
        self._engine = _Engine.at(self.level)

    def render(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],
        settings: RenderSettings,
        extras: RenderExtras = RenderExtras(),
    ) -> RenderOutput:
        """See Rasterizer.render. With features, `absolute` sums them in groups of three beside the colour."""
        check_inputs(gaussians, cameras, extras, self.device)
        call = _Call(engine=self._engine, cameras=tuple(cameras), settings=settings, extras=extras)
        inputs = [gaussians.tensors()[name] for name in PARAMETERS] + [extras.features, extras.cam_from_world]
        if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in inputs):
            rgb, alpha, z_sum, z2_sum, median, radii, features = _Render.apply(call, *inputs)
        else:
            rgb, alpha, z_sum, z2_sum, median, radii, features = call.forward([_plain(tensor) for tensor in inputs])
        return RenderOutput(
            rgb=rgb, alpha=alpha, z_sum=z_sum, z2_sum=z2_sum, median_depth=median, radii_px=radii,
            features=features if extras.features is not None else None,
        )  # fmt: skip

    def render_stereo(
        self, gaussians: Gaussians, rig: StereoRig, settings: RenderSettings
    ) -> tuple[RenderOutput, RenderOutput]:
        """See Rasterizer.render_stereo."""
        cameras = (rig.left, rig.right)
        check_inputs(gaussians, cameras, RenderExtras(), self.device)
        call = _Call(engine=self._engine, cameras=cameras, settings=settings, extras=RenderExtras(), same_depths=True)
        tensors = [_plain(gaussians.tensors()[name]) for name in PARAMETERS]
        rgb, alpha, z_sum, z2_sum, median, radii, _ = call.forward([*tensors, None, None])
        both = RenderOutput(
            rgb=rgb, alpha=alpha, z_sum=z_sum, z2_sum=z2_sum, median_depth=median, radii_px=radii, features=None
        )
        return both.view(0), both.view(1)


def _plain(tensor: torch.Tensor | None) -> torch.Tensor | None:
    """As the engine reads it: float32, contiguous, without history."""
    return None if tensor is None else tensor.detach().to(torch.float32).contiguous()


class _Engine:
    """A loaded library and its pools of frames and gradients."""

    _instances: ClassVar[dict[str, _Engine]] = {}

    def __init__(self, level: str) -> None:
        self.library = native.load(level)
        self.tensors = TensorPool(self.library)
        self._free: list[int] = []
        self._lock = threading.RLock()  # the collector may give back a frame while this thread takes one

    @classmethod
    def at(cls, level: str) -> _Engine:
        if level not in cls._instances:
            cls._instances[level] = cls(level)
        return cls._instances[level]

    def frame(self) -> _Frame:
        with self._lock:
            handle = self._free.pop() if self._free else self.library.gss_frame_new()
        if not handle:
            raise MemoryError("the CPU engine has no memory for a frame")
        return _Frame(self, handle)

    def give_back(self, handle: int) -> None:
        with self._lock:
            self._free.append(handle)

    def check(self, status: int) -> None:
        """Turn an engine status into the error it means."""
        if status == -1:
            raise StageError("The CPU engine ran out of memory; use fewer Gaussians or a smaller image.")
        if status == -2:
            raise StageError("The Gaussians cover too many tiles; they are too large on screen, lower their scales.")
        for bit, name in enumerate(PARAMETERS):
            if status & (1 << bit):
                raise not_finite(name)


class _Frame:
    """A frame of the engine, returned to the pool when nothing refers to it any more."""

    def __init__(self, engine: _Engine, handle: int) -> None:
        self.handle = handle
        weakref.finalize(self, engine.give_back, handle).atexit = False


@dataclass(kw_only=True, eq=False)
class _Call:
    """One render: its inputs in the engine's form, and what backward needs."""

    engine: _Engine
    cameras: tuple[Camera, ...]
    settings: RenderSettings
    extras: RenderExtras
    same_depths: bool = False
    frames: list[_Frame] = field(default_factory=list)
    native_cameras: ctypes.Array[native.Camera] = field(init=False)
    options: native.Options = field(init=False)
    mask: torch.Tensor | None = None

    @property
    def size(self) -> tuple[int, int, int]:
        return len(self.cameras), self.cameras[0].height, self.cameras[0].width

    def forward(self, inputs: Sequence[torch.Tensor | None]) -> tuple[torch.Tensor, ...]:
        """rgb, alpha, z_sum, z2_sum, median_depth, radii, features; empty where not wanted."""
        *parameters, features, cam_from_world = inputs
        count = len(_present(parameters[0]))
        views, height, width = self.size
        self._prepare(cam_from_world)
        radii = torch.empty(views, count)
        self._project(parameters, radii)

        def image(wanted: bool, *channels: int) -> torch.Tensor:
            return torch.empty(views, *channels, height, width) if wanted else torch.empty(views, *channels, 0, 0)

        moments = self.settings.depth_moments
        outputs = [
            image(True, 3),
            image(True),
            image(moments > 0),
            image(moments > 1),
            image(self.settings.median_depth),
        ]
        for view, frame in enumerate(self.frames):
            images = _images(*outputs, view=view)
            self.engine.library.gss_composite(frame.handle, byref(self.options), self._mask(view), byref(images))
        feature_images = image(features is not None, 0 if features is None else features.shape[1])
        if features is not None:
            feature_images = self._forward_features(features)
        return *outputs, radii, feature_images

    def backward(
        self,
        saved: Sequence[torch.Tensor | None],
        outputs: Sequence[torch.Tensor | None],
        incoming: Sequence[torch.Tensor | None],
    ) -> list[torch.Tensor | None]:
        """Gradients by the inputs of `forward`, from those by its first four outputs and the features."""
        *parameters, features, cam_from_world = saved
        *image_gradients, by_feature_images = incoming
        views = len(self.cameras)
        out = self.engine.tensors.empty([tuple(_present(tensor).shape) for tensor in parameters])
        by_features = None if features is None else torch.zeros_like(features)
        pose = np.zeros((views, 3, 4)) if cam_from_world is not None else None
        signed, absolute = self._screen_sinks(len(out[0]))
        self.options.threads = native.num_threads()
        cloud = self._cloud(parameters)
        for view, frame in enumerate(self.frames):
            if features is not None and by_feature_images is not None:
                assert by_features is not None
                self._backward_features(view, features, _present(outputs[4]), by_feature_images, by_features)
            gradients = native.Gradients(
                *(native.pointer(tensor) for tensor in out),
                native.pointer(None if signed is None else signed[view]),
                native.pointer(None if absolute is None else absolute[view]),
                None if pose is None else pose[view].ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
                int(view > 0),
            )
            images, by_images = _images(*outputs[:4], view=view), _images(*image_gradients, view=view)
            status = self.engine.library.gss_backward(
                frame.handle, byref(self.native_cameras[view]), byref(cloud), byref(self.options), self._mask(view),
                byref(images), byref(by_images), byref(gradients),
            )  # fmt: skip
            self.engine.check(status)
        by_pose = None
        if pose is not None:
            by_pose = torch.zeros(views, 4, 4, dtype=torch.float64)
            by_pose[:, :3] = torch.from_numpy(pose)
        return [*out, by_features, by_pose]

    def _prepare(self, cam_from_world: torch.Tensor | None) -> None:
        settings = self.settings
        extras = RenderExtras(cam_from_world=cam_from_world)
        matrices = poses(self.cameras, extras).detach().to(torch.float64).numpy()
        self.native_cameras = (native.Camera * len(self.cameras))(
            *(_native_camera(camera, matrix) for camera, matrix in zip(self.cameras, matrices, strict=True))
        )
        self.options = native.Options(
            near=settings.near, eps2d=settings.eps2d, background=settings.background,
            antialiased=settings.antialiased, depth_moments=settings.depth_moments,
            median_depth=settings.median_depth, threads=native.num_threads(),
        )  # fmt: skip
        if self.extras.pixel_mask is not None:
            self.mask = self.extras.pixel_mask.to(torch.uint8).contiguous()

    def _cloud(self, parameters: Sequence[torch.Tensor | None]) -> native.Cloud:
        sh = _present(parameters[4])
        degree = used_sh_degree_of(sh, self.settings)
        return native.Cloud(len(sh), *(native.pointer(tensor) for tensor in parameters), sh.shape[1], degree)

    def _project(self, parameters: Sequence[torch.Tensor | None], radii: Float[torch.Tensor, "c n"]) -> None:
        views = len(self.cameras)
        self.frames = [self.engine.frame() for _ in self.cameras]
        handles = (c_void_p * views)(*(frame.handle for frame in self.frames))
        rows = (c_void_p * views)(*(native.pointer(row) for row in radii))
        status = self.engine.library.gss_project(
            handles, self.native_cameras, views, byref(self._cloud(parameters)), byref(self.options), rows,
            int(self.same_depths),
        )  # fmt: skip
        self.engine.check(status)

    def _mask(self, view: int) -> int | None:
        return None if self.mask is None else native.pointer(self.mask[view])

    def _without_background(self) -> native.Options:
        options = native.Options.from_buffer_copy(self.options)
        options.background[:] = (0.0, 0.0, 0.0)
        return options

    def _forward_features(self, features: Float[torch.Tensor, "n f"]) -> Float[torch.Tensor, "c f h w"]:
        """Features are drawn three at a time by the kernel that draws colour."""
        padded = _padded(features)
        views, height, width = self.size
        result = torch.empty(views, padded.shape[1], height, width)
        options = self._without_background()
        for view, frame in enumerate(self.frames):
            for first in range(0, padded.shape[1], FEATURES_A_PASS):
                images = native.Images(rgb=native.pointer(result[view, first:]))
                status = self.engine.library.gss_composite_features(
                    frame.handle, byref(options), self._mask(view), byref(images), _at(padded, first), padded.shape[1]
                )
                self.engine.check(status)
        return result[:, : features.shape[1]].contiguous()

    def _backward_features(
        self, view: int, features: torch.Tensor, images: torch.Tensor, by_images: torch.Tensor, out: torch.Tensor
    ) -> None:
        padded, planes, by_planes = _padded(features), _padded(images[view], 0), _padded(by_images[view], 0)
        by_padded = torch.zeros_like(padded)
        options = self._without_background()
        absolute = self.extras.screen_gradients is not None and self.extras.screen_gradients.want_absolute
        for first in range(0, padded.shape[1], FEATURES_A_PASS):
            shown = native.Images(rgb=native.pointer(planes[first:]))
            incoming = native.Images(rgb=native.pointer(by_planes[first:]))
            status = self.engine.library.gss_backward_features(
                self.frames[view].handle, byref(options), self._mask(view), byref(shown), byref(incoming),
                _at(padded, first), _at(by_padded, first), padded.shape[1], int(absolute),
            )  # fmt: skip
            self.engine.check(status)
        out += by_padded[:, : out.shape[1]]

    def _screen_sinks(self, count: int) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        sink: ScreenGradients | None = self.extras.screen_gradients
        if sink is None:
            return None, None
        sink.signed = torch.empty(len(self.cameras), count, 2)
        sink.absolute = torch.empty_like(sink.signed) if sink.want_absolute else None
        return sink.signed, sink.absolute


class _Render(torch.autograd.Function):
    """Inputs: the call, the five parameters, features and poses (or None)."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        ctx.set_materialize_grads(False)
        plain = [_plain(tensor) for tensor in inputs]
        if inputs[6] is not None:
            plain[6] = inputs[6].detach()
        outputs = call.forward(plain)
        ctx.call = call
        ctx.dtypes = [None if tensor is None else tensor.dtype for tensor in inputs]
        ctx.save_for_backward(*plain, *outputs[:4], outputs[6])
        ctx.mark_non_differentiable(outputs[4], outputs[5])
        return outputs

    @staticmethod
    def backward(ctx: Any, *by_outputs: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        saved = list(ctx.saved_tensors)
        inputs, outputs = saved[:7], saved[7:]
        incoming = [_plain(by_outputs[index]) for index in (0, 1, 2, 3, 6)]
        wanted = ctx.needs_input_grad[1:]
        if not wanted[6]:
            inputs[6] = None
        gradients = ctx.call.backward(inputs, outputs, incoming)
        return None, *(
            gradient.to(dtype) if gradient is not None and want else None
            for gradient, dtype, want in zip(gradients, ctx.dtypes, wanted, strict=True)
        )


def used_sh_degree_of(sh: torch.Tensor, settings: RenderSettings) -> int:
    available = round(sh.shape[1] ** 0.5) - 1
    return available if settings.sh_degree is None else min(settings.sh_degree, available)


def _present(tensor: torch.Tensor | None) -> torch.Tensor:
    assert tensor is not None
    return tensor


def _images(
    rgb: torch.Tensor | None,
    alpha: torch.Tensor | None,
    z_sum: torch.Tensor | None,
    z2_sum: torch.Tensor | None,
    median_depth: torch.Tensor | None = None,
    *,
    view: int,
) -> native.Images:
    """The images of one view; empty tensors count as absent."""
    planes = (rgb, alpha, z_sum, z2_sum, median_depth)
    return native.Images(
        *(None if image is None or image.numel() == 0 else native.pointer(image[view]) for image in planes)
    )


def _native_camera(camera: Camera, cam_from_world: Float[np.ndarray, "4 4"]) -> native.Camera:
    rotation, translation = cam_from_world[:3, :3], cam_from_world[:3, 3]
    return native.Camera(
        rotation=tuple(rotation.ravel()), translation=tuple(translation),
        centre=tuple(-rotation.T @ translation),
        fx=camera.intrinsics[0, 0], fy=camera.intrinsics[1, 1], cx=camera.intrinsics[0, 2], cy=camera.intrinsics[1, 2],
        width=camera.width, height=camera.height,
    )  # fmt: skip


def _padded(channels: torch.Tensor, dim: int = 1) -> torch.Tensor:
    """Zero channels appended until there is a multiple of three."""
    missing = -channels.shape[dim] % FEATURES_A_PASS
    zeros = channels.new_zeros([missing if d == dim else size for d, size in enumerate(channels.shape)])
    return torch.cat([channels, zeros], dim=dim).contiguous()


def _at(features: torch.Tensor, channel: int) -> int | None:
    """The address of a channel of the first row."""
    return features.data_ptr() + channel * features.element_size()
