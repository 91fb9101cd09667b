"""`gsstereo synthesize` with tiny random weights in the published layout: pairs, labels, bad input, resume."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from builders import tiny_scene
from PIL import Image
from typer.testing import CliRunner, Result

from gs_stereo.cli.main import app
from gs_stereo.geometry.projection import project
from gs_stereo.imaging.images import read_photo, write_png
from gs_stereo.io.colmap import model_from_sparse_scene, write_model
from gs_stereo.io.pairs import read_pair
from gs_stereo.types import StereoImages, StereoPair

FAST = ("--steps", "2", "--set", "side_px=64")


@pytest.fixture(scope="module")
def weights(shared_data: Path) -> Path:
    folder = shared_data / "stereospace_golden" / "weights"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    folder = tmp_path / "walk"
    folder.mkdir()
    for number, size in enumerate([(120, 80), (100, 66)]):
        pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"photo{number}.png")
    return folder


def gsstereo(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def pairs_of(scene: Path) -> dict[str, StereoImages]:
    folders = sorted(path.parent for path in (scene / "gsstereo/pairs/generated").glob("*/pair.json"))
    return {folder.name: read_pair(folder) for folder in folders}


def test_photos_become_pairs_that_a_matcher_labels(scene: Path, weights: Path) -> None:
    result = gsstereo(
        "synthesize", scene, "--weights", weights, "--baseline", 0.15, "--baseline", -0.1, *FAST, "--json"
    )
    assert result.exit_code == 0, result.output
    pairs = pairs_of(scene)
    assert len(pairs) == 4
    for pair in pairs.values():
        assert not isinstance(pair, StereoPair)
        assert pair.left.shape == pair.right.shape == (52, 78, 3)  # 120x80 at about 64x64 pixels, without padding
    right, left = (pairs[name] for name in sorted(pairs)[:2])
    np.testing.assert_array_equal(right.left, left.right)  # the photo's own eye, bit by bit
    assert (right.rig.baseline, left.rig.baseline) == (0.15, 0.1)
    header = json.loads((scene / "gsstereo/pairs/generated" / sorted(pairs)[0] / "pair.json").read_text())
    generated = header["measures"]["generated"]
    assert "Open RAIL" in generated["licence"]
    assert len(generated["weights_sha256"]) == 64
    assert generated["settings"]["pixels"] == "generated, not observed"
    headers = [
        json.loads(path.read_text()) for path in sorted((scene / "gsstereo/pairs/generated").glob("*/pair.json"))
    ]
    assert [header["measures"]["generated_at"] for header in headers] == [0.15, -0.1, 0.15, -0.1]
    assert len({header["measures"]["generated_seed"] for header in headers}) == 4

    fused = gsstereo("label", scene, "--pairs", "generated")
    assert fused.exit_code == 3
    assert "label them with a matcher" in fused.output
    result = gsstereo("label", scene, "--pairs", "generated", "--expert", "sgbm")
    assert result.exit_code == 0, result.output
    with h5py.File(next((scene / "gsstereo/dataset/sgbm").glob("*.h5"))) as file:
        provenance = json.loads(file.attrs["label_provenance"])
        assert len(file["left"]) == 4
        assert np.isnan(file.attrs["metres_per_unit"])
    assert "generated eye" in provenance["licence"]
    assert gsstereo("report", scene).exit_code in (0, 5)
    page = (scene / "gsstereo/report/index.html").read_text()
    assert "One eye of every pair is generated, not observed: by stereospace" in page
    assert page.count("<dt>generated eye</dt><dd>left</dd>") == 2
    assert page.count("<dt>generated eye</dt><dd>right</dd>") == 2
    assert "truth" not in re.findall(r'class="(\w+)" checked|<label for="viewer0-(\w+)"', page)
    assert provenance["settings"]["generated_eye"]["settings"]["steps"] == 2


def test_the_same_seed_gives_the_same_bytes_and_an_interrupted_run_goes_on(
    scene: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gs_stereo.synthesis import second_eye

    command = ("synthesize", scene, "--weights", weights, *FAST)
    made = []
    whole = second_eye._pair

    def failing(*arguments: object) -> second_eye.GeneratedPair:
        if len(made) == 1:
            raise KeyboardInterrupt
        made.append(whole(*arguments))  # type: ignore[arg-type]
        return made[-1]

    with monkeypatch.context() as patch:
        patch.setattr(second_eye, "_pair", failing)
        assert gsstereo(*command).exit_code != 0
    assert not (scene / "gsstereo/pairs/generated").exists()
    (work,) = (scene / "gsstereo/pairs").glob("generated.tmp-*")
    (first,) = work.glob("*/pair.json")
    stamp = first.stat().st_mtime_ns
    assert gsstereo(*command).exit_code == 0
    pairs = pairs_of(scene)
    assert (scene / "gsstereo/pairs/generated" / first.parent.name / "pair.json").stat().st_mtime_ns == stamp
    assert gsstereo(*command, "--force").exit_code == 0
    for name, pair in pairs_of(scene).items():
        np.testing.assert_array_equal(pair.right, pairs[name].right)
    assert gsstereo(*command, "--seed", 1).exit_code == 0
    assert any((pair.right != pairs[name].right).any() for name, pair in pairs_of(scene).items())


def test_one_photo_alone(scene: Path, weights: Path) -> None:
    result = gsstereo("synthesize", scene / "photo1.png", "--weights", weights, *FAST)
    assert result.exit_code == 0, result.output
    assert "pairs 1 of 79x52 px, photos 100x66 px" in result.output
    (pair,) = pairs_of(scene).values()
    assert pair.view_id == "photo1.png"
    assert pair.left.shape == (52, 79, 3)  # 100x66 at about 64x64 pixels


def test_a_photo_beside_the_folder_of_photos_is_found(scene: Path) -> None:
    from gs_stereo.pipeline.scene import ScenePaths
    from gs_stereo.stages.synthesize import SynthesizeConfig, _photos

    (scene / "images").mkdir()
    (scene / "photo0.png").rename(scene / "images/photo0.png")
    found = _photos(ScenePaths.of(scene), SynthesizeConfig(photos=("photo0.png", "photo1.png")))
    assert found == [scene / "images/photo0.png", scene / "photo1.png"]


def test_a_pair_of_the_photo_s_size_holds_the_photo_itself(scene: Path) -> None:
    result = gsstereo("synthesize", scene / "photo1.png", "--baseline", 0.05, "--set", "size=photo")
    assert result.exit_code == 0, result.output
    assert "pairs 1 of 100x66 px" in result.output
    (pair,) = pairs_of(scene).values()
    np.testing.assert_array_equal(pair.left, read_photo(scene / "photo1.png"))
    assert pair.right.shape == (66, 100, 3)
    assert pair.rig.left.intrinsics[:2, 2].tolist() == [50, 33]
    result = gsstereo("synthesize", scene, "--set", "size=photo")
    assert result.exit_code == 3
    assert "photo1.png and photo0.png have different shapes" in result.output.replace("\n", " ")
    result = gsstereo("synthesize", scene, "--set", "size=photo", "--set", "framing=square")
    assert result.exit_code == 2
    assert "set framing=whole with size=photo" in result.output.replace("\n", " ")


def test_the_photos_of_a_capture_keep_its_cameras_and_its_scale(tmp_path: Path) -> None:
    scene, photos = tiny_scene(3)
    for camera in scene.cameras:
        write_png(tmp_path / "images" / camera.name, photos(camera.name))
    (tmp_path / "model").mkdir()
    write_model(tmp_path / "model", model_from_sparse_scene(scene))
    result = gsstereo("import", tmp_path, "--colmap", tmp_path / "model", "--metres-per-unit", 2)
    assert result.exit_code == 0, result.output
    result = gsstereo("synthesize", tmp_path, "--baseline", 0.05, "--baseline", -0.05)
    assert result.exit_code == 0, result.output
    pairs = list(pairs_of(tmp_path).values())
    assert len(pairs) == 6
    for number, camera in enumerate(scene.cameras):
        right, left = pairs[2 * number : 2 * number + 2]
        np.testing.assert_allclose(right.rig.left.cam_from_world, camera.cam_from_world, atol=1e-9)
        np.testing.assert_allclose(left.rig.right.cam_from_world, camera.cam_from_world, atol=1e-9)
        focal = right.rig.left.focal_px / right.left.shape[1]
        assert focal == pytest.approx(camera.focal_px / camera.width, rel=0.02)
        np.testing.assert_array_equal(right.left, left.right)
        depth = project(camera, scene.points.xyz_in_world[scene.visible_points[number]])[1]
        assert right.rig.baseline == pytest.approx(0.05 * np.median(depth), rel=1e-3)
    assert gsstereo("label", tmp_path, "--pairs", "generated", "--expert", "sgbm").exit_code == 0
    with h5py.File(next((tmp_path / "gsstereo/dataset/sgbm").glob("*.h5"))) as file:
        assert file.attrs["metres_per_unit"] == 2
    result = gsstereo("synthesize", tmp_path, "--set", "photos=[none.png]", "--set", "source=capture")
    assert result.exit_code == 3
    assert "none.png is no registered photo" in result.output.replace("\n", " ")


def test_photos_of_different_shapes_are_refused_with_a_way_out(scene: Path, weights: Path) -> None:
    Image.new("RGB", (80, 120)).save(scene / "upright.png")
    result = gsstereo("synthesize", scene, "--weights", weights, *FAST)
    assert result.exit_code == 3
    assert "framing=square" in result.output
    assert gsstereo("synthesize", scene, "--weights", weights, *FAST, "--set", "framing=square").exit_code == 0
    assert {pair.left.shape for pair in pairs_of(scene).values()} == {(64, 64, 3)}


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "vae/config.json").unlink(), "has no vae/config.json"),
        (lambda folder: (folder / "denoising_unet.pth").write_bytes(b"PK"), "denoising_unet.pth cannot be read"),
        (lambda folder: (folder / "config.json").write_text("[]"), "config.json is broken (it must hold a JSON object"),
        (lambda folder: (folder / "vae/diffusion_pytorch_model.safetensors").write_bytes(b""), "cannot be read"),
        (lambda folder: drop_key(folder / "reference_unet.pth"), "conv_in.bias is missing, must be"),
    ],
)
def test_broken_weights_are_one_sentence(  # type: ignore[no-untyped-def]
    scene: Path, weights: Path, tmp_path: Path, spoil, sentence: str
) -> None:
    copy = tmp_path / "weights"
    shutil.copytree(weights, copy, copy_function=shutil.copyfile)
    for folder in (copy, *(path for path in copy.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    spoil(copy)
    result = gsstereo("synthesize", scene, "--weights", copy, *FAST)
    assert result.exit_code == 3, result.output
    assert sentence in result.output.replace("\n", " ")
    assert not (scene / "gsstereo/pairs/generated").exists()


def drop_key(path: Path) -> None:
    tensors = torch.load(path, weights_only=True)
    del tensors["conv_in.bias"]
    torch.save(tensors, path)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--baseline", "nan"), 2, "baselines"),
        (("--baseline", "0"), 3, "not 0"),
        (("--baseline", "0.1", "--target-disparity", "4"), 2, "give one of the two"),
        (("--set", "focal_px=0"), 2, "focal_px"),
        (("--set", "photos=[none.png]"), 3, "no photo none.png"),
    ],
)
def test_bad_settings_are_one_sentence(
    scene: Path, weights: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    result = gsstereo("synthesize", scene, "--weights", weights, *FAST, *arguments)
    assert result.exit_code == code, result.output
    assert sentence in result.output
    assert not (scene / "gsstereo/pairs/generated").exists()


def test_a_video_needs_its_reconstruction(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"x")
    result = gsstereo("synthesize", tmp_path / "clip.mp4")
    assert result.exit_code == 3
    assert "is a video; run `gsstereo reconstruct` on it first" in result.output.replace("\n", " ")


@pytest.mark.parametrize("size", [(10, 10), (20000, 20)])
def test_photos_that_no_model_takes(scene: Path, weights: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size).save(scene / "odd.png")
    result = gsstereo("synthesize", scene / "odd.png", "--weights", weights, *FAST)
    assert result.exit_code == 3
    assert "too small or too long" in result.output.replace("\n", " ")


def test_the_small_model_of_the_package_needs_no_weights(scene: Path) -> None:
    result = gsstereo("synthesize", scene / "photo0.png", "--baseline", -0.05, "--json")
    assert result.exit_code == 0, result.output
    (pair,) = pairs_of(scene).values()
    assert pair.rig.baseline == 0.05
    header = next((scene / "gsstereo/pairs/generated").glob("*/pair.json")).read_text()
    generated = json.loads(header)["measures"]["generated"]
    assert (generated["name"], generated["licence"]) == ("stereospace-small", "Apache-2.0")
    assert generated["settings"]["baseline_unit"] == "median_depth"
    result = gsstereo("report", scene)  # of pairs, for there is no data set
    assert result.exit_code == 0, result.output
    assert "without a verdict" in result.output
    page = (scene / "gsstereo/report/index.html").read_text()
    assert "One eye of every pair is generated, not observed: by stereospace-small" in page
    assert re.findall(r'<label for="viewer0-(\w+)"', page) == ["flicker", "left", "right", "disparity", "anaglyph"]
    assert "<dt>generated eye</dt><dd>left</dd>" in page
    assert "<dt>given to the model</dt><dd>-0.05</dd>" in page
    assert "://" not in page
    assert gsstereo("report", scene, "--pairs", "none").exit_code == 3
