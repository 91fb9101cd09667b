"""Where the photos of a scene are."""

from pathlib import Path

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import VIDEO_SUFFIXES, videos_of_live_photos

PHOTO_FOLDERS = ("images", "input")


def find_source(scene: Path, images: str | None) -> Path:
    """The photo folder or the video of a scene; InputError if it is missing, or if there are several videos.

    images: folder or file, relative to the scene; by default SCENE/images, SCENE/input (as 3DGS has it), a video in
    SCENE, or SCENE itself, which may be a video.
    """
    if scene.is_file() and images is None:
        return scene
    if images is not None:
        source = Path(images)
        source = source if source.is_absolute() else scene / source
        if not source.exists():
            raise InputError(f"{source} does not exist; give --images a photo folder or a video file.")
        return source
    for name in PHOTO_FOLDERS:
        if (scene / name).is_dir():
            return scene / name
    videos = sorted(path for path in scene.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)
    if videos:
        live = videos_of_live_photos(scene)
        videos = [path for path in videos if path not in live]
    if len(videos) > 1:
        raise InputError(f"There are {len(videos)} videos in {scene}; choose one with --images.")
    return videos[0] if videos else scene
