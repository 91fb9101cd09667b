"""Broken files for every reader: mutated by seed, read in a process of their own, judged by what comes of it.

A reader may return or raise one of our errors. What it must not do: raise anything else, crash, take longer than
10 s or more than 2 GiB. The same seed gives the same mutations; a fault names target and number, and the file is kept.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
LIMIT_S, LIMIT_BYTES = 10.0, 2 << 30
_ADDRESS_SPACE_BYTES = 8 << 30  # for the sake of the machine
_NUMBER = re.compile(rb"-?\d+\.?\d*(?:[eE][-+]?\d+)?")
_ODD_WORDS = (
    b"NaN", b"Infinity", b"-1", b"0", b"-0.0", b"1e308", b"1e-320", b"1e999", b"99999999999999999999", b"4294967296",
    b"null", b"true", b'""', b'"x"', b'"\\ud800"', b"[]", b"{}", b"[[]]", b"[1e308]", b'"../../../etc/passwd"',
)  # fmt: skip
_ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**30,
    1.5e308,
    float("nan"),
    "",
    "x" * 5000,
    "\ud800",
    [],
    {},
    [[]],
)
_ODD_NUMBERS = tuple(
    struct.pack(kind, value)
    for kind, values in {
        "<i": (-1, 0, 1 << 30, -(1 << 31)), "<q": (-1, 1 << 40, 1 << 62), "<f": (float("nan"), float("inf"), 1e38),
        "<d": (float("nan"), float("-inf"), 1e308),
    }.items()
    for value in values
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Target:
    """A reader: `read` gets a copy of `folder` in which one of `files` (by pattern) is broken."""

    folder: Path
    files: tuple[str, ...]
    read: Callable[[Path], object]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a reader did with a mutation. verdict: read, refused, fault, crash, hang or memory."""

    verdict: str
    text: str
    seconds: float


