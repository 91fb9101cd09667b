"""Where a scene's input is and where its results go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gs_stereo.core.text import is_text, printable
from gs_stereo.datasets.schema import finished_datasets
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.imaging.images import VIDEO_SUFFIXES

OUTPUT_FOLDER = "gsstereo"
DATASETS_FOLDER = "dataset"
SCENES_FOLDER = "captures"
FOLDER_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
"""Names that become folders: letters, digits, _ and -, safe on every file system and nothing that leaves the folder."""


@dataclass(frozen=True, kw_only=True)
class ScenePaths:
    """`scene` is the user's folder and is never written to, except for `output` (default: scene/gsstereo).

    It may also be a video: the results of `clip.mp4` are in `clip/gsstereo` beside it.
    """

    scene: Path
    output: Path

    @classmethod
    def of(cls, scene: Path, output: Path | None = None) -> ScenePaths:
        """Absolute paths; InputError if the scene is not there, or what was made of it cannot be read."""
        root = scene.resolve()
        if not is_text(str(root)):
            raise InputError(f"The path {printable(str(root))} is no UTF-8 text; rename that file or folder.")
        if scene.is_file() and scene.suffix.lower() not in VIDEO_SUFFIXES:
            raise InputError(f"{scene} is a file, but no video; give a folder with photos in it, or a video.")
        if not scene.exists():
            raise InputError(f"The scene folder {scene} does not exist; give a folder with photos in it.")
        if output is None and root.name == OUTPUT_FOLDER and any(root.glob("*/manifest.json")):
            raise InputError(f"{scene} holds the results of a scene; give the scene itself, {root.parent}.")
        beside = root.with_suffix("") if scene.is_file() else root
        results = output.resolve() if output else beside / OUTPUT_FOLDER
        if results.exists() and not os.access(results, os.R_OK | os.X_OK):
            raise InputError(f"The results in {results} cannot be read; change its permissions or use --out.")
        return cls(scene=root, output=results)

    @property
    def name(self) -> str:
        return self.scene.stem if self.scene.suffix.lower() in VIDEO_SUFFIXES else self.scene.name

    def published(self, folder: str) -> Path:
        """The published folder of a stage, for example `pairs/default`."""
        return self.output / folder

    def datasets(self) -> list[str]:
        """Names of the finished data sets, the one that was written last at the end."""
        return [folder.name for folder in finished_datasets(self.output / DATASETS_FOLDER)]

    def newest_dataset(self) -> str:
        """What a verb takes when no data set is named; InputError if there is none."""
        if names := self.datasets():
            return names[-1]
        raise InputError(f"There is no data set in {self.output}; run `gsstereo label` first.")


def scene_paths(folders: Sequence[Path], output: Path | None) -> tuple[ScenePaths, ...]:
    """Scenes with different names. Results lie beside the photos or, with `output`, in OUTPUT/captures/<name>."""
    found = [ScenePaths.of(folder) for folder in folders]
    names = [paths.name for paths in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"Two captures are called {twice[0]!r}; rename one of the folders or leave it out.")
    if output is None:
        return tuple(found)
    return tuple(ScenePaths(scene=p.scene, output=output.resolve() / SCENES_FOLDER / p.name) for p in found)
