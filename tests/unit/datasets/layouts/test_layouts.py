"""Each layout as a stranger finds it, who knows only the format's public description and none of our code."""

from __future__ import annotations

import importlib
import io
import json
import re
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import yaml
from builders import INFO, SAMPLE_SHAPE, make_info, make_sample
from exported import pairs_of, sources_of
from PIL import Image

from gs_stereo.datasets.layouts.protocol import EXPORTERS, ExportConfig, ExportJob
from gs_stereo.datasets.layouts.selection import LabelCounts, selected
from gs_stereo.errors import InputError

SAMPLES = [make_sample(number) for number in range(2)]


def written(folder: Path, name: str, **settings: object) -> Path:
    exporter, config = EXPORTERS.load(name)(), ExportConfig(**settings)
    job = ExportJob(info=INFO, config=config)
    exporter.write(folder, selected(SAMPLES, exporter.holds, config, LabelCounts()), job)
    return folder


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def pfm(path: Path) -> np.ndarray:
    lines = path.read_bytes().split(b"\n", 3)
    assert (lines[0], lines[1], float(lines[2])) == (b"Pf", b"20 12", -1.0)
    return np.frombuffer(lines[3], "<f4").reshape(SAMPLE_SHAPE)[::-1]  # bottom row first


def test_kitti(tmp_path: Path) -> None:
    root = written(tmp_path, "kitti") / "training"
    for number, sample in enumerate(SAMPLES):
        names = [path / f"{number:06d}_10.png" for path in (root / "image_2", root / "image_3")]
        np.testing.assert_array_equal(picture(names[0]), sample.left)
        np.testing.assert_array_equal(picture(names[1]), sample.right)
        stored = cv2.imread(str(root / "disp_occ_0" / f"{number:06d}_10.png"), cv2.IMREAD_UNCHANGED)
        assert stored.dtype == np.uint16
        # none, zero and tiny as one step, 255.99, and three that the format cannot hold
        assert stored[0, :7].tolist() == [0, 1, 1, 65533, 0, 0, 0]
        valid = stored > 0
        assert np.abs(stored[1:] / 256 - sample.disparity[1:]).max() <= 1 / 512 + 1e-5
        seen = cv2.imread(str(root / "disp_noc_0" / f"{number:06d}_10.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(seen, np.where((sample.flags & 3) == 0, stored, 0))
        assert 0 < (seen > 0).sum() < valid.sum()
        text = (root / "calib_cam_to_cam" / f"{number:06d}.txt").read_text()
        rows = {row.split(":")[0]: np.array(row.split(":")[1].split(), float) for row in text.splitlines()}
        left, right = rows["P_rect_02"].reshape(3, 4), rows["P_rect_03"].reshape(3, 4)
        np.testing.assert_allclose(left[:, :3], sample.intrinsics - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
        # A point on the axis of the left camera at 2 m: the projections differ by f b / z.
        point = np.array([0, 0, 2.0, 1])
        shift = (left @ point)[0] / 2 - (right @ point)[0] / 2
        assert shift == pytest.approx(sample.intrinsics[0, 0] * sample.baseline * 0.5 / 2)


def test_middlebury(tmp_path: Path) -> None:
    for number, sample in enumerate(SAMPLES):
        place = written(tmp_path, "middlebury") / "2014" / f"{number:06d}"
        for name, image in (
            ("im0", sample.left),
            ("im1", sample.right),
            ("im1E", sample.right),
            ("im1L", sample.right),
        ):
            np.testing.assert_array_equal(picture(place / f"{name}.png"), image)
        disparity = pfm(place / "disp0.pfm")
        assert np.isposinf(disparity[0, 0])
        np.testing.assert_array_equal(disparity[0, 1:], sample.disparity[0, 1:])
        mask = picture(place / "mask0nocc.png")
        hidden = (sample.flags & 3) != 0
        np.testing.assert_array_equal(mask, np.where(np.isinf(disparity), 0, np.where(hidden, 128, 255)))
        fields = dict(line.split("=") for line in (place / "calib.txt").read_text().splitlines())
        assert fields["cam0"] == fields["cam1"] == "[101.25 0.0 9.6; 0.0 99.5 5.8; 0.0 0.0 1.0]"
        assert float(fields["baseline"]) == pytest.approx(sample.baseline * 0.5 * 1000)
        assert (fields["width"], fields["height"], fields["doffs"], fields["ndisp"]) == ("20", "12", "0", "2001")


def test_unknown_scale_is_nan_metres(tmp_path: Path) -> None:
    job = ExportJob(info=INFO.__class__(**{**INFO.__dict__, "metres_per_unit": None}))
    for name, file in (("middlebury", "2014/000000/calib.txt"), ("kitti", "training/calib_cam_to_cam/000000.txt")):
        exporter = EXPORTERS.load(name)()
        exporter.write(tmp_path / name, selected(SAMPLES, exporter.holds, job.config, LabelCounts()), job)
        text = (tmp_path / name / file).read_text()
        assert "baseline=nan" in text or "P_rect_03: 101.25 0.0 9.6 nan" in text
        assert np.isnan(pairs_of(name, tmp_path / name)[0].calibration.baseline_m)


def test_sceneflow(tmp_path: Path) -> None:
    root = written(tmp_path, "sceneflow") / "FlyingThings3D"
    images = sorted(root.glob("frames_cleanpass/TRAIN/*/*/left/*.png"))
    assert len(images) == len(SAMPLES)
    for path, sample in zip(images, SAMPLES, strict=True):
        relative = path.relative_to(root).as_posix()
        np.testing.assert_array_equal(picture(path), sample.left)
        np.testing.assert_array_equal(picture(root / relative.replace("left", "right")), sample.right)
        disparity = pfm(root / relative.replace("frames_cleanpass", "disparity").replace(".png", ".pfm"))
        valid = disparity < 1e9
        np.testing.assert_array_equal(valid, np.isfinite(sample.disparity))
        np.testing.assert_array_equal(disparity[valid], sample.disparity[valid])  # positive


def test_sceneflow_test_split(tmp_path: Path) -> None:
    exporter = EXPORTERS.load("sceneflow")()
    info = INFO.__class__(**{**INFO.__dict__, "split": "test"})
    assert exporter.write(tmp_path, SAMPLES, ExportJob(info=info))[0].startswith("TEST/A/")


def test_nerf_stereo(tmp_path: Path) -> None:
    root = written(tmp_path, "nerf-stereo")
    lines = (root / "train.txt").read_text().splitlines()
    for line, sample in zip(lines, SAMPLES, strict=True):
        left, centre, right, disparity, confidence = (root / name for name in line.split())
        np.testing.assert_array_equal(picture(left), sample.views[1])  # its offset is one baseline to the left
        np.testing.assert_array_equal(picture(centre), sample.left)
        np.testing.assert_array_equal(picture(right), sample.right)
        stored = cv2.imread(str(disparity), -1)
        assert stored.dtype == np.uint16
        assert stored[0, :7].tolist() == [0, 1, 1, 16383, 19200, 65530, 0]
        assert np.abs(stored[1:] / 64 - sample.disparity[1:]).max() <= 1 / 128 + 1e-5
        sure = cv2.imread(str(confidence), -1)
        assert sure.dtype == np.uint16
        assert np.abs(sure / 65536 - sample.confidence / 255).max() <= 1 / 65536


def test_nerf_stereo_without_an_outer_view_says_how_to_render_it(tmp_path: Path) -> None:
    exporter = EXPORTERS.load("nerf-stereo")()
    with pytest.raises(InputError, match=r"render-pairs SCENE --set \"extra_offsets=\[-1\]\""):
        exporter.write(tmp_path, [make_sample(0, views=0)], ExportJob(info=INFO))


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_foundation_stereo(tmp_path: Path, suffix: str) -> None:
    (place,) = written(tmp_path, "foundationstereo", images=suffix).glob("*/dataset/data")
    for number, sample in enumerate(SAMPLES):
        for eye, image in (("left", sample.left), ("right", sample.right)):
            error = np.abs(picture(place / eye / "rgb" / f"{number:06d}.{suffix}").astype(int) - image)
            assert error.max() <= (4 if suffix == "jpg" else 0)
        digits = picture(place / "left" / "disparity" / f"{number:06d}.png").astype(float)
        disparity = (digits[..., 0] * 255 * 255 + digits[..., 1] * 255 + digits[..., 2]) / 1000
        assert disparity[0, :4] == pytest.approx([0, 0.001, 0.001, 255.99])
        assert np.abs(disparity - np.maximum(np.nan_to_num(sample.disparity), 0))[0, 4:].max() <= 0.001
        assert np.abs(disparity[1:] - sample.disparity[1:]).max() <= 0.0005 + 1e-5


def test_openstereo_class_reads_its_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Template:  # what OpenStereo's own template gives its classes
        def __init__(self, root: Path, lines: list[str]) -> None:
            self.root, self.transform, self.data_list = str(root), None, [line.split(" ") for line in lines]

    package, template = ModuleType("stereo_datasets"), ModuleType("stereo_datasets.dataset_template")
    package.__path__, template.DatasetTemplate = [str(tmp_path)], Template
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setitem(sys.modules, template.__name__, template)
    root = written(tmp_path, "openstereo")
    module = importlib.import_module("stereo_datasets.gs_stereo_dataset")
    monkeypatch.delitem(sys.modules, module.__name__)
    lines = (root / "train.txt").read_text()
    assert (root / "val.txt").read_text() == lines  # one view: nothing can be held out
    for line, sample in zip(lines.splitlines(), SAMPLES, strict=True):
        found = module.GsStereoDataset(root, [line])[0]
        np.testing.assert_array_equal(found["left"], sample.left)
        np.testing.assert_array_equal(found["right"], sample.right)
        np.testing.assert_array_equal(found["disp"], np.nan_to_num(sample.disparity))
        np.testing.assert_array_equal(found["valid"], np.nan_to_num(sample.disparity) > 0)
        np.testing.assert_array_equal(found["occ_mask"], (sample.flags & 3) != 0)
    (root / "seen" / "000000.png").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="seen"):
        module.GsStereoDataset(root, lines.splitlines())[0]


def test_openstereo_holds_whole_views_out_and_fits_the_configuration_to_the_size(tmp_path: Path) -> None:
    samples = [replace(make_sample(number), view_id=f"view {number // 2}") for number in range(24)]
    EXPORTERS.load("openstereo")().write(tmp_path, samples, ExportJob(info=INFO))
    kept, held_out = ((tmp_path / name).read_text().splitlines() for name in ("train.txt", "val.txt"))
    assert [line.split()[0] for line in held_out] == ["left/000018.png", "left/000019.png"]
    assert len(kept) == 22
    config = yaml.safe_load((tmp_path / "foundationstereo.yaml").read_text())
    steps = {step["NAME"]: step for step in config["DATA_CONFIG"]["DATA_TRANSFORM"]["TRAINING"]}
    assert steps["RandomCrop"]["SIZE"] == [32, 32]
    assert config["DATA_CONFIG"]["DATA_TRANSFORM"]["EVALUATING"][0]["SIZE"] == [32, 32]


def test_webdataset(tmp_path: Path) -> None:
    with tarfile.open(written(tmp_path, "webdataset") / "train-000000.tar") as archive:
        entries = archive.getmembers()
        assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
        assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries} == {
            (0, 0, 0, "", "")
        }
        read = {entry.name: archive.extractfile(entry).read() for entry in entries}
    for number, sample in enumerate(SAMPLES):
        key = f"{number:06d}"
        for name in ("disparity", "confidence", "flags"):
            values = np.load(io.BytesIO(read[f"{key}.{name}.npy"]), allow_pickle=False)
            np.testing.assert_array_equal(values, getattr(sample, name))
            assert values.dtype == getattr(sample, name).dtype
        for name, image in (("left", sample.left), ("right", sample.right), ("view01", sample.views[1])):
            np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(read[f"{key}.{name}.png"]))), image)
        facts = json.loads(read[f"{key}.json"])
        assert (facts["sample_id"], facts["baseline"], facts["metres_per_unit"]) == (
            sample.sample_id,
            sample.baseline,
            0.5,
        )
        np.testing.assert_array_equal(facts["cam_from_world"], sample.cam_from_world)
        np.testing.assert_array_equal(facts["intrinsics"], sample.intrinsics)
        np.testing.assert_array_equal(facts["offsets"], sample.offsets)


