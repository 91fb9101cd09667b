"""NeRF-Supervised stereo: triplets left | center | right, disparity and confidence of the centre, and `train.txt`.

Tosi et al., NeRF-Supervised Deep Stereo, CVPR 2023, and its published loader. Our left image is the centre, our right
image the right one; the left one lies one baseline to the left of the centre and must have been rendered as an extra
view. Disparity is uint16 = 64 x px, 0 = no label; confidence is uint16 = 65536 x probability. The loader keeps labels
of a confidence above 0.5. A line of `train.txt` names left, center, right, disparity and confidence of a triplet.
"""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8

from gs_stereo.core.atomic import write_text
from gs_stereo.datasets.layouts.protocol import ExportJob, Holds
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.errors import InputError
from gs_stereo.imaging.images import write_png
from gs_stereo.imaging.png import write_gray_png
from gs_stereo.io.disparity_files import MAX_STEPS, write_steps_png

_STEPS_PER_PX = 64.0
_CONFIDENCE_STEPS = 65536
_OFFSET_TOLERANCE = 1e-6
_KINDS = ("left", "center", "right", "disparity", "AO")


class NerfStereoExporter:
    """The layout of the NeRF-Supervised stereo data set."""

    name = "nerf-stereo"
    holds = Holds(
        files=(
            ("train.txt", "one line a triplet: the five paths below"),
            ("<scene>/F/baseline_<b>/left/000000.png", "image one baseline to the left of the centre"),
            ("<scene>/F/baseline_<b>/center/000000.png", "centre image: the one that labels belong to"),
            ("<scene>/F/baseline_<b>/right/000000.png", "image one baseline to the right of the centre"),
            ("<scene>/F/baseline_<b>/disparity/000000.png", "disparity of the centre, uint16 = 64 x px"),
            (
                "<scene>/F/baseline_<b>/AO/000000.png",
                "confidence, uint16 = 65536 x probability of an error under 1 px; the loader keeps labels above 0.5",
            ),
        ),
        unknown="0",
        steps_per_px=_STEPS_PER_PX,
        max_steps=MAX_STEPS,
        confidence=True,
    )

    def write(self, folder: Path, samples: Iterable[ShardSample], job: ExportJob) -> list[str]:
        names, lines = [], []
        for number, sample in enumerate(samples):
            place = PurePosixPath(job.scene_folder, "F", f"baseline_{sample.baseline:.4g}")
            files = [place / kind / f"{number:06d}.png" for kind in _KINDS]
            for file, image in zip(files, (_outer_left(sample), sample.left, sample.right), strict=False):
                write_png(folder / file, image)
            write_steps_png(folder / files[3], sample.disparity, _STEPS_PER_PX)
            # A certain pixel is one step short of 1, which uint16 cannot hold.
            confidence = np.rint(sample.confidence.astype(np.float64) / 255 * _CONFIDENCE_STEPS)
            write_gray_png(folder / files[4], np.minimum(confidence, MAX_STEPS).astype(np.uint16))
            lines.append(" ".join(map(str, files)) + "\n")
            names.append(str(files[1]))
        write_text(folder / "train.txt", "".join(lines))
        return names


def _outer_left(sample: ShardSample) -> UInt8[np.ndarray, "h w 3"]:
    """The extra view one baseline to the left; InputError says how to render it."""
    if sample.views is not None and sample.offsets is not None:
        distances = np.abs(sample.offsets / sample.baseline + 1)
        nearest = int(distances.argmin())
        if distances[nearest] <= _OFFSET_TOLERANCE:
            view: UInt8[np.ndarray, "h w 3"] = sample.views[nearest]
            return view
    raise InputError(
        f"The sample {sample.sample_id!r} has no view one baseline to the left of its left image, which triplets need; "
        'render it with `gsstereo render-pairs SCENE --set "extra_offsets=[-1]"` and label again.'
    )
