"""A photo and its generated other eye as a rectified pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.core.hashing import unit_seed
from gs_stereo.errors import InputError
from gs_stereo.imaging.exif import read_metadata
from gs_stereo.imaging.images import photo_size, read_photo
from gs_stereo.log import logger
from gs_stereo.matching.both_sides import agreeing, predict_both
from gs_stereo.matching.sgbm import SgbmMatcher
from gs_stereo.synthesis.config import SynthesisConfig
from gs_stereo.synthesis.framing import Framing, square_framing, whole_framing
from gs_stereo.synthesis.model_files import ModelUse, located, model_use
from gs_stereo.synthesis.open_model import open_model
from gs_stereo.synthesis.rays import default_intrinsics
from gs_stereo.synthesis.stereospace import Progress, Sampling, SourcePicture, StereoSpace
from gs_stereo.types import Camera, Provenance, StereoImages, StereoRig

_PERCENTILE = 98.0
_LEAST_MATCHED_SHARE = 0.05


C = TypeVar("C", bound=SynthesisConfig)


@dataclass(frozen=True, kw_only=True, eq=False)
class Generator:
    """A model with the settings by which it makes other eyes, and where its pictures come from."""

    model: StereoSpace
    use: ModelUse
    config: SynthesisConfig
    provenance: Provenance


@dataclass(frozen=True, kw_only=True, eq=False)
class FramedPhoto:
    """A photo as the model gets it, and its camera at that size."""

    name: str
    picture: UInt8[np.ndarray, "h w 3"]
    intrinsics: Float[np.ndarray, "3 3"]


def settled(config: C) -> C:
    """The settings with those of the model where none are given."""
    use = model_use(located(config.weights))
    chosen = {name: getattr(config, name) or getattr(use, name) for name in ("side_px", "steps")}
    guidance = use.guidance if config.guidance is None else config.guidance
    return config.model_copy(update={**chosen, "guidance": guidance, "baselines": config.baselines or (use.baseline,)})


def load_generator(config: SynthesisConfig) -> Generator:
    """Read the weights of `settled` settings; ConfigError if the device is not there."""
    opened = open_model(located(config.weights), config.device, config.precision)
    known = opened.provenance
    logger.info("synthesize: %s %s, licence: %s", known.name, known.version, known.licence)
    settings = config.model_dump(mode="json", exclude={"weights", "device", "baselines", "target_disparity_px"})
    provenance = replace(known, settings={**settings, **known.settings})
    return Generator(model=opened.model, use=opened.use, config=config, provenance=provenance)


def framing_of(photo_wh: tuple[int, int], config: SynthesisConfig) -> Framing:
    """How a photo of this size is framed by `settled` settings."""
    assert config.side_px is not None
    multiple_px = model_use(located(config.weights)).multiple_px
    if config.framing == "square":
        return square_framing(photo_wh, config.side_px // multiple_px * multiple_px)
    return whole_framing(photo_wh, config.side_px, multiple_px)


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


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneratedPair:
    """A pair with one invented eye. baseline: signed, in the model's unit. seed: of its noise."""

    images: StereoImages
    baseline: float
    seed: int

    def measures(self, provenance: Provenance) -> Mapping[str, Any]:
        """What pair.json says of it."""
        return {
            "baseline": abs(self.baseline),
            "generated": asdict(provenance),
            "generated_at": self.baseline,
            "generated_seed": self.seed,
        }


def second_eye(
    generator: Generator, photo: FramedPhoto, baseline: float, seed: int, progress: Progress | None = None
) -> GeneratedPair:
    """The pair of a photo and the eye at `baseline`; the photo's own eye is its framed pixels, untouched.

    A positive baseline makes the right eye, a negative one the left. The same seed gives the same bytes.
    """
    if not np.isfinite(baseline) or baseline == 0:
        raise InputError(f"A second eye needs a baseline that is a number and not 0, not {baseline}.")
    if abs(baseline) > generator.use.reach:
        logger.warning(
            "%s: a baseline of %.3g is beyond the %.2g that the model is good for; look at the picture.",
            photo.name,
            baseline,
            generator.use.reach,
        )
    source = generator.model.read(photo.picture, photo.intrinsics)
    return _pair(generator, photo, source, baseline, seed, progress)


def second_eye_by_disparity(
    generator: Generator, photo: FramedPhoto, target_px: float, seed: int, progress: Progress | None = None
) -> GeneratedPair:
    """The pair whose 98th percentile of disparity is about `target_px`: a first try is measured, then made again.

    A single photo has no scale, so a baseline in metres says little. InputError where the first try cannot be matched.
    """
    source = generator.model.read(photo.picture, photo.intrinsics)
    probe = 0.67 * generator.use.baseline
    first = _pair(generator, photo, source, probe, seed, progress).images
    sides = predict_both(SgbmMatcher(), first.left, first.right, first.left.shape[1] / 4)
    matched = agreeing(*sides, 1.0).disparity
    known = matched[np.isfinite(matched)]
    if known.size < _LEAST_MATCHED_SHARE * matched.size or np.percentile(known, _PERCENTILE) < 1:
        raise InputError(f"The parallax of {photo.name} cannot be measured; give a baseline instead of a disparity.")
    measured_px = float(np.percentile(known, _PERCENTILE))
    baseline, reach = probe * target_px / measured_px, generator.use.reach
    if baseline > reach:
        logger.warning(
            "%s: %.0f px would need a baseline of %.2g, beyond the %.2g that the model is good for; made at that, "
            "about %.0f px.",
            photo.name,
            target_px,
            baseline,
            reach,
            measured_px * reach / probe,
        )
    return _pair(generator, photo, source, min(baseline, reach), seed, progress)


def _pair(
    generator: Generator,
    photo: FramedPhoto,
    source: SourcePicture,
    baseline: float,
    seed: int,
    progress: Progress | None,
) -> GeneratedPair:
    config = generator.config
    assert config.steps is not None
    assert config.guidance is not None
    sampling = Sampling(steps=config.steps, guidance=config.guidance)
    own = unit_seed(seed, f"{photo.name}/{baseline:.6g}")
    generated = generator.model.picture_at(source, baseline, sampling, own, progress=progress)
    left, right = (photo.picture, generated) if baseline > 0 else (generated, photo.picture)
    height, width = photo.picture.shape[:2]
    camera = Camera(name=photo.name, width=width, height=height, intrinsics=photo.intrinsics, cam_from_world=np.eye(4))
    images = StereoImages(
        sample_id=f"{Path(photo.name).stem}_b{baseline:+.4g}",
        view_id=photo.name,
        rig=StereoRig(left=camera, baseline=abs(baseline)),
        left=left,
        right=right,
    )
    return GeneratedPair(images=images, baseline=baseline, seed=own)
