"""A photo and its generated other eye as a rectified pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from gs_stereo.core.hashing import unit_seed
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.imaging.exif import read_metadata
from gs_stereo.imaging.images import photo_size, read_photo
from gs_stereo.matching.both_sides import agreeing, predict_both
from gs_stereo.matching.sgbm import SgbmMatcher
from gs_stereo.synthesis.config import SynthesisConfig
from gs_stereo.synthesis.framing import Framing, square_framing, whole_framing
from gs_stereo.synthesis.published import LICENCE, load_published
from gs_stereo.synthesis.rays import default_intrinsics
from gs_stereo.synthesis.stereospace import Progress, Sampling, SourcePicture, StereoSpace
from gs_stereo.types import Camera, Provenance, StereoImages, StereoRig

_PROBE_BASELINE = 0.1
_PERCENTILE = 98.0
_LEAST_MATCHED_SHARE = 0.05
_LARGEST_BASELINE = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Generator:
    """A model with the settings by which it makes other eyes, and where its pictures come from."""

    model: StereoSpace
    config: SynthesisConfig
    provenance: Provenance


@dataclass(frozen=True, kw_only=True, eq=False)
class FramedPhoto:
    """A photo as the model gets it, and its camera at that size."""

    name: str
    picture: UInt8[np.ndarray, "h w 3"]
    intrinsics: Float[np.ndarray, "3 3"]


def load_generator(config: SynthesisConfig) -> Generator:
    """Read the weights; ConfigError if none are given or the device is not there."""
    if config.weights is None:
        raise ConfigError("Making a second eye needs weights; give --weights FOLDER of prs-eth/stereospace-v1-0.")
    cuda = torch.cuda.is_available()
    if config.device == "cuda" and not cuda:
        raise ConfigError("The settings ask for CUDA, which is not there; set device=cpu.")
    device = "cuda" if cuda and config.device != "cpu" else "cpu"
    published = load_published(config.weights)
    model = published.model.to(device, getattr(torch, config.precision))
    provenance = Provenance(
        name="stereospace",
        version="v1-0",
        licence=LICENCE,
        weights_sha256=published.sha256["denoising_unet.pth"],
        settings={
            **config.model_dump(mode="json", exclude={"weights", "device", "baselines", "target_disparity_px"}),
            "weights_sha256": dict(published.sha256),
            "pixels": "generated, not observed",
        },
    )
    return Generator(model=model, config=config, provenance=provenance)


def framing_of(photo_wh: tuple[int, int], config: SynthesisConfig) -> Framing:
    """How a photo of this size is framed."""
    return (square_framing if config.framing == "square" else whole_framing)(photo_wh, config.side_px)


def check_one_shape(photos: Sequence[Path], config: SynthesisConfig) -> None:
    """InputError if the photos of a set would become pictures of different sizes, which no data set takes."""
    sizes = {path: framing_of(photo_size(path), config).model_wh for path in photos}
    first = photos[0]
    other = next((path for path in photos if sizes[path] != sizes[first]), None)
    if other is not None:
        raise InputError(
            f"{first.name} and {other.name} have different shapes, and the pairs of a set have one; "
            "choose photos of one shape with --set photos=[...], or give --set framing=square."
        )


def framed_photo(path: Path, config: SynthesisConfig) -> FramedPhoto:
    """Read a photo and bring it to the model's size; its focal length is given, in its EXIF, or 54 degrees of view."""
    photo = read_photo(path)
    height, width = photo.shape[:2]
    framing = framing_of((width, height), config)
    intrinsics = default_intrinsics(width, height)
    focal = config.focal_px
    if focal is None and (over_edge := read_metadata(path).focal_over_edge) is not None:
        focal = over_edge * max(width, height)
    if focal is not None:
        intrinsics[0, 0] = intrinsics[1, 1] = focal
    return FramedPhoto(name=path.name, picture=framing.picture(photo), intrinsics=framing.intrinsics(intrinsics))


def second_eye(
    generator: Generator, photo: FramedPhoto, baseline: float, seed: int, progress: Progress | None = None
) -> StereoImages:
    """The pair of a photo and the eye at `baseline`; the photo's own eye is its framed pixels, untouched.

    A positive baseline makes the right eye, a negative one the left. The same seed gives the same bytes.
    """
    if not np.isfinite(baseline) or baseline == 0:
        raise InputError(f"A second eye needs a baseline that is a number and not 0, not {baseline}.")
    source = generator.model.read(photo.picture, photo.intrinsics)
    return _pair(generator, photo, source, baseline, seed, progress)


def second_eye_by_disparity(
    generator: Generator, photo: FramedPhoto, target_px: float, seed: int, progress: Progress | None = None
) -> StereoImages:
    """The pair whose 98th percentile of disparity is about `target_px`: a first try is measured, then made again.

    A single photo has no scale, so a baseline in metres says little. InputError where the first try cannot be matched.
    """
    source = generator.model.read(photo.picture, photo.intrinsics)
    first = _pair(generator, photo, source, _PROBE_BASELINE, seed, progress)
    sides = predict_both(SgbmMatcher(), first.left, first.right, first.left.shape[1] / 4)
    matched = agreeing(*sides, 1.0).disparity
    known = matched[np.isfinite(matched)]
    if known.size < _LEAST_MATCHED_SHARE * matched.size or np.percentile(known, _PERCENTILE) < 1:
        raise InputError(f"The parallax of {photo.name} cannot be measured; give a baseline instead of a disparity.")
    baseline = _PROBE_BASELINE * target_px / float(np.percentile(known, _PERCENTILE))
    return _pair(generator, photo, source, min(baseline, _LARGEST_BASELINE), seed, progress)


def _pair(
    generator: Generator,
    photo: FramedPhoto,
    source: SourcePicture,
    baseline: float,
    seed: int,
    progress: Progress | None,
) -> StereoImages:
    sampling = Sampling(steps=generator.config.steps, guidance=generator.config.guidance)
    own = unit_seed(seed, f"{photo.name}/{baseline:.6g}")
    generated = generator.model.picture_at(source, baseline, sampling, own, progress=progress)
    left, right = (photo.picture, generated) if baseline > 0 else (generated, photo.picture)
    height, width = photo.picture.shape[:2]
    camera = Camera(name=photo.name, width=width, height=height, intrinsics=photo.intrinsics, cam_from_world=np.eye(4))
    return StereoImages(
        sample_id=f"{Path(photo.name).stem}_b{baseline:+.4g}",
        view_id=photo.name,
        rig=StereoRig(left=camera, baseline=abs(baseline)),
        left=left,
        right=right,
    )


def measures_of(generator: Generator, pair: StereoImages) -> Mapping[str, Any]:
    """What pair.json says of a generated pair."""
    return {"baseline": pair.rig.baseline, "generated": asdict(generator.provenance)}
