"""What a terminal shows: completion of values, and tables that fit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gs_stereo.benchmarks.protocol import BENCHMARKS
from gs_stereo.cli import tables
from gs_stereo.cli.completion import CHOICES
from gs_stereo.cli.main import app
from gs_stereo.nets.protocol import NETS
from gs_stereo.splat.raster.protocol import RASTERIZERS


def completions(words: str) -> list[str]:
    """What bash would offer for the last word."""
    environment = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_GSSTEREO_COMPLETE": "complete_bash"}
    return CliRunner().invoke(app, [], prog_name="gsstereo", env=environment).output.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("gsstereo evaluate-", ["evaluate-labels"]),
        ("gsstereo label --expert s", ["splat", "sgbm"]),
        ("gsstereo fit --preset ", ["fast", "quality"]),
        ("gsstereo fit --strategy m", ["mcmc"]),
        ("gsstereo run --config sm", ["smoke"]),
        ("gsstereo render-pairs --views i", ["interpolate"]),
        ("gsstereo fit --iter", ["--iterations"]),
        ("gsstereo fit --backend g", ["gsplat"]),
        ("gsstereo reconstruct --matcher r", ["retrieval"]),
        ("gsstereo evaluate s", ["sgbm"]),
        ("gsstereo evaluate sgbm --benchmark kitti-", ["kitti-2012", "kitti-2015"]),
        ("gsstereo evaluate sgbm --missing f", ["fill"]),
        ("gsstereo experiment --benchmark mid", ["middlebury-2014", "middlebury-2021"]),
        ("gsstereo export --format k", ["kitti"]),
        ("gsstereo label --fuse mu", ["multibaseline"]),
        ("gsstereo train --net r", ["raft_stereo"]),
    ],
)
def test_the_shell_completes_verbs_options_and_values(words: str, offered: list[str]) -> None:
    assert set(offered) <= set(completions(words))


def test_names_that_are_written_out_are_those_of_the_registries() -> None:
    assert CHOICES["backend"]() == ["auto", *RASTERIZERS.names()]
    assert CHOICES["net"]() == NETS.names()


@pytest.mark.parametrize("verb", [command.name for command in app.registered_commands])
def test_help_names_the_choices(verb: str) -> None:
    output = "".join(CliRunner().invoke(app, [verb, "--help"]).output.split())  # a line may end within a name
    assert "{choices}" not in output
    if verb in ("evaluate", "experiment"):
        assert all(name in output for name in BENCHMARKS.names())


def test_the_shell_completes_what_the_scene_has(tmp_path: Path) -> None:
    for name in ("splat", "sgbm", "sgbm.tmp-1"):
        (tmp_path / "gsstereo" / "dataset" / name).mkdir(parents=True)
    assert completions(f"gsstereo evaluate-labels {tmp_path} --dataset s") == ["sgbm", "splat"]
    assert completions(f"gsstereo view {tmp_path} --dataset sp") == ["splat"]


def test_completion_loads_nothing_slow() -> None:
    code = (
        "import sys\nfrom gs_stereo.cli.main import app\ntry: app(prog_name='gsstereo')\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'cv2', 'pycolmap', 'open3d', 'h5py', 'viser') if name in sys.modules])"
    )
    environment = {
        **os.environ,
        "COMP_WORDS": "gsstereo label --expert ",
        "COMP_CWORD": "3",
        "_GSSTEREO_COMPLETE": "complete_bash",
    }
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split("\n")
    assert output[-2] == "[]"
    assert "sgbm" in output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_script(shell: str) -> None:
    result = CliRunner().invoke(app, [], prog_name="gsstereo", env={"_GSSTEREO_COMPLETE": f"source_{shell}"})
    assert result.exit_code == 0
    assert "_GSSTEREO_COMPLETE" in result.output
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=result.output, text=True, check=True)


ROWS = [["fit", "9.5 s", "a long text about what came out of it, with more words than there is room for"]]


def test_a_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(tables.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    tables.print_table(["stage", "time", "result"], ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    assert len(lines) == 4
    assert " ".join(line[14:] for line in lines[2:]) == ROWS[0][2]


def test_a_table_in_a_file_keeps_its_rows_whole(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_table(["stage", "time", "result"], ROWS)
    assert capsys.readouterr().out.splitlines()[2].endswith(ROWS[0][2])


def test_memory_is_readable() -> None:
    assert [tables.memory(size << 20) for size in (5, 1023, 1600)] == ["5 MiB", "1023 MiB", "1.6 GiB"]
