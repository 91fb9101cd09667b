"""The examples of docs/fleet.md for Slurm, Kubernetes and AWS Batch, run as those systems run them.

The systems themselves are played: a script takes what is submitted and starts one process an index, in order.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs/fleet.md").read_text(encoding="utf-8")
SCENES, STAGES = ("attic", "barn"), ("reconstruct", "fit", "render-pairs", "label", "report")

GSSTEREO = """
import sys
sys.path[:0] = {path!r}
import toy_stages
from gs_stereo.cli.main import main
from gs_stereo.stages.registry import STAGES

for name in {stages!r}:  # the first one writes units, the others count them
    base, folder = (toy_stages.CountStage, "count") if name == "reconstruct" else (toy_stages.SumStage, name)
    stage = type(name, (base,), {{"name": name, "folder": lambda self, config, folder=folder: folder}})
    setattr(toy_stages, name, stage)
    STAGES.builtin[name] = f"toy_stages:{{name}}"
sys.exit(main())
"""
SBATCH = """
import os, re, subprocess, sys
words = sys.argv[1:]
first, last = re.search(r"--array=(\\d+)-(\\d+)", " ".join(words)).groups()
command = words[words.index("--wrap") + 1]
for index in range(int(first), int(last) + 1):
    subprocess.run(["sh", "-c", command], env={**os.environ, "SLURM_ARRAY_TASK_ID": str(index)}, check=True,
                   stdout=sys.stderr)
print(7)
"""
AWS = """
import json, os, subprocess, sys
import boto3
from moto import mock_aws

assert sys.argv[1] == "batch"
verb, words = sys.argv[2], sys.argv[3:]
given = dict(zip(words[::2], words[1::2], strict=True))  # a name without a value, or the other way round, fails
client = lambda name: boto3.client(name, "us-east-1")
pairs = lambda text: dict(part.split("=", 1) for part in text.split(","))
with mock_aws(config={"batch": {"use_docker": False}}):
    store = os.environ["DEFINITION"]
    if verb == "register-job-definition":
        definition = {"jobDefinitionName": given["--job-definition-name"], "type": given["--type"],
                      "containerProperties": json.loads(given["--container-properties"])}
        client("batch").register_job_definition(**definition)
        json.dump(definition, open(store, "w"))
        sys.exit()
    definition = json.load(open(store))
    vpc = client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    role = client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    place = client("batch").create_compute_environment(
        computeEnvironmentName="machines", type="UNMANAGED", state="ENABLED", serviceRole=role)["computeEnvironmentArn"]
    client("batch").create_job_queue(jobQueueName=given["--job-queue"], state="ENABLED", priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": place}])
    client("batch").register_job_definition(**definition)
    size = int(pairs(given["--array-properties"])["size"])
    assert given["--container-overrides"].startswith("command=")
    command = json.loads(given["--container-overrides"].removeprefix("command="))
    before = pairs(given.get("--depends-on", "jobId=7,type=N_TO_N"))
    client("batch").submit_job(jobName=given["--job-name"], jobQueue=given["--job-queue"],
        jobDefinition=given["--job-definition"], arrayProperties={"size": size},
        containerOverrides={"command": command})
    assert before == {"jobId": "7", "type": "N_TO_N"}
for index in range(size):
    subprocess.run(command, env={**os.environ, "AWS_BATCH_JOB_ARRAY_INDEX": str(index)}, check=True, stdout=sys.stderr)
print(7)
"""


def block(language: str, word: str) -> str:
    """The code block of the page that has a word in it."""
    [found] = [text for text in re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL) if word in text]
    return found


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with scenes and `jobs.json`, where `gsstereo`, `sbatch` and `aws` are commands; stages are toys."""
    for name in SCENES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "input.txt").write_text(name)
    paths = [str(ROOT), str(Path(__file__).parent)]
    (tmp_path / "bin").mkdir()
    scripts = {"gsstereo": GSSTEREO.format(path=paths, stages=STAGES), "sbatch": SBATCH, "aws": AWS}
    for name, text in scripts.items():
        path = tmp_path / "bin" / name
        path.write_text(f"#!{sys.executable}\n{text}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "x")
    monkeypatch.setenv("DEFINITION", str(tmp_path / "definition.json"))
    (tmp_path / "toy.yaml").write_text(f"stages: [{', '.join(f'{{stage: {name}}}' for name in STAGES)}]\n")
    shell(tmp_path, f"gsstereo fleet plan --config toy.yaml {' '.join(SCENES)} > jobs.json")
    return tmp_path


def shell(folder: Path, script: str) -> str:
    """What a script prints that has to go well."""
    done = subprocess.run(["bash", "-euc", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def finished(folder: Path) -> dict[str, int]:
    """Stage -> scenes that are done, as `fleet status` says."""
    said = json.loads(shell(folder, "gsstereo fleet status jobs.json --json"))
    return {row["stage"]: row["done"] for row in said["stages"]}


@pytest.mark.slow
def test_the_slurm_script_does_all_cells_in_order(cluster: Path) -> None:
    shell(cluster, block("bash", "sbatch").replace("$LAST", str(len(SCENES) - 1)))
    assert finished(cluster) == dict.fromkeys(STAGES, len(SCENES))


def kubernetes_job() -> dict[str, Any]:
    job: dict[str, Any] = yaml.safe_load(block("yaml", "JOB_COMPLETION_INDEX"))
    return job


@pytest.mark.skipif(find_spec("kubernetes_validate") is None, reason="kubernetes-validate is not installed")
@pytest.mark.filterwarnings("ignore")
def test_the_kubernetes_job_is_one_by_the_schema() -> None:
    import kubernetes_validate

    kubernetes_validate.validate(kubernetes_job(), "1.31", strict=True)
    wrong = {**kubernetes_job(), "spec": {**kubernetes_job()["spec"], "completionMode": 7}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.31", strict=True)


@pytest.mark.slow
def test_the_kubernetes_job_does_its_stage(cluster: Path) -> None:
    spec = kubernetes_job()["spec"]
    [container] = spec["template"]["spec"]["containers"]
    assert (spec["completionMode"], container["volumeMounts"][0]["mountPath"]) == ("Indexed", "/data")
    for stage in STAGES[:2]:
        words = [word.replace("/data/", f"{cluster}/").replace("fit", stage) for word in container["command"]]
        for index in range(len(SCENES)):
            subprocess.run(words, env={**os.environ, "JOB_COMPLETION_INDEX": str(index)}, check=True)
    assert finished(cluster) == dict.fromkeys(STAGES, 0) | dict.fromkeys(STAGES[:2], len(SCENES))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("moto") is None, reason="moto is not installed; see the extra dev")
def test_the_jobs_of_aws_batch_do_all_cells_in_order(cluster: Path) -> None:
    shell(cluster, block("bash", "submit-job").replace("size=50", f"size={len(SCENES)}"))
    assert finished(cluster) == dict.fromkeys(STAGES, len(SCENES))