def test_webdataset_shards_are_bounded_and_read_in_order(tmp_path: Path) -> None:
    exporter = EXPORTERS.load("webdataset")()
    samples = [make_sample(number) for number in range(7)]
    sizes = ExportConfig(max_shard_megabytes=0.025)
    names = exporter.write(tmp_path, samples, ExportJob(info=INFO, config=sizes))
    shards = sorted(tmp_path.glob("train-*.tar"))
    assert len(shards) > 2
    assert all(path.stat().st_size <= 25_000 for path in shards)
    assert [source.name for source in sources_of("webdataset", tmp_path)] == names == [f"{n:06d}" for n in range(7)]


@pytest.mark.parametrize("scene", ["my room", "../../etc", "left", "Küche", "a" * 200, "x.png/y", ""])
def test_folder_names_are_plain_and_survive_replaced_words(scene: str) -> None:
    name = scene_folder(scene)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)
    assert not any(word in name for word in ("left", "right", "disparity", "frames", "rgb"))


def test_folder_names_of_two_scenes_differ() -> None:
    assert scene_folder("left house") != scene_folder("right house")
    assert scene_folder("my_room-2") == "my_room-2"


def scene_folder(scene: str) -> str:
    return ExportJob(info=make_info(scene=scene)).scene_folder
