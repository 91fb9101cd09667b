"""Any ONNX stereo model behind the matcher protocol, through onnxruntime.

A YAML description (`OnnxModelDescription`) says how to feed the model and how to read its answer. An ONNX file is data,
not code: no custom operators are loaded, and a run that takes too long is ended. onnxruntime is an optional dependency.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.core.hashing import sha256_file, sha256_text
from gs_stereo.errors import InputError
from gs_stereo.imaging.images import resize_to
from gs_stereo.imaging.resampling import resize_surface
from gs_stereo.matching.both_sides import OneDirectionMatcher, Pair, announce_licence, positive_or_nan
from gs_stereo.matching.onnx_config import OnnxConfig, OnnxModelDescription, load_description
from gs_stereo.matching.onnx_session import OpenModel, open_model, run_model
from gs_stereo.matching.sizing import SizePolicy, run_at_any_size
from gs_stereo.types import DisparityPrediction, Provenance

_PLACES = {"model", "description", "device_index", "timeout_s", "threads"}
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


class OnnxMatcher(OneDirectionMatcher):
    """StereoMatcher by an ONNX model. The model is loaded by the first prediction.

    config: which model, where it runs, and what happens to sizes that it does not accept. The range is used for the
    tiles of large images. Confidence is the model's own if its description names one, else None.
    """

    config: OnnxConfig

    def __init__(self, config: OnnxConfig) -> None:
        self.config = config
        self.description = load_description(config.description)
        if not config.model.is_file():
            raise InputError(f"There is no ONNX model {config.model}; check the path.")

    @cached_property
    def provenance(self) -> Provenance:
        """Name, licence and settings of the description and the config, and the sha256 of the weights."""
        description = self.description.model_dump(mode="json", exclude={"name", "version", "licence"})
        # External weights lie beside the model, as model.onnx.data or model.onnx_data.
        model = self.config.model
        beside = sorted(path for path in model.parent.glob(f"{model.name}*data") if path.is_file())
        digests = [sha256_file(path) for path in (model, *beside)]
        return Provenance(
            name=self.description.name,
            version=self.description.version,
            licence=self.description.licence,
            weights_sha256=digests[0] if len(digests) == 1 else sha256_text("\n".join(digests)),
            settings={**self.config.model_dump(mode="json", exclude=_PLACES), "description": description},
        )

    @cached_property
    def _model(self) -> OpenModel:
        model = open_model(self.config, self.description)
        announce_licence(self.description.name, self.description.licence)
        return model

    def left_disparities(self, pairs: Sequence[Pair], max_disparity_px: float | None) -> list[DisparityPrediction]:
        fixed = self._model.fixed_size
        policy = SizePolicy(
            fixed=fixed,
            multiple=self.description.pad_multiple,
            pad_side=self.description.pad_side,
            when_differs=self.config.when_size_differs,
            smallest_scale=self.config.smallest_scale,
            tile_overlap_px=self.config.tile_overlap_px,
        )
        margin = max_disparity_px
        if margin is None:
            margin = self.config.max_disparity_share * (fixed[1] if fixed else pairs[0][0].shape[1])
        found = []
        for left, right in pairs:
            disparity, *confidence = run_at_any_size(self._run, left, right, policy, margin_px=margin)
            probability = (
                np.clip(np.nan_to_num(confidence[0], nan=0.0), 0, 1).astype(np.float32) if confidence else None
            )
            found.append(DisparityPrediction(disparity=positive_or_nan(disparity), confidence=probability))
        return found

    def _run(self, left: np.ndarray, right: np.ndarray) -> Float[np.ndarray, "k h w"]:
        """One run of the model at a size that it accepts."""
        description = self.description
        tensors = [_tensor(image, description) for image in (left, right)]
        if len(description.inputs) == 1:
            tensors = [np.concatenate(tensors, axis=1 if description.layout == "NCHW" else 3)]
        feed = dict(zip(description.inputs, tensors, strict=True))
        if description.half_inputs:
            halves = (resize_to(image, image.shape[1] // 2, image.shape[0] // 2) for image in (left, right))
            small = (_tensor(image, description) for image in halves)
            feed |= dict(zip(description.half_inputs, small, strict=True))
        names = [description.output, *filter(None, [description.confidence_output])]
        outputs = run_model(self._model, names, feed, self.config)
        size = left.shape[0], left.shape[1]
        raw, *confidence = (_plane(output, size, description, self.config.model) for output in outputs)
        disparity = raw * np.float32(description.scale if description.sign == "positive" else -description.scale)
        return np.stack([disparity, *confidence])


def _tensor(image: UInt8[np.ndarray, "h w 3"], description: OnnxModelDescription) -> np.ndarray:
    """(1, C, H, W) or (1, H, W, C) in the description's units; uint8 pixels stay exact."""
    pixels: np.ndarray = image.astype(np.float32)
    if description.colour == "grey":
        pixels = (pixels @ _GREY)[..., None]
    elif description.colour == "BGR":
        pixels = pixels[..., ::-1]
    if description.pixel_range == "0-1":
        pixels = pixels / np.float32(255)
    pixels = (pixels - np.array(description.mean, np.float32)) / np.array(description.std, np.float32)
    batch: np.ndarray = pixels[None] if description.layout == "NHWC" else pixels.transpose(2, 0, 1)[None]
    return np.ascontiguousarray(batch)


def _plane(
    output: Any, size: tuple[int, int], description: OnnxModelDescription, model: Path
) -> Float[np.ndarray, "h w"]:
    """One channel of an output, (B, C, H, W), (B, H, W, C), (B, H, W) or (H, W), at the size of the input."""
    array = np.asarray(output)
    stride, channel = description.output_stride, description.output_channel
    wanted = (size[0] // stride, size[1] // stride)
    batch = array[0] if array.ndim == 4 and len(array) == 1 else array
    if batch.ndim == 3 and batch.shape[1:] == wanted and channel < len(batch):
        batch = batch[channel]
    elif batch.ndim == 3 and batch.shape[:2] == wanted and channel < batch.shape[2]:
        batch = batch[..., channel]
    if batch.shape != wanted or not np.issubdtype(batch.dtype, np.number):
        raise InputError(
            f"An output of {model} is {array.dtype} {array.shape}, not a map of {wanted} (height, width); "
            "correct output, output_channel or output_stride of its description."
        )
    plane = batch.astype(np.float32)
    return plane if stride == 1 else resize_surface(plane, size)
