"""FoundationStereo in a child process, with a stand-in checkout: results, options, and every way to fail."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stand_in_expert import MISBEHAVIOUR, InProcessChild, make_checkout, make_checkpoint
from tiny_onnx import textured_pair

from gs_stereo.config import means_of, without
from gs_stereo.core.hashing import sha256_file
from gs_stereo.errors import InputError, PluginError, StageError
from gs_stereo.matching import foundation_stereo
from gs_stereo.matching.foundation_stereo import FoundationStereoMatcher, checkout_commit
from gs_stereo.matching.foundation_stereo_config import FoundationStereoConfig

SIZE = (50, 100)


def config(folder: Path, **settings: Any) -> FoundationStereoConfig:
    values: dict[str, Any] = {
        "expert_repo": folder / "repo",
        "expert_python": sys.executable,
        "checkpoint": folder / "weights" / "model_best_bp2.pth",
        "device": "cpu",
        "start_timeout_s": 120,
        "pair_timeout_s": 120,
        **settings,
    }
    return FoundationStereoConfig(**values)


def bad_pair(how: str) -> tuple[np.ndarray, np.ndarray]:
    left, right = textured_pair(SIZE, 5.0)
    left = left.copy()
    left[0, 0] = (MISBEHAVIOUR[how], 0, 0)
    return left, right


def inner(disparity: np.ndarray) -> np.ndarray:
    return disparity[4:-4, 26:-4]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("expert")
    make_checkout(made / "repo")
    make_checkpoint(made / "weights")
    return made


@pytest.fixture(scope="module")
def matcher(folder: Path) -> Iterator[FoundationStereoMatcher]:
    """The real thing: a child process."""
    with closing(FoundationStereoMatcher(config(folder, batch_size=2))) as expert:
        yield expert


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run the worker's code in this process; what it imports from the checkout is forgotten afterwards."""
    monkeypatch.setattr(foundation_stereo, "Child", InProcessChild)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    for name in [each for each in sys.modules if each.split(".")[0] in ("core", "omegaconf")]:
        del sys.modules[name]


def test_it_finds_the_disparity_and_leaves_its_inputs_alone(matcher: FoundationStereoMatcher, folder: Path) -> None:
    left, right = textured_pair(SIZE, 7.0)
    before = left.copy(), right.copy()
    prediction = matcher.predict(left, right)
    assert prediction.disparity.shape == SIZE
    assert prediction.disparity.dtype == np.float32
    assert prediction.confidence is None
    np.testing.assert_array_equal(inner(prediction.disparity), 7.0)
    np.testing.assert_array_equal((left, right), before)
    assert not list((folder / "repo").rglob("__pycache__")), "nothing is written into the checkout"


def test_batches_keep_the_order(matcher: FoundationStereoMatcher) -> None:
    truths = [3.0, 4.0, 5.0, 6.0, 7.0]
    predictions = matcher.left_disparities([textured_pair(SIZE, truth) for truth in truths], None)
    for disparity, prediction in zip(truths, predictions, strict=True):
        assert prediction.disparity.shape == SIZE
        np.testing.assert_array_equal(inner(prediction.disparity), disparity)


def test_the_right_disparity_comes_from_flipping(matcher: FoundationStereoMatcher) -> None:
    left, right = matcher.predict_both(*textured_pair(SIZE, 7.0))
    np.testing.assert_array_equal(inner(left.disparity), 7.0)
    np.testing.assert_array_equal(right.disparity[4:-4, 4:-26], 7.0)


def test_after_a_crash_the_next_pair_works(matcher: FoundationStereoMatcher) -> None:
    done = matcher.predict(*textured_pair(SIZE, 3.0))
    with pytest.raises(StageError, match=r"ended with code 3 \(its log ends with: .*giving up"):
        matcher.predict(*bad_pair("exit"))
    np.testing.assert_array_equal(inner(done.disparity), 3.0)
    np.testing.assert_array_equal(inner(matcher.predict(*textured_pair(SIZE, 5.0)).disparity), 5.0)
    # The same new child, so that the test starts only one more: a refusal comes through the pipe with its reason.
    with pytest.raises(StageError, match=r"ran out of memory .*CUDA out of memory.*foundationstereo.scale=0.5"):
        matcher.predict(*bad_pair("out_of_memory"))


