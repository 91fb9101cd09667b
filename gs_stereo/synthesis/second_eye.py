"""A photo and its generated other eye as a rectified pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.core.hashing import unit_seed
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.imaging.exif import read_metadata
from gs_stereo.imaging.images import photo_size, read_photo
from gs_stereo.log import logger
from gs_stereo.synthesis.config import SynthesisConfig
from gs_stereo.synthesis.framing import Framing, square_framing, whole_framing
from gs_stereo.synthesis.model_files import ModelUse, located, model_use
from gs_stereo.synthesis.open_model import open_model
from gs_stereo.synthesis.parallax import parallax
from gs_stereo.synthesis.rays import default_intrinsics
from gs_stereo.synthesis.source_photos import SourcePhoto
from gs_stereo.synthesis.stereospace import Progress, Sampling, SourcePicture, StereoSpace
from gs_stereo.types import Camera, Provenance, StereoImages, StereoRig

_PERCENTILE = 98.0
_LEAST_MATCHED_SHARE = 0.05
_MOST_CUT = 1.1


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
    """A photo as the model gets it with K at that size, and the eye of the pair that it becomes.

    eye, camera: at the size of the pair. whole: that is the photo's own size. unit: length beside that camera of a
    baseline of 1.
    """

    name: str
    picture: UInt8[np.ndarray, "h w 3"]
    intrinsics: Float[np.ndarray, "3 3"]
    framing: Framing
    eye: UInt8[np.ndarray, "h2 w2 3"]
    camera: Camera
    whole: bool
    unit: float = 1.0

    def other_eye(self, generated: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        """What the model made, at the size of the pair."""
        shown = self.framing.back(generated) if self.whole else self.framing.unpadded(generated)
        return _middle(shown, (self.camera.width, self.camera.height))


def settled(config: C) -> C:
    """The settings with those of the model where none are given; ConfigError for a model that needs depth."""
    use = model_use(located(config.weights))
    if use.needs_depth:
        raise ConfigError(
            f"The model in {config.weights} is given the source moved by depth, and a photo has none; take other "
            "weights, or compare it with gsstereo evaluate-synthesis."
        )
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
    use = model_use(located(config.weights))
    if config.framing == "square":
        side = min(config.side_px, use.rows_px or config.side_px)
        return square_framing(photo_wh, side // use.multiple_px * use.multiple_px)
    return whole_framing(photo_wh, config.side_px, use.multiple_px, use.rows_px)


def _middle(picture: UInt8[np.ndarray, "h w 3"], size_wh: tuple[int, int]) -> UInt8[np.ndarray, "h2 w2 3"]:
    left, top = (picture.shape[1] - size_wh[0]) // 2, (picture.shape[0] - size_wh[1]) // 2
    return np.ascontiguousarray(picture[top : top + size_wh[1], left : left + size_wh[0]])


def size_of_pairs(photos: Sequence[SourcePhoto], config: SynthesisConfig) -> tuple[int, int]:
    """(width, height) of all pairs of a set: the least of all photos, whose middle is taken.

    InputError if that would cut off more than a tenth of a side: a data set has one size.
    """
    sizes = {photo: photo_size(photo.path) for photo in photos}
    if config.size == "model":
        sizes = {photo: framing_of(size, config).shown_wh for photo, size in sizes.items()}
    smallest = min(size[0] for size in sizes.values()), min(size[1] for size in sizes.values())
    for side in (0, 1):
        small, *_, large = sorted([photos[0], *photos], key=lambda photo: sizes[photo][side])
        if sizes[large][side] > _MOST_CUT * smallest[side]:
            raise InputError(
                f"{small.name} and {large.name} have different shapes, and the pairs of a set have one; "
                "choose photos of one shape with --set photos=[...], or give --set framing=square."
            )
    return smallest


def framed_photo(source: SourcePhoto, config: SynthesisConfig, pair_wh: tuple[int, int]) -> FramedPhoto:
    """Read a photo and bring it to the model's size, its middle to that of the pair.

    Without a camera of a capture its focal length is given, in its EXIF, or 54 degrees of view.
    """
    photo = read_photo(source.path)
    height, width = photo.shape[:2]
    framing = framing_of((width, height), config)
    intrinsics = _intrinsics(source, (width, height), config)
    eye, own_k, pose = photo, np.array(intrinsics, np.float64), np.eye(4)
    if config.size == "model":
        eye, own_k = framing.unpadded(framing.picture(photo)), framing.unpadded_intrinsics(intrinsics)
    own_k[:2, 2] -= (eye.shape[1] - pair_wh[0]) // 2, (eye.shape[0] - pair_wh[1]) // 2
    if source.camera is not None and source.unit is not None:
        pose = source.camera.cam_from_world
    return FramedPhoto(
        name=source.name,
        picture=framing.picture(photo),
        intrinsics=framing.intrinsics(intrinsics),
        framing=framing,
        eye=_middle(eye, pair_wh),
        camera=Camera(name=source.name, width=pair_wh[0], height=pair_wh[1], intrinsics=own_k, cam_from_world=pose),
        whole=config.size == "photo",
        unit=source.unit or 1.0,
    )


def _intrinsics(source: SourcePhoto, size_wh: tuple[int, int], config: SynthesisConfig) -> Float[np.ndarray, "3 3"]:
    if source.camera is not None:
        return source.camera.intrinsics
    intrinsics, focal = default_intrinsics(*size_wh), config.focal_px
    if focal is None and (over_edge := read_metadata(source.path).focal_over_edge) is not None:
        focal = over_edge * max(size_wh)
    if focal is not None:
        intrinsics[0, 0] = intrinsics[1, 1] = focal
    return intrinsics


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneratedPair:
    """A pair with one invented eye. baseline: signed, in the model's unit. seed: of its noise."""

    images: StereoImages
    baseline: float
    seed: int

    def measures(self, provenance: Provenance) -> Mapping[str, Any]:
        """What pair.json says of it."""
        return {
            "baseline": self.images.rig.baseline,
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

    target_px: of the pair, whatever size the model works at.

    A single photo has no scale, so a baseline in metres says little. InputError where the first try cannot be matched.
    """
    source = generator.model.read(photo.picture, photo.intrinsics)
    probe = 0.67 * generator.use.baseline
    first = _pair(generator, photo, source, probe, seed, progress).images
    assert generator.config.side_px is not None
    matched = parallax(first.left, first.right, generator.config.side_px)
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
    sampling = Sampling(steps=config.steps, guidance=config.guidance, mean=generator.use.mean)
    own = unit_seed(seed, f"{photo.name}/{baseline:.6g}")
    generated = generator.model.picture_at(source, baseline, sampling, own, progress=progress)
    eye, length = photo.other_eye(generated), baseline * photo.unit
    left, right = (photo.eye, eye) if baseline > 0 else (eye, photo.eye)
    images = StereoImages(
        sample_id=f"{Path(photo.name).stem}_b{baseline:+.4g}",
        view_id=photo.name,
        rig=StereoRig(left=photo.camera if baseline > 0 else photo.camera.shifted(length), baseline=abs(length)),
        left=left,
        right=right,
    )
    return GeneratedPair(images=images, baseline=baseline, seed=own)
