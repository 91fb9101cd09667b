"""Photos to shards on a small sample: every stage, resume after SIGKILL, reruns, and identical bytes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 (registers the filters)
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from gs_stereo.cli.main import app

STAGES = ["reconstruct", "fit", "pairs/default", "dataset/splat"]
FAST = ["--set", "fit.iterations=60", "--set", "reconstruct.max_image_size=256"]

# The command line, which says when it opens a file in the work folder of a stage and never comes to publish that, so
# that a signal meets it in between however late it comes.
VICTIM = """
import os, sys, time
from pathlib import Path

published = Path(sys.argv.pop(1))

def watch(event, arguments):
    if event == "open" and f"{published}.tmp-" in str(arguments[0]):
        os.write(1, b"begun\\n")  # at once, also from several threads
    if event == "os.rename" and Path(arguments[1]) == published:
        time.sleep(3600)

sys.addaudithook(watch)
from gs_stereo.cli.main import main
main()
"""


def gsstereo(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def run_smoke(scene: Path) -> dict[str, dict]:
    """In a process of its own, as users run it."""
    command = [sys.executable, "-m", "gs_stereo.cli.main", "run", str(scene), "--config", "smoke", *FAST, "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return {stage["stage"]: stage for stage in json.loads(result.stdout)["stages"]}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "room"
    result = gsstereo("sample", folder, "--views", 10, "--width", 256, "--height", 192, "--set", "test_views=0")
    assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def finished(sample: Path) -> tuple[Path, dict[str, dict]]:
    return sample, run_smoke(sample)


def shards(scene: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((scene / "gsstereo/dataset/splat").glob("*.h5"))}


def test_all_photos_register_and_become_labelled_samples(finished: tuple[Path, dict[str, dict]]) -> None:
    _, stages = finished
    assert stages["reconstruct"]["metrics"]["registered"] == 10
    assert stages["fit"]["metrics"]["held_out_psnr_db"] > 12
    assert stages["label"]["metrics"]["samples"] == stages["render-pairs"]["metrics"]["pairs"] == 10
    assert {stage["action"] for stage in stages.values()} == {"done"}


def test_the_shard_says_what_the_format_promises(finished: tuple[Path, dict[str, dict]]) -> None:
    scene, _ = finished
    [path] = (scene / "gsstereo/dataset/splat").glob("*.h5")
    assert path.name == "train-00000-of-00001.h5"
    with h5py.File(path) as file:
        assert file.attrs["format"] == "gs_stereo.stereo"
        assert file.attrs["format_version"] == 1
        assert file.attrs["scene"] == "room"
        assert np.isnan(file.attrs["metres_per_unit"])
        assert json.loads(file.attrs["label_provenance"])["expert"] == "splat"
        height, width = file["left"].shape[1:3]
        expected = {
            "left": ("uint8", (10, height, width, 3)),
            "right": ("uint8", (10, height, width, 3)),
            "disparity": ("float32", (10, height, width)),
            "confidence": ("uint8", (10, height, width)),
            "flags": ("uint16", (10, height, width)),
            "intrinsics": ("float64", (10, 3, 3)),
            "baseline": ("float64", (10,)),
            "cam_from_world": ("float64", (10, 4, 4)),
        }
        assert {name: (str(file[name].dtype), file[name].shape) for name in expected} == expected
        assert sorted(file["view_id"].asstr()[:]) == sorted(path.name for path in (scene / "images").iterdir())


def test_the_poses_of_the_shards_are_those_of_the_reconstruction(finished: tuple[Path, dict[str, dict]]) -> None:
    from gs_stereo.io.reconstruction import load_sparse_scene

    scene, _ = finished
    cameras = {camera.name: camera for camera in load_sparse_scene(scene / "gsstereo/reconstruct").cameras}
    with h5py.File(scene / "gsstereo/dataset/splat/train-00000-of-00001.h5") as file:
        for name, pose, intrinsics in zip(
            file["view_id"].asstr()[:], file["cam_from_world"][:], file["intrinsics"][:], strict=True
        ):
            np.testing.assert_array_equal(pose, cameras[name].cam_from_world)
            np.testing.assert_array_equal(intrinsics, cameras[name].intrinsics)


def test_a_second_run_does_nothing_and_loads_no_torch(finished: tuple[Path, dict[str, dict]]) -> None:
    scene, _ = finished
    code = (
        "import sys; from gs_stereo.cli.main import app\n"
        f"try: app(['run', {str(scene)!r}, '--config', 'smoke', *{FAST!r}])\nexcept SystemExit: pass\n"
        "print('torch' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.startswith("Nothing to do")
    assert output.splitlines()[-1] == "False"


def test_the_reader_gives_batches(finished: tuple[Path, dict[str, dict]]) -> None:
    from torch.utils.data import DataLoader

    from gs_stereo import StereoDataset, collate

    scene, _ = finished
    batch = next(iter(DataLoader(StereoDataset(scene), batch_size=4, collate_fn=collate)))
    assert batch["left"].shape[:2] == (4, 3)
    assert batch["valid"].dtype.is_floating_point is False
    assert (batch["disparity"][~batch["valid"]] == 0).all()


@pytest.mark.slow
def test_two_runs_with_one_seed_give_the_same_bytes(finished: tuple[Path, dict[str, dict]], tmp_path: Path) -> None:
    scene, _ = finished
    twin = tmp_path / "room"
    shutil.copytree(scene / "images", twin / "images")
    run_smoke(twin)
    assert shards(twin) == shards(scene)


@pytest.mark.parametrize("stage", [*(pytest.param(stage, marks=pytest.mark.slow) for stage in STAGES[:-1]), STAGES[-1]])
def test_a_run_killed_in_any_stage_goes_on_to_the_same_bytes(
    finished: tuple[Path, dict[str, dict]], tmp_path: Path, stage: str
) -> None:
    scene, _ = finished
    victim = tmp_path / "room"
    shutil.copytree(scene, victim)
    for folder in STAGES[STAGES.index(stage) :]:
        shutil.rmtree(victim / "gsstereo" / folder)
    published = victim / "gsstereo" / stage
    command = [sys.executable, "-c", VICTIM, str(published), "run", str(victim), "--config", "smoke", *FAST]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.kill()
    assert said == "begun\n", "the run ended before it could be killed"
    assert not published.exists()
    assert list(published.parent.glob(f"{published.name}.tmp-*"))
    run_smoke(victim)
    assert shards(victim) == shards(scene)
    assert not list(published.parent.glob("*.tmp-*"))


@pytest.mark.parametrize("more", [(), pytest.param(("--fuse", "multibaseline"), marks=pytest.mark.slow)])
def test_the_fused_label_is_the_same_at_any_worker_count_and_names_its_sources(
    finished: tuple[Path, dict[str, dict]], more: tuple[str, ...]
) -> None:
    scene, _ = finished
    for workers in (1, 2):
        name = ("--name", f"fused{workers}", "--workers", workers, "--force")
        result = gsstereo("label", scene, "--fuse", "sgbm", "--set", "fused.photo_count=2", *more, *name)
        assert result.exit_code == 0, result.stderr
    columns = {}
    for workers in (1, 2):
        [path] = (scene / f"gsstereo/dataset/fused{workers}").glob("*.h5")
        with h5py.File(path) as file:
            columns[workers] = {key: file[key][()].tobytes() for key in ("disparity", "confidence", "flags")}
            provenance = json.loads(file.attrs["label_provenance"])
            assert np.isfinite(file["disparity"][()]).mean() > 0.3
    assert columns[1] == columns[2]
    assert provenance["expert"] == "fused"
    assert "sgbm: Apache-2.0" in provenance["licence"]
    assert provenance["settings"]["trust"]["version"] >= 1
    assert not list((scene / "gsstereo/dataset/fused1").glob(".*s"))


@pytest.mark.slow
def test_multibaseline_labels_by_itself_and_photos_can_be_left_out(finished: tuple[Path, dict[str, dict]]) -> None:
    scene, _ = finished
    for more in (("--expert", "multibaseline"), ("--no-photos",)):
        result = gsstereo("label", scene, *more, "--json")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["stages"][0]["metrics"]["coverage"] > 0.3


@pytest.mark.slow
def test_a_corrupt_checkpoint_is_one_sentence(finished: tuple[Path, dict[str, dict]], tmp_path: Path) -> None:
    scene, _ = finished
    victim = tmp_path / "room"
    shutil.copytree(scene, victim)
    fingerprint = json.loads((victim / "gsstereo/fit/manifest.json").read_text())["fingerprint"]
    shutil.rmtree(victim / "gsstereo/fit")
    work = victim / f"gsstereo/fit.tmp-{fingerprint[:12]}/.checkpoints"
    work.mkdir(parents=True)
    (work / "checkpoint.pt").write_bytes(b"PK\x03\x04 not a checkpoint")
    result = gsstereo("run", victim, "--config", "smoke", *FAST)
    assert result.exit_code in (3, 4)
    assert "--force" in result.stderr or "delete" in result.stderr
    assert gsstereo("fit", victim, "--preset", "fast", "--set", "iterations=5", "--force").exit_code == 0


def test_a_read_only_scene_can_be_run_with_out(finished: tuple[Path, dict[str, dict]], tmp_path: Path) -> None:
    scene, _ = finished
    before = sorted(path.stat().st_mtime_ns for path in (scene / "images").iterdir())
    result = gsstereo("reconstruct", scene, "--out", tmp_path / "elsewhere", "--set", "max_image_size=256")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "elsewhere/reconstruct/manifest.json").is_file()
    assert sorted(path.stat().st_mtime_ns for path in (scene / "images").iterdir()) == before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no photos"),
        (lambda folder: (folder / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 truncated"), "can be used"),
        (lambda folder: (folder / "a.txt").write_text("x"), "no photos"),
    ],
)
def test_bad_photos_are_a_clear_error(tmp_path: Path, make, message: str) -> None:
    folder = tmp_path / "scene/images"
    folder.mkdir(parents=True)
    make(folder)
    result = gsstereo("run", tmp_path / "scene")
    assert result.exit_code == 3
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_wall_of_noise_registers_nothing_and_says_so(tmp_path: Path) -> None:
    from gs_stereo.imaging.images import write_png

    folder = tmp_path / "scene/images"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(3):
        write_png(folder / f"{number}.png", rng.integers(0, 256, (96, 128, 3), dtype=np.uint8))
    result = gsstereo("run", tmp_path / "scene")
    assert result.exit_code == 3, result.stderr
    assert "overlap" in result.stderr


def test_the_report_shows_the_whole_way(finished: tuple[Path, dict[str, dict]]) -> None:
    scene, _ = finished
    result = gsstereo("report", scene, "--json")
    assert result.exit_code in (0, 5), result.stderr  # a fit this short may well be blurred
    values = json.loads(result.stdout)
    grades = {check["check"]: check["grade"] for check in values["checks"]}
    assert {grades[name] for name in ("row_alignment", "swapped_eyes", "disparity_scale", "label_scale")} == {"pass"}
    page = Path(values["page"]).read_text(encoding="utf-8")
    for part in ("pairs", "checks", "labels", "sheet", "capture", "splat", "cost", "origin"):
        assert f'<section id="{part}">' in page
    assert page.count("difference of ") == 1  # the held-out photo, 5 of 10
    assert len(json.loads((scene / "gsstereo/report/quality.json").read_text())["samples"]) == 10
