"""The finished data sets of a fleet, on this machine: those behind URLs are fetched."""

from pathlib import Path

from gs_stereo.core.hashing import sha256_text
from gs_stereo.core.records import record_from_json
from gs_stereo.datasets.merge import SceneData
from gs_stereo.datasets.schema import INDEX_NAME
from gs_stereo.errors import ConfigError, GsStereoError, InputError
from gs_stereo.io.remote import Place
from gs_stereo.pipeline.jobs import JobList, JobScene
from gs_stereo.pipeline.manifest import MANIFEST_NAME, Manifest
from gs_stereo.pipeline.scene import DATASETS_FOLDER


def scene_data(jobs: JobList, dataset: str | None, cache: Path) -> tuple[list[SceneData], dict[str, str]]:
    """The data set of each scene, and scene -> why there is none. dataset: its name, if the list makes several."""
    made = [step.folder for step in jobs.steps if step.folder.startswith(f"{DATASETS_FOLDER}/")]
    folder = f"{DATASETS_FOLDER}/{dataset}" if dataset else made[0] if len(made) == 1 else None
    if folder is None or (made and folder not in made):
        names = ", ".join(name.split("/", 1)[1] for name in made) or "none"
        raise ConfigError(f"Say with --dataset which data set to publish; the job list makes: {names}.")
    found, missing = list[SceneData](), dict[str, str]()
    for scene in jobs.scenes:
        try:
            found.append(_data(scene, folder, jobs.steps[0].folder, cache))
        except GsStereoError as error:
            missing[scene.name] = str(error)
    return found, missing


def _data(scene: JobScene, folder: str, first: str, cache: Path) -> SceneData:
    output = Place(scene.output)
    place = output.child(folder)
    if place.read(INDEX_NAME) is None or place.read(MANIFEST_NAME) is None:
        raise InputError(f"{place.url} is not finished; see `gsstereo fleet status`.")
    local = place.local if place.is_local else cache / sha256_text(place.url)[:24] / place.name
    if not place.is_local:
        place.fetch(local, last=MANIFEST_NAME)
    try:
        manifest = record_from_json(Manifest, output.read(f"{first}/{MANIFEST_NAME}") or b"")
    except ValueError:
        return SceneData(name=scene.name, folder=local)
    photos = manifest.parts.get("external", {})
    return SceneData(name=scene.name, folder=local, photos=frozenset(map(str, photos.values())))