def test_a_closed_expert_can_be_used_again(folder: Path, in_process: None) -> None:
    expert = FoundationStereoMatcher(config(folder))
    first = expert.predict(*textured_pair(SIZE, 3.0)).disparity
    expert.close()
    expert.close()
    np.testing.assert_array_equal(expert.predict(*textured_pair(SIZE, 3.0)).disparity, first)


def test_scale_and_the_left_right_check(folder: Path, in_process: None) -> None:
    left, right = textured_pair((100, 200), 12.0)
    left = left.copy()
    left[40:64, 100:140] = np.random.default_rng(0).integers(0, 256, (24, 40, 3))  # in no right image
    free = FoundationStereoMatcher(config(folder, scale=0.5)).predict(left, right).disparity
    expert = FoundationStereoMatcher(config(folder, scale=0.5, left_right_px=1.0))
    checked = expert.predict(left, right).disparity
    odd = expert.predict(*textured_pair((75, 149), 10 * 149 / 74)).disparity
    assert checked.shape == (100, 200)
    np.testing.assert_array_equal(checked[70:90, 60:180], 12.0)
    assert np.isfinite(free).all()
    assert np.isnan(checked[46:58, 106:134]).mean() > 0.5
    assert odd.shape == (75, 149)  # 74 px wide at the net: the ratio is exact, not 1 / scale
    assert np.nanmedian(odd) == pytest.approx(10 * 149 / 74)


def test_hierarchical_iterations_and_range_reach_the_net(folder: Path, in_process: None) -> None:
    settings = config(folder, hierarchical=True, valid_iters=5, max_disparity_px=16)
    disparity = FoundationStereoMatcher(settings).predict(*textured_pair((64, 128), 20.0)).disparity
    assert np.median(disparity[8:-8, 50:-8]) == 20.0  # beyond 16 px, so it was found at half resolution


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("wrong_shape", r"gave no disparity map .*\(1, 1, 8, 8\)"),
        ("no_tensor", "gave no disparity map .*list"),
        ("raise", "ValueError: a bug of the net; its log ends with: the log"),
    ],
)
def test_a_failure_is_one_sentence_and_a_new_child_follows(
    folder: Path, in_process: None, how: str, words: str
) -> None:
    expert = FoundationStereoMatcher(config(folder))
    before = InProcessChild.started
    with pytest.raises(StageError, match=words):
        expert.predict(*bad_pair(how))
    np.testing.assert_array_equal(inner(expert.predict(*textured_pair(SIZE, 5.0)).disparity), 5.0)
    assert InProcessChild.started == before + 2


