"""What is published in `fit/`: the splat and how it wants to be rendered. Written by fit and by importing a splat."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from gs_stereo.errors import InputError
from gs_stereo.io.atomic import write_text

FOLDER = "fit"
SPLAT_NAME = "splat.ply"
INFO_NAME = "splat.json"


@dataclass(frozen=True, kw_only=True)
class SplatInfo:
    """antialiased: the opacity compensation the splat was fitted with; rendering must use the same."""

    antialiased: bool


def write_splat_info(folder: Path, info: SplatInfo) -> None:
    """Write `splat.json`."""
    write_text(folder / INFO_NAME, json.dumps(asdict(info)) + "\n")


def read_splat_info(folder: Path) -> SplatInfo:
    """Read `splat.json`; InputError if it is missing or broken."""
    try:
        return SplatInfo(antialiased=bool(json.loads((folder / INFO_NAME).read_text(encoding="utf-8"))["antialiased"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / INFO_NAME} is missing or broken; run `gsstereo fit --force` again.") from error
