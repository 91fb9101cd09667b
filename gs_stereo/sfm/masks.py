"""Masks that lie beside photos: which file belongs to which photo, and what is to be said about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gs_stereo.errors import InputError
from gs_stereo.imaging.masks import GivenMask
from gs_stereo.sfm.config import MaskConfig
from gs_stereo.sfm.source import PHOTO_FOLDERS

_FOLDER = "masks"


@dataclass(frozen=True, kw_only=True)
class MasksOfPhotos:
    """Masks by photo name, and sentences about photos without one and files without a photo."""

    by_name: Mapping[str, GivenMask] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def mask_folder(photos: Path, config: MaskConfig) -> Path | None:
    """The folder of masks: by default masks/ in the photo folder, or beside one called images/ or input/.

    Photos that lie in the folder of the scene itself have none beside it: it would be another scene's.
    """
    if config.masks == "off":
        return None
    folders = [photos / _FOLDER, *([photos.parent / _FOLDER] if photos.name in PHOTO_FOLDERS else [])]
    if config.masks != "auto":
        folders = [Path(config.masks)]
        if not folders[0].is_dir():
            raise InputError(f"There is no folder {folders[0]}; name the folder of the masks, or set masks=off.")
    return next((folder for folder in folders if folder.is_dir()), None)


def mask_files(photos: Path, config: MaskConfig) -> list[Path]:
    """The files of the mask folder."""
    folder = mask_folder(photos, config)
    found = () if folder is None else folder.rglob("*")
    return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


def masks_of(photos: Path, names: Sequence[str], config: MaskConfig) -> MasksOfPhotos:
    """The mask of each photo: a.png or, as COLMAP has it, a.jpg.png for a.jpg, in the same folders as the photos."""
    folder, files = mask_folder(photos, config), mask_files(photos, config)
    if folder is None:
        return MasksOfPhotos()
    by_path = {path.relative_to(folder).as_posix(): path for path in files}
    wanted = {name: (f"{name}.png", PurePosixPath(name).with_suffix(".png").as_posix()) for name in names}
    found = {name: next((by_path[path] for path in paths if path in by_path), None) for name, paths in wanted.items()}
    by_name = {name: given_mask(path, config) for name, path in found.items() if path is not None}
    notes = []
    if by_name and len(by_name) < len(names):
        notes.append(f"{len(names) - len(by_name)} of {len(names)} photos have no mask in {folder} and are used whole.")
    if stray := set(files) - set(found.values()):
        example = min(stray).relative_to(folder)
        notes.append(f"{len(stray)} files of {folder} ({example}) are masks of no photo: a.jpg has a.jpg.png or a.png.")
    return MasksOfPhotos(by_name=by_name, notes=tuple(notes))


def given_mask(path: Path, config: MaskConfig) -> GivenMask:
    """The mask file as the settings want it to be read."""
    return GivenMask(path=path, inverted=config.invert_masks, empty=config.mask_black == "empty")
