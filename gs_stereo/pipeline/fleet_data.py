"""The finished data sets of a fleet, on this machine: those behind URLs are fetched."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gs_stereo.core.hashing import sha256_text
from gs_stereo.core.records import record_from_json
from gs_stereo.datasets.merge import SceneData
from gs_stereo.datasets.schema import INDEX_NAME
from gs_stereo.errors import ConfigError, GsStereoError
from gs_stereo.io.remote import Place
from gs_stereo.pipeline.jobs import JobList, JobScene
from gs_stereo.pipeline.manifest import MANIFEST_NAME, Manifest
from gs_stereo.pipeline.scene import DATASETS_FOLDER


@dataclass(frozen=True, kw_only=True)
class FleetData:
    """The data sets that are here. unfinished, unreadable: scene -> why there is none, or why it cannot be had."""

    found: tuple[SceneData, ...]
    unfinished: Mapping[str, str]
    unreadable: Mapping[str, str]


def scene_data(jobs: JobList, dataset: str | None, cache: Path) -> FleetData:
    """The data set of each scene. dataset: its name, if the list makes several."""
    made = [step.folder for step in jobs.steps if step.folder.startswith(f"{DATASETS_FOLDER}/")]
    folder = f"{DATASETS_FOLDER}/{dataset}" if dataset else made[0] if len(made) == 1 else None
    if folder is None or (made and folder not in made):
        names = ", ".join(name.split("/", 1)[1] for name in made) or "none"
        raise ConfigError(f"Say with --dataset which data set to publish; the job list makes: {names}.")
    found = list[SceneData]()
    unfinished, unreadable = dict[str, str](), dict[str, str]()
    for scene in jobs.scenes:
        try:
            data = _data(scene, folder, jobs.steps[0].folder, cache)
        except GsStereoError as error:
            unreadable[scene.name] = str(error)
            continue
        if data is None:
            where = Place(scene.output).child(folder).url
            unfinished[scene.name] = f"{where} is not finished; see `gsstereo fleet status`."
        else:
            found.append(data)
    return FleetData(found=tuple(found), unfinished=unfinished, unreadable=unreadable)


def _data(scene: JobScene, folder: str, first: str, cache: Path) -> SceneData | None:
    """None if it is not finished."""
    output = Place(scene.output)
    place = output.child(folder)
    if place.read(INDEX_NAME) is None or place.read(MANIFEST_NAME) is None:
        return None
    local = place.local if place.is_local else cache / sha256_text(place.url)[:24] / place.name
    if not place.is_local:
        place.fetch(local, last=MANIFEST_NAME)
    try:
        manifest = record_from_json(Manifest, output.read(f"{first}/{MANIFEST_NAME}") or b"")
    except ValueError:
        photos = frozenset[str]()
    else:
        photos = frozenset(map(str, manifest.parts.get("external", {}).values()))
    return SceneData(name=scene.name, folder=local, photos=photos, origin=None if place.is_local else place.url)
