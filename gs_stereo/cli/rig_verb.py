"""`gsstereo rig-of`: a rig file from the user's own pairs and their calibration."""

from pathlib import Path
from typing import Annotated

import typer

from gs_stereo.cli.options import Common, shared_options
from gs_stereo.cli.tables import print_json


@shared_options("dry_run", "json", "quiet")
def rig_of(
    *,
    pairs: Annotated[
        Path, typer.Argument(help="Folder of rectified pairs: NAME/left.png, right.png, or left/, right/.")
    ],
    calibration: Annotated[
        Path, typer.Option(help="Calibration of OpenCV, Kalibr or DepthAI, calib.json, or a rig file without sensor.")
    ],
    to: Annotated[Path, typer.Option(help="The rig file to write.")] = Path("my_camera.yaml"),
    common: Common,
) -> None:
    """Measure blur, noise, exposure and row offset of your own pairs, for render-pairs --rig and train --rig."""
    from dataclasses import asdict, replace

    from gs_stereo.benchmarks.own_camera import camera_of
    from gs_stereo.core.atomic import write_text
    from gs_stereo.core.records import finite
    from gs_stereo.datasets.layouts.folder import find_unlabelled
    from gs_stereo.errors import InputError
    from gs_stereo.io.rigs import read_rig, rig_text
    from gs_stereo.log import progress

    found, rig = find_unlabelled(pairs), read_rig(calibration)
    if common.dry_run:
        names = [pair.name for pair in found]
        print_json({"pairs": names, "to": str(to)}) if common.json else print("\n".join(names))
        return
    with progress("rig-of", len(found), "pair") as bar:
        facts = camera_of(found, bar.advance)
    if (facts.width, facts.height) != (rig.width, rig.height):
        raise InputError(
            f"The pairs are {facts.width}x{facts.height}, the calibration {calibration} is for {rig.width}x{rig.height}"
            "; give the calibration of the rectified pairs (width, height, fx, cx, cy, baseline_m)."
        )
    sensor = facts.sensor.model_dump(exclude_defaults=True)
    write_text(to, rig_text(replace(rig, sensor=facts.sensor), f"Measured on {facts.pairs} pairs of {pairs.name}."))
    if common.json:
        print_json({**finite(asdict(facts)), "sensor": sensor, "to": str(to)})
        return
    low, *quartiles, high = facts.disparity_px
    if not quartiles[1] > 0:  # NaN too
        print("Hardly a pixel of the pairs could be matched; are they rectified?")
        return
    targets = " ".join(f"--target-disparity {value:.3g}" for value in quartiles)
    print(
        f"Disparities: median {quartiles[1]:.1f} px, 5 to 95 %: {low:.1f} to {high:.1f} px. Where a place is deeper or"
    )
    print(f"nearer than these pairs, render-pairs --rig {to} {targets} gives such disparities all the same.")
