"""What the viewer is given: everything that is published, and a sentence for every part that is missing or broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from published_scene import (
    BASELINE,
    VIEWS,
    publish_dataset,
    publish_everything,
    publish_fit,
    publish_pairs,
    publish_reconstruction,
)

from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.viewer.published import published_contents


def test_a_finished_scene_is_read_whole(tmp_path: Path) -> None:
    contents = published_contents(ScenePaths.of(publish_everything(tmp_path)), "cpu")
    assert contents.notes == ()
    assert contents.sparse is not None
    assert contents.photo is not None
    assert contents.renderer is not None
    assert contents.is_metric
    assert contents.photo(contents.sparse.cameras[0].name).shape == (32, 48, 3)
    assert [rig.baseline for rig in contents.rigs["default"]] == [BASELINE] * VIEWS
    dataset = contents.datasets["splat"]
    assert dataset.sample_ids == ("000", "001", "002")
    assert [dataset.read(index).sample_id for index in range(VIEWS)] == list(dataset.sample_ids)  # over two shards


@pytest.mark.parametrize(
    ("publish", "missing"),
    [
        (publish_reconstruction, ["fit", "render-pairs", "label"]),
        (publish_fit, ["reconstruct", "render-pairs", "label"]),
        (publish_pairs, ["reconstruct", "fit", "label"]),
        (publish_dataset, ["reconstruct", "fit", "render-pairs"]),
    ],
)
def test_each_stage_alone_can_be_viewed_and_the_rest_is_named(tmp_path: Path, publish, missing: list[str]) -> None:
    publish(tmp_path / "gsstereo")
    contents = published_contents(ScenePaths.of(tmp_path), "cpu")
    assert not contents.is_empty
    assert [note.split("`")[1] for note in contents.notes] == [f"gsstereo {verb}" for verb in missing]


def test_broken_files_become_notes_and_the_rest_is_shown(tmp_path: Path) -> None:
    output = publish_everything(tmp_path) / "gsstereo"
    (output / "fit" / "splat.ply").write_bytes(b"ply\nnonsense")
    (output / "pairs" / "default" / "pairs.json").write_text('{"pairs": [{"sample_id": 5}]}')
    [first, *_] = sorted((output / "dataset" / "splat").glob("*.h5"))
    first.write_bytes(first.read_bytes()[:2000])
    contents = published_contents(ScenePaths.of(tmp_path), "cpu")
    assert contents.sparse is not None
    assert (contents.renderer, contents.rigs, contents.datasets) == (None, {}, {})
    assert all(name in note for name, note in zip(("splat.ply", "pairs.json", first.name), contents.notes, strict=True))


def test_unfinished_work_is_not_shown(tmp_path: Path) -> None:
    output = publish_everything(tmp_path) / "gsstereo"
    (output / "pairs" / "default").rename(output / "pairs" / "default.tmp-0123456789ab")
    assert published_contents(ScenePaths.of(tmp_path), "cpu").rigs == {}


def test_an_empty_scene_says_what_to_run(tmp_path: Path) -> None:
    contents = published_contents(ScenePaths.of(tmp_path), "cpu")
    assert contents.is_empty
    assert contents.notes[0] == "No cameras yet: run `gsstereo reconstruct`."
