"""The command line: help with examples, exit codes, one-sentence errors, and that looking is cheap."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gs_stereo import __version__
from gs_stereo.cli.main import app

VERBS = [
    "run",
    "sample",
    "sample-pairs",
    "reconstruct",
    "import",
    "fit",
    "render-pairs",
    "rig-of",
    "synthesize",
    "label",
    "evaluate-labels",
    "evaluate-synthesis",
    "export",
    "view",
    "evaluate",
    "compare-on",
    "experiment",
    "report",
    "train",
    "train-synthesis",
    "status",
    "refresh",
    "audit",
    "advise",
    "doctor",
]
HEAVY = ("torch", "numpy", "cv2", "pycolmap", "open3d", "h5py", "pydantic")


def test_every_verb_is_known_and_no_other() -> None:
    assert sorted(command.name or "" for command in app.registered_commands) == sorted(VERBS)


@pytest.mark.parametrize("verb", [command.name for command in app.registered_commands])
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    result = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "80"})
    assert result.exit_code == 0
    assert f"Example: gsstereo {verb}" in result.output
    assert max(map(len, result.output.splitlines())) <= 80


def test_help_lists_every_verb_once_with_its_whole_sentence() -> None:
    output = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).output
    listed = [line.split()[0] for line in output.splitlines() if line.startswith("  ") and line[2:3].isalpha()]
    assert all(listed.count(verb) == 1 for verb in VERBS)
    assert "..." not in output.split("The whole way:")[1]
    titles = [line[:-1] for line in output.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles[:4] == ["Options", "The whole way", "Step by step", "Look and judge"]


def test_a_verb_lists_its_own_options_before_the_common_ones() -> None:
    output = CliRunner().invoke(app, ["fit", "--help"]).output
    own, shared = output.split("Common options:")
    assert "--iterations" in own
    assert "--dry-run" in shared


@pytest.mark.parametrize(
    ("verb", "honoured"),
    [
        ("sample", {"--set", "--seed", "--threads", "--json", "--quiet"}),
        ("sample-pairs", {"--set", "--seed", "--workers", "--threads", "--dry-run", "--json", "--quiet"}),
        ("evaluate", {"--out", "--preset", "--set", "--threads", "--dry-run", "--json", "--quiet"}),
        ("refresh", {"--out", "--workers", "--threads", "--dry-run", "--json", "--quiet"}),
        ("status", {"--out", "--preset", "--set", "--seed", "--json", "--quiet"}),
    ],
)
def test_verbs_that_are_no_stage_offer_only_what_they_honour(verb: str, honoured: set[str]) -> None:
    common = {"--out", "--preset", "--set", "--seed", "--force"}
    common |= {"--workers", "--threads", "--dry-run", "--json", "--quiet"}
    offered = set(CliRunner().invoke(app, [verb, "--help"]).output.replace(",", " ").split())
    assert offered & common == honoured
    refused = min(common - honoured)
    assert CliRunner().invoke(app, [verb, "x", refused]).exit_code == 2


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from gs_stereo.cli.main import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "[]"


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, gs_stereo; print([name for name in {HEAVY!r} if name in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


def test_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.strip() == __version__


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["fit", "{scene}", "--set", "iteration=5"], 2, "Unknown setting 'iteration' in the settings of fit"),
        (["fit", "{scene}", "--set", "iterations"], 2, "must look like stage.setting=value"),
        (["fit", "{scene}", "--preset", "nope"], 2, "There is no configs/fit/nope.yaml"),
        (["fit", "{scene}"], 3, "run `gsstereo reconstruct` first"),
        (["reconstruct", "{scene}/none"], 3, "does not exist; give a folder with photos"),
        (["run", "{scene}", "--set", "train.x=1"], 2, "has no stage 'train'"),
        (["run", "{scene}", "--config", "nope"], 2, "There is no pipelines/nope.yaml"),
        (["import", "{scene}"], 2, "Nothing to import"),
        (["render-pairs", "{scene}", "--name", "../x"], 2, "Setting 'name'"),
        (["label", "{scene}", "--expert", "nope"], 2, "nope"),
        (
            ["label", "{scene}", "--expert", "lite", "--set", "expert.scale=0.5"],
            2,
            "--set expert.scale names no setting, for expert is 'lite'; did you mean --set experts.lite.scale?",
        ),
        (["fit", "{scene}", "--iterations", "5", "--set", "iterations=6"], 2, "iterations is given twice"),
        (["label", "{scene}", "--expert", "sgbm", "--set", "experts.lite.scale=1"], 2, "where lite is asked, and sgbm"),
        (
            ["render-pairs", "{scene}", "--baseline", "0"],
            2,
            "In the settings of render-pairs something is wrong: every b",
        ),
        (
            ["run", "{scene}", "--set", "fit.mcmc.rounds=9"],
            2,
            "mcmc.rounds has an effect only with strategy=mcmc (fit)",
        ),
        (["evaluate", "foundationstereo", "--benchmark", "motorcycle"], 2, "--set experts.foundationstereo.NAME=VALUE"),
        (["evaluate", "lite", "--benchmark", "motorcycle", "--expert-repo", "x"], 2, "--expert-repo is for"),
        (["view", "{scene}"], 3, "There is nothing to see"),
        (["view", "{scene}", "--port", "70000"], 2, "Setting 'port' in the options of view"),
        (["evaluate", "nope", "--benchmark", "motorcycle"], 2, "There is no expert called 'nope'"),
        (["evaluate", "sgbm", "--benchmark", "nope"], 2, "There is no benchmark called 'nope'"),
        (["evaluate", "sgbm"], 2, "give --root"),
        (["evaluate", "sgbm", "--root", "{scene}"], 3, "No pair was found"),
        (["evaluate", "sgbm", "--root", "{scene}", "--missing", "x"], 2, "Setting 'missing'"),
        (["evaluate", "{scene}/none.onnx", "--benchmark", "motorcycle"], 3, "none.onnx"),
        (["fit", "--no-such-option"], 2, "No such option"),
        (["fit", "--iteration", "5"], 2, "No such option: --iteration (Possible options: --iterations)"),
        (["fitt"], 2, "No such command 'fitt'. Did you mean 'fit'?"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_right_exit_code(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    result = CliRunner().invoke(app, [argument.format(scene=tmp_path) for argument in arguments])
    assert result.exit_code == code, result.stderr
    assert message in result.stderr
    if not message.startswith("No such "):
        assert result.stderr.startswith("gsstereo: ")
        assert len(result.stderr.strip().splitlines()) == 1


def test_the_program_ends_with_the_code_and_the_sentence_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gs_stereo.cli.main", "fit", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("gsstereo: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_status_of_a_new_scene_names_what_is_missing(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.jpg").write_bytes(b"x")
    result = CliRunner().invoke(app, ["status", str(tmp_path), "--json"])
    states = {entry["stage"]: entry["state"] for entry in json.loads(result.stdout)}
    assert states == dict.fromkeys(("reconstruct", "fit", "render-pairs", "label", "report"), "missing")
    assert not (tmp_path / "gsstereo").exists()  # looking leaves no trace


def test_doctor_reports_every_check_as_json() -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 0, result.stderr
    checks = {check["topic"]: check for check in json.loads(result.stdout)["checks"]}
    assert checks["CPU engine"]["ok"], checks["CPU engine"]
    assert all(check["ok"] or check["advice"] for check in checks.values())
