"""The CPU engine's interface: the structs mirror native/splat/engine.h, whose comments say what their fields hold."""

from __future__ import annotations

from ctypes import POINTER, c_double, c_float, c_int32, c_int64, c_void_p

from gs_stereo.native.library import Library, Struct, array_of


class Camera(Struct):
    """A pinhole camera with its pose."""

    _fields_ = (
        ("rotation", c_float * 9), ("translation", c_float * 3), ("centre", c_float * 3),
        ("fx", c_float), ("fy", c_float), ("cx", c_float), ("cy", c_float), ("width", c_int32), ("height", c_int32),
    )  # fmt: skip


class Cloud(Struct):
    """The raw parameters of the Gaussians."""

    _fields_ = (
        ("count", c_int64), ("means", array_of("f4", "count", 3)), ("quats_wxyz", array_of("f4", "count", 4)),
        ("log_scales", array_of("f4", "count", 3)), ("opacity_logits", array_of("f4", "count")),
        ("sh", array_of("f4", "count", "sh_count", 3)), ("sh_count", c_int32), ("sh_degree", c_int32),
        ("features", array_of("f4", "count", "channels", optional=True)), ("channels", c_int32),
    )  # fmt: skip


class Options(Struct):
    """How to render."""

    _fields_ = (
        ("near", c_float), ("eps2d", c_float), ("background", c_float * 3), ("antialiased", c_int32),
        ("threads", c_int32),
    )  # fmt: skip


class Render(Struct):
    """One cloud seen by several cameras."""

    _fields_ = (
        ("views", c_int32), ("height", c_int32), ("width", c_int32), ("same_depths", c_int32),
        ("frames", array_of("u8", "views")), ("cameras", POINTER(Camera)), ("cloud", Cloud), ("options", Options),
        ("mask", array_of("?", "views", "height", "width", optional=True)),
        ("radii", array_of("f4", "views", "cloud.count", optional=True)),
    )  # fmt: skip


class Images(Struct):
    """Planar images of all views, or the gradients by them."""

    _fields_ = (
        ("views", c_int32), ("height", c_int32), ("width", c_int32), ("channels", c_int32),
        ("rgb", array_of("f4", "views", 3, "height", "width", optional=True)),
        *((name, array_of("f4", "views", "height", "width", optional=True))
          for name in ("alpha", "z_sum", "z2_sum", "median_depth")),
        ("features", array_of("f4", "views", "channels", "height", "width", optional=True)),
    )  # fmt: skip


class Gradients(Struct):
    """Where backward writes."""

    _fields_ = (
        ("count", c_int64), ("views", c_int32), ("sh_count", c_int32), ("channels", c_int32),
        ("means", array_of("f4", "count", 3)), ("quats_wxyz", array_of("f4", "count", 4)),
        ("log_scales", array_of("f4", "count", 3)), ("opacity_logits", array_of("f4", "count")),
        ("sh", array_of("f4", "count", "sh_count", 3)),
        ("features", array_of("f4", "count", "channels", optional=True)),
        ("screen_signed", array_of("f4", "views", "count", 2, optional=True)),
        ("screen_absolute", array_of("f4", "views", "count", 2, optional=True)),
        ("pose", array_of("f8", "views", 3, 4, optional=True)),
    )  # fmt: skip


class Loss(Struct):
    """What `gs_l1_dssim` is asked, and its answer."""

    _fields_ = (
        ("planes", c_int32), ("height", c_int32), ("width", c_int32), ("threads", c_int32),
        ("rendered", array_of("f4", "planes", "height", "width")),
        ("photo", array_of("f4", "planes", "height", "width")),
        ("gradient", array_of("f4", "planes", "height", "width")), ("dssim_weight", c_float), ("value", c_double),
    )  # fmt: skip


class AdamTensor(Struct):
    """One tensor of an optimizer step, a row a Gaussian."""

    _fields_ = (
        ("rows", c_int64), ("row", c_int64), ("parameter", array_of("f4", "rows", "row")),
        ("first", array_of("f4", "rows", "row")), ("second", array_of("f4", "rows", "row")),
        ("gradient", array_of("f4", "rows", "row")), ("step_size", c_float),
    )  # fmt: skip


class Adam(Struct):
    """An optimizer step."""

    _fields_ = (
        ("count", c_int32), ("threads", c_int32), ("tensors", POINTER(AdamTensor)),
        ("beta1", c_float), ("beta2", c_float), ("eps", c_float), ("root_scale", c_float),
        ("rows", c_int64), ("visible", array_of("?", "rows", optional=True)),
    )  # fmt: skip


class Memory(Struct):
    """A block that the engine allocates."""

    _fields_ = (("bytes", c_int64), ("address", c_void_p))


class Work(Struct):
    """What benchmarks ask about a frame and about the machine."""

    _fields_ = (
        ("frame", c_void_p), ("rounds", c_int64), ("evaluations", c_int64), ("multiply_adds", c_int64),
        ("lanes", c_int32),
    )  # fmt: skip


ENGINE = Library(
    name="splat",
    has_levels=True,
    functions={
        "gs_frame_new": (Memory,),
        "gs_memory_new": (Memory,),
        "gs_memory_free": (Memory,),
        "gs_forward": (Render, Images),
        "gs_backward": (Render, Images, Images, Gradients),
        "gs_l1_dssim": (Loss,),
        "gs_adam": (Adam,),
        "gs_measure": (Work,),
    },
)