class Runner:
    """Pickles into a call that creates a folder."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def test_a_checkpoint_that_could_run_code_needs_the_flag(folder: Path, tmp_path: Path, in_process: None) -> None:
    marker = tmp_path / "executed"
    path = make_checkpoint(tmp_path / "weights", {"model": {"gain": torch.ones(1)}, "extra": Runner(str(marker))})
    with pytest.raises(InputError, match=r"mkdir.*could run any code .*allow_unsafe_pickle"):
        FoundationStereoMatcher(config(folder, checkpoint=path)).predict(*textured_pair(SIZE, 5.0))
    assert not marker.exists()
    expert = FoundationStereoMatcher(config(folder, checkpoint=path, allow_unsafe_pickle=True))
    np.testing.assert_array_equal(inner(expert.predict(*textured_pair(SIZE, 5.0)).disparity), 5.0)
    assert marker.exists()


def test_a_whole_module_needs_the_flag_and_then_works(folder: Path, tmp_path: Path, in_process: None) -> None:
    """The layout of Fast-FoundationStereo."""
    path = make_checkpoint(tmp_path / "weights")
    opened = FoundationStereoMatcher(config(folder, checkpoint=path))
    opened.predict(*textured_pair(SIZE, 5.0))  # makes the checkout importable
    module, omegaconf = importlib.import_module("core.foundation_stereo"), importlib.import_module("omegaconf")
    args = omegaconf.OmegaConf.load(path.parent / "cfg.yaml")
    args.update(vit_size="vitl", valid_iters=99)
    torch.save(module.FoundationStereo(args), path)
    with pytest.raises(InputError, match=r"core\.foundation_stereo.*allow_unsafe_pickle"):
        FoundationStereoMatcher(config(folder, checkpoint=path)).predict(*textured_pair(SIZE, 5.0))
    expert = FoundationStereoMatcher(config(folder, checkpoint=path, allow_unsafe_pickle=True, valid_iters=8))
    np.testing.assert_array_equal(inner(expert.predict(*textured_pair(SIZE, 5.0)).disparity), 5.0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"epoch": 3}, "it holds no 'model'"),
        ({"model": {"other.weight": torch.ones(2)}}, "state_dict"),
        (b"garbage", "cannot be used"),
        (b"PK\x03\x04" + bytes(200), "cannot be used"),
    ],
)
@pytest.mark.parametrize("unsafe", [False, True])
def test_a_wrong_checkpoint_is_an_input_error(
    folder: Path, tmp_path: Path, in_process: None, content: Any, words: str, unsafe: bool
) -> None:
    path = make_checkpoint(tmp_path / "weights", content if isinstance(content, dict) else None)
    if isinstance(content, bytes):
        path.write_bytes(content)
    expert = FoundationStereoMatcher(config(folder, checkpoint=path, allow_unsafe_pickle=unsafe))
    with pytest.raises(InputError, match=words):
        expert.predict(*textured_pair(SIZE, 5.0))


def test_missing_parts_are_named_before_anything_starts(folder: Path, tmp_path: Path) -> None:
    for settings, words in (
        ({"expert_repo": tmp_path}, "core/foundation_stereo.py"),
        ({"checkpoint": tmp_path / "none.pth"}, "none.pth"),
        ({"expert_python": "no-such-python"}, "expert_python"),
    ):
        with pytest.raises(InputError, match=words):
            FoundationStereoMatcher(config(folder, **settings))
    alone = tmp_path / "alone.pth"
    alone.touch()
    with pytest.raises(InputError, match="it is empty: copy it again"):
        FoundationStereoMatcher(config(folder, checkpoint=alone))
    alone.write_bytes(b"a net")
    with pytest.raises(InputError, match=r"cfg\.yaml"):
        FoundationStereoMatcher(config(folder, checkpoint=alone))


@pytest.mark.parametrize("name", ["model_best_bp2.pth", "cfg.yaml"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "it is a web page"),
    ],
)
def test_a_download_that_went_wrong_is_told_before_anything_starts(
    folder: Path, tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    path = make_checkpoint(tmp_path / "weights")
    path.with_name(name).write_bytes(content)
    with pytest.raises(InputError, match=told):
        FoundationStereoMatcher(config(folder, checkpoint=path))


@pytest.mark.parametrize("content", [b"garbage", b"", b"PK\x03\x04" + bytes(200)])
def test_no_message_advises_to_load_a_broken_file_without_care(
    folder: Path, tmp_path: Path, in_process: None, content: bytes
) -> None:
    path = make_checkpoint(tmp_path / "weights")
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be used") as caught:
        FoundationStereoMatcher(config(folder, checkpoint=path)).predict(*textured_pair(SIZE, 5.0))
    assert "weights_only" not in str(caught.value)
    assert "allow_unsafe_pickle" not in str(caught.value)


def test_weights_of_another_size_of_net_are_named_with_it(folder: Path, tmp_path: Path, in_process: None) -> None:
    path = make_checkpoint(tmp_path / "weights", {"model": {"gain": torch.ones(2)}})
    with pytest.raises(InputError, match="with vit_size vitl: size mismatch for gain"):
        FoundationStereoMatcher(config(folder, checkpoint=path)).predict(*textured_pair(SIZE, 5.0))


@pytest.mark.parametrize("text", ["max_disp: [", "[1, 2]", "vit_size: vits\n"])
def test_a_fault_in_cfg_yaml_is_named(folder: Path, tmp_path: Path, in_process: None, text: str) -> None:
    path = make_checkpoint(tmp_path / "weights")
    path.with_name("cfg.yaml").write_text(text)
    with pytest.raises(InputError, match=r"cfg\.yaml cannot be used"):
        FoundationStereoMatcher(config(folder, checkpoint=path)).predict(*textured_pair(SIZE, 5.0))


def test_code_and_cfg_decide_the_labels_and_places_and_timeouts_do_not(folder: Path, tmp_path: Path) -> None:
    repo, weights = make_checkout(tmp_path / "repo"), make_checkpoint(tmp_path / "weights")
    settings = config(folder, expert_repo=repo, checkpoint=weights)
    names = settings.external_files()
    assert {"(checkpoint)", "(cfg.yaml)", "(checkout) core/foundation_stereo.py"} <= names.keys()
    means = means_of(settings)
    other = config(folder, expert_repo=repo, checkpoint=weights, pair_timeout_s=9, expert_python="/usr/bin/python3")
    slower = config(folder, expert_repo=repo, checkpoint=weights, valid_iters=9)
    decided = [without(each.model_dump(mode="json"), means) for each in (settings, other, slower)]
    assert decided[0] == decided[1] != decided[2]


def test_an_environment_that_lacks_something_is_a_plugin_error(folder: Path, tmp_path: Path, in_process: None) -> None:
    repo = make_checkout(tmp_path / "repo")
    net = repo / "core" / "foundation_stereo.py"
    net.write_text("import timm_that_is_not_installed\n" + net.read_text())
    with pytest.raises(PluginError, match="timm_that_is_not_installed"):
        FoundationStereoMatcher(config(folder, expert_repo=repo)).predict(*textured_pair(SIZE, 5.0))


def test_provenance_carries_the_licence_the_commit_and_the_weights(folder: Path, tmp_path: Path) -> None:
    provenance = FoundationStereoMatcher(config(folder, scale=0.5)).provenance
    assert provenance.name == "foundationstereo"
    assert provenance.version == "unknown"
    assert "NVIDIA" in provenance.licence
    assert "non-commercial" in provenance.licence
    assert provenance.weights_sha256 == sha256_file(folder / "weights" / "model_best_bp2.pth")
    assert provenance.settings["scale"] == 0.5
    assert provenance.settings["cfg_sha256"] == sha256_file(folder / "weights" / "cfg.yaml")
    assert str(folder) not in str(provenance)


def test_the_commit_is_read_from_loose_packed_and_detached_heads(tmp_path: Path) -> None:
    commit, git = "0123456789abcdef0123456789abcdef01234567", tmp_path / ".git"
    assert checkout_commit(tmp_path) is None
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/master\n")
    assert checkout_commit(tmp_path) is None
    (git / "packed-refs").write_text(f"# pack-refs with: peeled\n{commit} refs/heads/master\n")
    assert checkout_commit(tmp_path) == commit
    (git / "refs" / "heads" / "master").write_text("f" * 40 + "\n")
    assert checkout_commit(tmp_path) == "f" * 40
    (git / "HEAD").write_text(commit + "\n")
    assert checkout_commit(tmp_path) == commit
    (git / "HEAD").write_text("rm -rf\n")
    assert checkout_commit(tmp_path) is None


def test_the_commit_of_a_worktree(tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    home = tmp_path / "main" / ".git"
    (home / "worktrees" / "w").mkdir(parents=True)
    (home / "worktrees" / "w" / "HEAD").write_text("ref: refs/heads/topic\n")
    (home / "worktrees" / "w" / "commondir").write_text("../..\n")
    (home / "refs" / "heads").mkdir(parents=True)
    (home / "refs" / "heads" / "topic").write_text(commit + "\n")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {home / 'worktrees' / 'w'}\n")
    assert checkout_commit(tree) == commit