def targets(scene: Path) -> Mapping[str, Target]:
    """Readers of everything that users bring or that lies in a results folder. scene: after a run of `smoke`."""
    from gs_stereo.audit.scores import AuditReport
    from gs_stereo.config import load_yaml
    from gs_stereo.core.records import read_record
    from gs_stereo.datasets.layouts.folder import find_folders
    from gs_stereo.datasets.read import read_dataset
    from gs_stereo.datasets.schema import read_index
    from gs_stereo.datasets.torch_reader import StereoDataset
    from gs_stereo.datasets.write import verify_dataset
    from gs_stereo.imaging.exif import read_metadata
    from gs_stereo.imaging.images import read_photo
    from gs_stereo.imaging.masks import GivenMask, read_mask
    from gs_stereo.io.colmap import read_best_model
    from gs_stereo.io.pair_index import read_pair_index
    from gs_stereo.io.pairs import read_pair
    from gs_stereo.io.phone_captures import read_capture
    from gs_stereo.io.ply import load_points, load_splat, read_origin
    from gs_stereo.io.reconstruction import load_sparse_scene
    from gs_stereo.io.remote import Place
    from gs_stereo.io.rigs import read_rig
    from gs_stereo.io.sog import load_sog
    from gs_stereo.io.spz import load_spz
    from gs_stereo.io.transforms import read_transforms
    from gs_stereo.io.view_files import read_view_file
    from gs_stereo.matching.onnx_config import load_description
    from gs_stereo.nets.weights import load_net
    from gs_stereo.pipeline.claims import read_claim
    from gs_stereo.pipeline.jobs import read_jobs, read_ledger
    from gs_stereo.pipeline.manifest import damaged_output, read_manifest
    from gs_stereo.pipeline.recipe import load_recipe
    from gs_stereo.planting.objects import planted_world
    from gs_stereo.planting.plan import AuditPlan
    from gs_stereo.sfm.scale import read_camera_positions
    from gs_stereo.splat.folder import load_appearance, read_splat_info

    out, brought = scene / "gsstereo", scene.parent / "brought"
    [pair, *_] = sorted(path.parent for path in out.glob("pairs/default/*/pair.json"))

    def photo(folder: Path) -> object:
        [path] = folder.iterdir()
        return read_photo(path), read_mask(path, GivenMask(path=path)), read_metadata(path)

    def manifest(folder: Path) -> object:
        found = read_manifest(folder)
        return found and damaged_output(folder, found)

    def dataset(folder: Path) -> object:
        return verify_dataset(folder), sum(1 for _ in read_dataset(folder))

    def splat(folder: Path) -> object:
        return load_splat(folder / "splat.ply"), read_origin(folder / "splat.ply")

    def rigs(folder: Path) -> object:
        return [read_rig(path) for path in sorted(folder.iterdir()) if path.stem not in ("left", "right")]

    def transforms(folder: Path) -> object:
        found = read_transforms(folder / "transforms.json")
        lenses = [(frame.intrinsics(64, 48), frame.distortion, frame.size, frame.mask) for frame in found.frames]
        return lenses, found.points and load_points(found.points)

    def mask(folder: Path) -> object:
        given = folder / "mask.png"
        return [read_mask(folder / "a.jpg", GivenMask(path=given, inverted=turned)) for turned in (False, True)]

    def fleet(folder: Path) -> object:
        place = Place.of(str(folder))
        jobs = read_jobs(folder / "jobs.json")
        cells = [cell for scene in jobs.scenes for cell in jobs.cells(scene)]
        return jobs.digests(), cells, read_ledger(place), read_claim(place, "fit")

    def plan(folder: Path) -> object:
        found = read_record(AuditPlan, folder / "plan.json", fix="x")
        return planted_world(found.objects, [np.zeros((48, 64, 3), np.uint8)], np.array(found.up), found.seed)

    def published(folder: Path) -> object:
        return StereoDataset(folder / "train")[0]

    def description(folder: Path) -> object:
        return load_description(str(folder / "crestereo.yaml"))

    def audit(folder: Path) -> object:
        return read_record(AuditReport, folder / "audit.json", fix="x").to_table()

    def pairs_of_others(folder: Path) -> object:
        return [source.read() for source in find_folders(folder)]

    found = {
        "colmap text": Target(folder=scene / "sparse/0", files=("*.txt",), read=read_best_model),
        "reconstruct/": Target(
            folder=out / "reconstruct", files=("sparse/*", "reconstruction.json"), read=load_sparse_scene
        ),
        "transforms.json": Target(folder=brought / "transforms", files=("*",), read=transforms),
        "mask": Target(folder=brought / "mask", files=("*",), read=mask),
        "cameras.json": Target(
            folder=brought / "cameras", files=("*",), read=lambda f: read_view_file(f / "cameras.json")
        ),
        "views": Target(folder=brought / "views", files=("*",), read=lambda f: read_view_file(f / "views.json")),
        "positions": Target(
            folder=brought / "positions", files=("*",), read=lambda f: read_camera_positions(f / "positions.txt")
        ),
        "splat.ply": Target(folder=brought / "splat", files=("splat.ply",), read=splat),
        "spz": Target(folder=brought / "spz", files=("*.spz",), read=lambda f: list(map(load_spz, f.iterdir()))),
        "meta.json": Target(folder=brought / "sog", files=("*",), read=lambda f: load_sog(f / "meta.json")),
        "metadata.json": Target(folder=brought / "phone", files=("*.json",), read=read_capture),
        "points.ply": Target(
            folder=brought / "splat", files=("splat.ply",), read=lambda f: load_points(f / "splat.ply")
        ),
        "splat.json": Target(folder=brought / "splat", files=("splat.json",), read=read_splat_info),
        "recipe": Target(
            folder=brought / "recipe",
            files=("*",),
            read=lambda f: (load_yaml(f / "recipe.yaml"), load_recipe(f / "recipe.yaml")),
        ),
        "pairs.json": Target(folder=brought / "pairs", files=("*",), read=read_pair_index),
        "pair": Target(folder=pair, files=("*",), read=read_pair),
        "dataset.json": Target(folder=out / "dataset/sgbm", files=("dataset.json",), read=read_index),
        "shard": Target(folder=out / "dataset/sgbm", files=("*.h5",), read=dataset),
        "shard alone": Target(
            folder=out / "dataset/sgbm", files=("*.h5",), read=lambda f: [sum(map(_samples, f.glob("*.h5")))]
        ),
        "stacks": Target(folder=brought / "stacks", files=("*.h5",), read=dataset),
        "published": Target(folder=brought / "published", files=("train/*",), read=published),
        "appearance": Target(folder=out / "fit", files=("appearance.json",), read=load_appearance),
        "rigs": Target(folder=brought / "rigs", files=("*",), read=rigs),
        "fleet": Target(folder=brought / "fleet", files=("jobs.json", ".fleet/*"), read=fleet),
        "plan": Target(folder=brought / "audit", files=("plan.json",), read=plan),
        "audit": Target(folder=brought / "audit", files=("audit.json",), read=audit),
        "folder of pairs": Target(folder=brought / "bench", files=("*/*",), read=pairs_of_others),
        "net": Target(folder=brought / "net", files=("*",), read=load_net),
        "onnx.yaml": Target(folder=ROOT / "configs/experts", files=("crestereo.yaml",), read=description),
        "manifest": Target(folder=brought / "manifest", files=("*",), read=manifest),
    }
    photos = {f"photo {path.name}": path for path in sorted((brought / "photos").iterdir())}
    return found | {name: Target(folder=path, files=("*",), read=photo) for name, path in photos.items()}


