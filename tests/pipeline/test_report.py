"""`gsstereo report` on data sets without a capture: exit codes, JSON, the page, and what is judged anew."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 (registers the filters)
import numpy as np
import pytest
from builders import make_info, plain_sample
from typer.testing import CliRunner

from gs_stereo.cli.main import app
from gs_stereo.datasets.write import write_dataset
from gs_stereo.types import Provenance

HOSTILE = "<script>alert(1)</script>"
HEIGHT, WIDTH, DISPARITY_PX = 120, 200, 14


def write(scene: Path, name: str, count: int = 4) -> Path:
    """A flat wall with a fine texture, seen from `count` places; every text is hostile."""
    import cv2

    samples = []
    for number in range(count):
        noise = np.random.default_rng(number).normal(size=(HEIGHT, WIDTH + DISPARITY_PX, 3)).astype(np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), 1.2)
        wall = np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)
        pose = np.eye(4)
        pose[0, 3] = -10.0 * number
        ids = {"sample_id": f"{HOSTILE}{number}", "view_id": f"{HOSTILE}{number}"}
        eyes = {"left": np.ascontiguousarray(wall[:, :WIDTH]), "right": np.ascontiguousarray(wall[:, DISPARITY_PX:])}
        disparity = np.full((HEIGHT, WIDTH), DISPARITY_PX, np.float32)
        samples.append(plain_sample(disparity, focal_px=150.0, cam_from_world=pose, **ids, **eyes))
    info = make_info(
        scene=HOSTILE,
        label=name,
        provenance=Provenance(
            name=HOSTILE,
            version="1",
            licence="CC-BY-NC-4.0",
            settings={"sources": [{"name": "inner source", "licence": "MIT"}], HOSTILE: HOSTILE},
        ),
        generator=HOSTILE,
        config={HOSTILE: HOSTILE},
    )
    folder = scene / "gsstereo/dataset" / name
    folder.mkdir(parents=True)
    write_dataset(folder, samples, info, sample_count=count)
    return folder


def report(scene: Path, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["report", str(scene), "--workers", "1", *more])
    return result.exit_code, result.output


class Reader(HTMLParser):
    """Collects tags and checks that they are closed in order."""

    VOID = frozenset({"meta", "img", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, dict]:
    scene = tmp_path_factory.mktemp("report") / "scene"
    write(scene, "older")
    write(scene, "newer")
    code, output = report(scene, "--json")
    return scene, code, json.loads(output)


def test_a_good_data_set_exits_with_zero_and_says_why(judged: tuple[Path, int, dict]) -> None:
    _, code, values = judged
    assert code == 0
    assert values["verdict"] == "pass", values["reasons"]
    assert values["dataset"] == "newer"
    assert values["failed_checks"] == []
    assert {check["grade"] for check in values["checks"]} <= {"pass", "not measured"}


def test_the_page_is_whole_and_needs_nothing_else(judged: tuple[Path, int, dict]) -> None:
    text = Path(judged[2]["page"]).read_text(encoding="utf-8")
    reader = Reader(text)
    assert reader.open == []
    assert not re.search(r"https?://|@import|url\(", text)
    for tag, attributes in reader.tags:
        assert tag not in ("link", "iframe", "object", "embed")
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#").startswith("#")
    assert len(text) < 8e6


def test_no_text_of_the_data_set_becomes_code(judged: tuple[Path, int, dict]) -> None:
    text = Path(judged[2]["page"]).read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert text.count("<script>") == 1
    assert "&lt;script&gt;alert(1)" in text


def test_the_page_names_other_data_sets_and_every_licence(judged: tuple[Path, int, dict]) -> None:
    text = Path(judged[2]["page"]).read_text(encoding="utf-8")
    assert "older" in text
    assert "CC-BY-NC-4.0" in text
    assert "inner source" in text


def test_anchors_lead_somewhere(judged: tuple[Path, int, dict]) -> None:
    reader = Reader(Path(judged[2]["page"]).read_text(encoding="utf-8"))
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for tag, attributes in reader.tags if tag == "a"}
    assert targets
    assert targets <= set(ids)
    labels = {attributes["for"] for tag, attributes in reader.tags if tag == "label"}
    assert labels <= set(ids)


def test_an_unchanged_data_set_is_not_measured_again(judged: tuple[Path, int, dict]) -> None:
    scene, _, values = judged
    before = Path(values["page"]).stat().st_mtime_ns
    code, output = report(scene)
    assert code == 0
    assert "Verdict: PASS" in output
    assert Path(values["page"]).stat().st_mtime_ns == before


def test_a_shard_changed_in_place_is_judged_anew_and_fails(tmp_path: Path) -> None:
    folder = write(tmp_path, "mine")
    assert report(tmp_path)[0] == 0
    [shard] = folder.glob("*.h5")
    with h5py.File(shard, "r+") as file:
        file["right"][...] = np.roll(file["right"][...], 2, axis=1)
    code, output = report(tmp_path)
    assert code == 5
    assert "Verdict: FAIL" in output
    assert "rows of left and right are not aligned" in output
    assert "sha256" in output
    assert report(tmp_path)[0] == 5, "the kept verdict has the same exit code"


def test_one_data_set_can_be_named(judged: tuple[Path, int, dict], tmp_path: Path) -> None:
    scene, _, _ = judged
    code, output = report(scene, "--dataset", "older", "--json", "--out", str(tmp_path))
    assert code == 3, output
    assert "older" in output
    write(tmp_path / "two", "a", 2)
    write(tmp_path / "two", "b", 2)
    assert json.loads(report(tmp_path / "two", "--dataset", "a", "--json")[1])["dataset"] == "a"


def test_a_scene_without_data_sets_is_one_sentence(tmp_path: Path) -> None:
    code, output = report(tmp_path)
    assert code == 3
    assert "gsstereo label" in output


def test_few_of_many_samples_are_drawn_at_random_but_always_the_same(tmp_path: Path) -> None:
    from gs_stereo.quality.measure import chosen_numbers

    drawn = chosen_numbers(1000, 100, 0)
    assert drawn == chosen_numbers(1000, 100, 0) == sorted(set(drawn))
    assert len(drawn) == 100
    assert {number % 2 for number in drawn} == {0, 1}
    assert chosen_numbers(5, 100, 0) == [0, 1, 2, 3, 4]