def _samples(shard: Path) -> int:
    from gs_stereo.datasets.read import read_shard

    return sum(1 for _ in read_shard(shard))


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three changes of a file: of bits, pieces, numbers in text or in binary, values in JSON."""
    changes = [_flip, _cut, _repeat, _overwrite, _number]
    if _NUMBER.search(data[:2000]) and b"\0" not in data[:2000]:
        changes = [_word, _word, _line, _json_value, _json_value, _flip, _cut]
    for _ in range(int(rng.integers(1, 4))):
        if data:
            data = changes[rng.integers(len(changes))](data, rng)
    return data


def _flip(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for position in rng.integers(0, len(data), int(rng.integers(1, 9))):
        changed[position] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(0, len(data))]


def _repeat(data: bytes, rng: np.random.Generator) -> bytes:
    start, end = sorted(rng.integers(0, len(data) + 1, 2))
    end = min(end, start + 4096)
    return data[:end] + data[start:end] * int(rng.integers(1, 5)) + data[end:]


def _overwrite(data: bytes, rng: np.random.Generator) -> bytes:
    start, length = int(rng.integers(0, len(data))), int(rng.integers(1, 65))
    return data[:start] + bytes([(0, 255, int(rng.integers(256)))[rng.integers(3)]]) * length + data[start + length :]


def _number(data: bytes, rng: np.random.Generator) -> bytes:
    """Headers are at the beginning, so half of the changes are there."""
    number = _ODD_NUMBERS[rng.integers(len(_ODD_NUMBERS))]
    start = int(rng.integers(0, min(len(data), 256) if rng.random() < 0.5 else len(data)))
    return data[:start] + number + data[start + len(number) :]


def _word(data: bytes, rng: np.random.Generator) -> bytes:
    found = list(_NUMBER.finditer(data))
    if not found:
        return _flip(data, rng)
    chosen = found[rng.integers(len(found))]
    return data[: chosen.start()] + _ODD_WORDS[rng.integers(len(_ODD_WORDS))] + data[chosen.end() :]


def _line(data: bytes, rng: np.random.Generator) -> bytes:
    lines = data.split(b"\n")
    at, other = (int(value) for value in rng.integers(0, len(lines), 2))
    lines[at : at + 1] = [[], [lines[at]] * 2, [lines[other]]][rng.integers(3)]
    return b"\n".join(lines)


def _json_value(data: bytes, rng: np.random.Generator) -> bytes:
    """Another kind of value somewhere, or a key less."""
    try:
        document = json.loads(data)
    except ValueError:
        return _word(data, rng)
    node, places = document, []
    while isinstance(node, dict | list) and node:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        places.append((node, keys[rng.integers(len(keys))]))
        node = node[places[-1][1]]
    if not places:
        return _word(data, rng)
    parent, key = places[rng.integers(len(places))]
    if isinstance(parent, dict) and rng.random() < 0.3:
        del parent[key]
    else:
        parent[key] = _ODD_VALUES[rng.integers(len(_ODD_VALUES))]
    return json.dumps(document).encode("utf-8", "surrogatepass")


def fuzz(chosen: Mapping[str, Target], seed: int, count: int, work: Path) -> Iterator[tuple[str, int, Outcome]]:
    """`count` mutations of each target, and what came of them. Files that showed a fault stay in `work`/faults."""
    for name, target in chosen.items():
        files = sorted({path for pattern in target.files for path in target.folder.glob(pattern) if path.is_file()})
        if (whole := outcome_of(target.read, target.folder)).verdict != "read":
            raise ValueError(f"the reader of {name} does not read a sound file: {whole}")
        for number in range(count):
            rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
            broken = files[rng.integers(len(files))].relative_to(target.folder)
            folder = work / "case"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(target.folder, folder, ignore=shutil.ignore_patterns("images"))
            (folder / broken).write_bytes(mutated((target.folder / broken).read_bytes(), rng))
            outcome = outcome_of(target.read, folder)
            if outcome.verdict not in ("read", "refused"):
                kept = work / "faults" / f"{re.sub('[^a-z0-9]+', '-', name.lower())}-{seed}-{number}"
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(folder, kept)
            yield name, number, outcome


def outcome_of(read: Callable[[Path], object], folder: Path) -> Outcome:
    """Read in a fork of this process, which has loaded all that readers need."""
    listen, tell = os.pipe()
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(listen)
        _read_and_exit(read, folder, tell)
    os.close(tell)
    said, late = b"", False
    while not late:
        left_s = started + LIMIT_S - time.monotonic()
        late = not select.select([listen], [], [], max(left_s, 0))[0]
        part = b"" if late else os.read(listen, 4096)
        if not part:
            break
        said += part
    os.close(listen)
    if late:
        os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    seconds, text = time.monotonic() - started, said.decode("utf-8", "replace")
    if late:
        return Outcome(verdict="hang", text=text, seconds=seconds)
    if usage.ru_maxrss * 1024 > LIMIT_BYTES:
        return Outcome(verdict="memory", text=f"{usage.ru_maxrss >> 10} MiB. {text}", seconds=seconds)
    verdict = {0: "read", 3: "refused", 1: "fault"}.get(os.waitstatus_to_exitcode(status), "crash")
    return Outcome(verdict=verdict, text=text or f"status {status}", seconds=seconds)


def _read_and_exit(read: Callable[[Path], object], folder: Path, tell: int) -> None:
    from gs_stereo.cli.failures import named
    from gs_stereo.errors import GsStereoError

    code = 0
    try:
        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        read(folder)
    except BaseException as error:
        told = error if isinstance(error, GsStereoError) else named(error) if isinstance(error, Exception) else None
        code = 1 if told is None or "fault of gsstereo" in str(told) else 3
        os.write(tell, f"{type(error).__name__}: {error}".encode("utf-8", "replace")[:4000])
    finally:
        os._exit(code)


def bring(scene: Path) -> None:
    """Files as users bring them, made of a finished scene, in `scene/../brought`: what `targets` reads besides."""
    from PIL import Image

    from gs_stereo.datasets.merge import MergeSettings, SceneData, merge_datasets
    from gs_stereo.io.reconstruction import load_sparse_scene
    from gs_stereo.io.views import CameraRecord, ViewsFile

    out, brought = scene / "gsstereo", scene.parent / "brought"
    if brought.exists():
        return
    names = ("transforms", "mask", "cameras", "views", "positions", "splat", "spz", "recipe", "pairs", "manifest")
    for name in (*names, "sog", "phone/rgb", "rigs", "photos", "bench/one", "net", "fleet", "audit"):
        (brought / name).mkdir(parents=True)
    cameras = load_sparse_scene(out / "reconstruct").cameras[:4]
    frames = [{"file_path": f"{camera.name}", "transform_matrix": camera.world_from_cam.tolist()} for camera in cameras]
    lens = {"fl_x": 300.0, "cx": 160.0, "cy": 120.0, "w": 320, "h": 240, "k1": 0.01}
    fisheye = {"is_fisheye": True, "k1": 0.1, "k2": 0.01, "k3": 0.0, "k4": 0.0, "mask_path": "mask.png"}
    frames[1:2] = [{**frames[1], **fisheye}, {**frames[1], "file_path": "b.png", "camera_model": "OPENCV_FISHEYE"}]
    document = {**lens, "ply_file_path": "points.ply", "frames": frames}
    (brought / "transforms/transforms.json").write_text(json.dumps(document))
    points = "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\n"
    (brought / "transforms/points.ply").write_text(f"{points}end_header\n0 0 1\n1 0 2.5\n")
    of_3dgs = [
        {
            "id": number,
            "img_name": camera.name,
            "width": camera.width,
            "height": camera.height,
            "position": camera.world_from_cam[:3, 3].tolist(),
            "rotation": camera.world_from_cam[:3, :3].tolist(),
            "fx": camera.intrinsics[0, 0],
            "fy": camera.intrinsics[1, 1],
        }
        for number, camera in enumerate(cameras)
    ]
    (brought / "cameras/cameras.json").write_text(json.dumps(of_3dgs))
    from gs_stereo.core.records import write_record

    write_record(brought / "views/views.json", ViewsFile(views=tuple(CameraRecord.of(camera) for camera in cameras)))
    shutil.copy(scene / "camera_positions.txt", brought / "positions/positions.txt")
    data = (out / "fit/splat.ply").read_bytes()
    header, _, body = data.partition(b"end_header\n")
    [count] = re.findall(rb"element vertex (\d+)", header)
    stride, few = len(body) // int(count), 50  # a few Gaussians are enough, and quick
    header = header.replace(b"element vertex " + count, b"element vertex %d" % few)
    (brought / "splat/splat.ply").write_bytes(header + b"end_header\n" + body[: few * stride])
    shutil.copy(out / "fit/splat.json", brought / "splat/splat.json")
    _write_spz(brought / "spz", few)
    table = {"codebook": [value / 64 - 2 for value in range(256)], "files": ["all.webp"]}
    means = {"mins": [-1, -1, -1], "maxs": [1, 1, 2], "files": ["all.webp", "all.webp"]}
    coded = {"means": means, "scales": table, "quats": {"files": ["all.webp"]}, "sh0": table}
    (brought / "sog/meta.json").write_text(json.dumps({"version": 2, "count": few, **coded}))
    Image.new("RGBA", (8, 8), (90, 120, 150, 253)).save(brought / "sog/all.webp", lossless=True, exact=True)
    said = {"w": 64, "h": 48, "K": [60, 0, 0, 0, 60, 0, 32, 24, 1], "poses": [[0, 0, 0, 1, 0, 0, 0]]}
    (brought / "phone/metadata.json").write_text(json.dumps(said))
    Image.new("RGB", (64, 48)).save(brought / "phone/rgb/0.jpg")
    text = "name: r\nstages:\n  - stage: fit\n    set: {iterations: 7, sweep: {planes: 32}}\n  - stage: label\n"
    (brought / "recipe/recipe.yaml").write_text(text)
    _write_rigs(brought / "rigs")
    _write_fleet(brought / "fleet")
    _write_nets_and_pairs(brought)
    shutil.copytree(out, brought / "audited")
    _gsstereo("audit", scene, "--out", brought / "audited", "--objects", "4", "--set", "extent_share=[0.01,0.03]")
    shutil.copy(brought / "audited/audit/planted/plan.json", brought / "audit")
    shutil.copy(brought / "audited/audit/report/audit.json", brought / "audit")
    tiny = "pairs={stack_views: 3, textures: 4, texture_px: 64}"
    _gsstereo("sample-pairs", brought / "stacks", "--count", "2", "--width", "96", "--height", "64", "--set", tiny)
    both = [SceneData(name=name, folder=out / "dataset/sgbm") for name in "ab"]
    merge_datasets(brought / "published", both, MergeSettings(shares={"train": 0.5, "test": 0.5}))
    shutil.copy(out / "pairs/default/pairs.json", brought / "pairs/pairs.json")
    shutil.copy(out / "dataset/sgbm/manifest.json", brought / "manifest/manifest.json")
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = "Camera", 6
    exif.get_ifd(0x8769)[0x920A] = 5.4
    exif.get_ifd(0x8825).update({1: "N", 2: (50.0, 30.0, 1.0), 3: "E", 4: (8.0, 0.0, 0.0), 6: 120.0})
    with Image.open(next((scene / "images").iterdir())) as photo:
        small = photo.convert("RGBA").resize((64, 48))
    small.convert("RGB").save(brought / "mask/a.jpg", exif=exif)
    white = Image.new("L", (48, 64), 255)  # of the picture as it is turned
    white.paste(0, (0, 0, 20, 20))
    white.save(brought / "mask/mask.png")
    suffixes = ["png", "jpg", "tif", "webp", "bmp"]
    if find_spec("pillow_heif"):
        import_module("pillow_heif").register_heif_opener()
        suffixes.append("heic")
    for suffix in suffixes:
        (brought / "photos" / suffix).mkdir()
        picture = small if suffix in ("png", "tif", "webp") else small.convert("RGB")
        options: dict[str, Any] = {} if suffix == "bmp" else {"exif": exif}
        picture.save(brought / "photos" / suffix / f"a.{suffix}", **options)


def _gsstereo(*words: str | Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "gs_stereo.cli.main", *map(str, words), "-q"]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def _write_fleet(folder: Path) -> None:
    """A job list, and what a scene remembers: a ledger and a claim that its holder released."""
    from gs_stereo.core.records import write_record
    from gs_stereo.io.remote import Place
    from gs_stereo.pipeline.cell import Resources
    from gs_stereo.pipeline.claims import HeldClaim, take_claim
    from gs_stereo.pipeline.jobs import CellRecord, JobList, JobScene, JobStep, remember

    step = JobStep(stage="fit", version=1, folder="fit", config={"iterations": 7}, resources=Resources())
    scene = JobScene(name="a", scene=str(folder), output=str(folder))
    write_record(folder / "jobs.json", JobList(seed=0, steps=(step,), scenes=(scene,)))
    place = Place.of(str(folder))
    held = take_claim(place, "fit", "token", beat_s=1.0)
    assert isinstance(held, HeldClaim)
    with held:
        remember(place, "fit", CellRecord(digest="x", state="failed", attempts=1, reason="why"))


def _write_nets_and_pairs(brought: Path) -> None:
    """A small net as `train` publishes it, and a folder of pairs with truth and calibration."""
    from PIL import Image

    from gs_stereo.io.disparity_files import write_pfm
    from gs_stereo.nets.protocol import make_net, resolve_net
    from gs_stereo.nets.weights import NetDescription, save_net

    config = resolve_net("lite", settings={"volume_channels": [4, 4, 4], "refine_channels": 8, "refine_steps": 1})
    described = NetDescription(net="lite", settings=config.model_dump(mode="json"), licence="Apache-2.0")
    save_net(brought / "net", make_net("lite", config), described)
    for eye in ("left", "right"):
        Image.new("RGB", (24, 16), (90, 20, 40)).save(brought / f"bench/one/{eye}.png")
    write_pfm(brought / "bench/one/disp_left.pfm", np.full((16, 24), 3.0, np.float32))
    (brought / "bench/one/calib.json").write_text('{"fx": 20.0, "baseline_m": 0.1, "doffs": 0.5}')


def _write_spz(folder: Path, count: int) -> None:
    """One file of each version that is read."""
    from zstandard import compress

    for version, widths in {2: (9, 1, 3, 3, 3, 9), 3: (9, 1, 3, 3, 4, 9), 4: (9, 1, 3, 3, 4, 9)}.items():
        parts = [bytes(range(256))[: count * width] * 9 for width in widths]
        parts = [part[: count * width] for part, width in zip(parts, widths, strict=True)]
        head = struct.pack("<4sIIBBBB", b"NGSP", version, count, 1, 12, 0, 0 if version < 4 else len(parts))
        if version < 4:
            data = gzip.compress(head + b"".join(parts))
        else:
            packed = [compress(part) for part in parts]
            table = b"".join(struct.pack("<QQ", len(a), len(b)) for a, b in zip(packed, parts, strict=True))
            data = head + struct.pack("<I12x", 32) + table + b"".join(packed)
        (folder / f"{version}.spz").write_bytes(data)


def _write_rigs(folder: Path) -> None:
    """One stereo camera as OpenCV, ROS, Kalibr and DepthAI write it."""
    lens, bent = [[300.0, 0.0, 160.0], [0.0, 300.0, 120.0], [0.0, 0.0, 1.0]], [0.01, -0.02, 0.0, 0.001]
    flat, turned = str(np.ravel(lens).tolist()), [[1.0, 0.0, 0.01], [0.0, 1.0, 0.0], [-0.01, 0.0, 1.0]]
    matrices = {"M1": flat, "M2": flat, "D1": bent, "D2": bent, "R": np.ravel(turned).tolist(), "T": [-0.1, 0.0, 0.0]}
    tagged = "".join(f"{name}: !!opencv-matrix\n   rows: 3\n   data: {data}\n" for name, data in matrices.items())
    (folder / "opencv.yml").write_text(f"%YAML:1.0\n---\nimage_size: [320, 240]\n{tagged}")
    for name, shift in (("left", 0.0), ("right", -30.0)):
        data = [300.0, 0.0, 160.0, shift, 0.0, 300.0, 120.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        text = f"image_width: 320\nimage_height: 240\nprojection_matrix: {{rows: 3, cols: 4, data: {data}}}\n"
        (folder / f"{name}.yaml").write_text(text)
    (folder / "rig.yaml").write_text("calibration: [left.yaml, right.yaml]\nsensor: {read_noise: 1.5, grey: true}\n")
    chain: dict[str, Any] = {
        name: {
            "distortion_model": model,
            "distortion_coeffs": bent,
            "intrinsics": [300, 300, 160, 120],
            "resolution": [320, 240],
        }
        for name, model in (("cam0", "equidistant"), ("cam1", "equidistant"))
    }
    chain["cam1"]["T_cn_cnm1"] = [[1.0, 0, 0, -0.1], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]]
    (folder / "camchain.yaml").write_text(json.dumps(chain))
    outer = {"rotationMatrix": turned, "translation": {"x": -7.5, "y": 0.0, "z": 0.0}, "toCameraSocket": 2}
    eye = {"intrinsicMatrix": lens, "distortionCoeff": bent, "extrinsics": outer, "width": 320, "height": 240}
    (folder / "oak.json").write_text(json.dumps({"cameraData": [[1, eye], [2, eye]], "stereoConfigData": {}}))


def summary(outcomes: list[tuple[str, int, Outcome]]) -> dict[str, Any]:
    """Counts by target, the faults, and the slowest reader."""
    table: dict[str, Counter[str]] = {}
    for name, _, outcome in outcomes:
        table.setdefault(name, Counter())[outcome.verdict] += 1
    faults = [
        {"target": name, "number": number, "verdict": outcome.verdict, "text": outcome.text[:300]}
        for name, number, outcome in outcomes
        if outcome.verdict not in ("read", "refused")
    ]
    slowest = max((outcome.seconds for _, _, outcome in outcomes), default=0.0)
    counts = {name: dict(counts) for name, counts in table.items()}
    return {"mutations": len(outcomes), "by target": counts, "faults": faults, "slowest_s": round(slowest, 2)}
