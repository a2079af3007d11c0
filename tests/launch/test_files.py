"""The files of `launch/` as their readers read them: shells, Kubernetes, SkyPilot, Docker."""

import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
from typing import Any

import jsonschema
import pytest
import yaml

from tests.launch.schemas import JOBSET, TASK
from tests.launch.tiny import ROOT
from wamjax.cli.main import UNFINISHED

LAUNCH = ROOT / "launch"
SHELLS = sorted(
    path
    for folder in (LAUNCH, ROOT / "tests" / "launch")
    for path in folder.iterdir()
    if path.suffix in (".sh", ".sbatch")
)
DOCKERFILES = sorted(LAUNCH.glob("Dockerfile.*"))
JOBSETS = sorted(LAUNCH.glob("gke_jobset_*.yaml"))
CHIPS_OF_A_HOST = 4


def linter(name: str) -> str:
    """A linter of the dev extra."""
    beside = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    found = shutil.which(name, path=beside)
    if found is None:
        pytest.skip(f"no {name}; pip install -e '.[dev]'")
    return found


def ids(path: pathlib.Path) -> str:
    return path.name


def run_of(path: pathlib.Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", SHELLS, ids=ids)
def test_bash_reads_it(path: pathlib.Path):
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_shellcheck_finds_nothing():
    words = ["--external-sources", *[str(path) for path in SHELLS]]
    command = [linter("shellcheck"), *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    # What SkyPilot runs on every node is a script, too.
    task = run_of(LAUNCH / "skypilot.yaml")
    for part in ("setup", "run"):
        command = [linter("shellcheck"), "--shell=bash", "--exclude=SC2155,SC1091,SC2034", "-"]
        done = subprocess.run(command, input=task[part], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_hadolint_finds_nothing():
    command = [linter("hadolint"), *[str(path) for path in DOCKERFILES]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", DOCKERFILES, ids=ids)
def test_an_image_is_pinned_and_not_roots_and_holds_what_a_run_needs(path: pathlib.Path):
    lines = path.read_text().replace("\\\n", " ").splitlines()
    base = next(line.split()[1] for line in lines if line.startswith("FROM"))
    version = re.fullmatch(r"python:(3\.11)\.\d+-slim-bookworm", base)
    assert version is not None
    # The constraints are those of the image's Python.
    constraints = f"launch/constraints-py{version[1].replace('.', '')}.txt"
    assert any(f"--constraint {constraints}" in line for line in lines)
    copied = [name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]]
    assert {"setup.py", "README.md", "wamjax", "configs", constraints} <= {*copied}
    assert all((ROOT / name).exists() for name in copied)
    assert int(next(line.split()[1] for line in lines if line.startswith("USER"))) > 0
    extra = {"tpu": "tpu", "gpu": "cuda"}[path.suffix[1:]]
    assert any(f'".[{extra}]"' in line for line in lines)
    assert f'"{extra}": ' in (ROOT / "setup.py").read_text()


@pytest.mark.parametrize("path", JOBSETS, ids=ids)
def test_a_jobset_says_what_kubernetes_needs(path: pathlib.Path):
    run = run_of(path)
    jsonschema.validate(run, JOBSET)
    (job,) = run["spec"]["replicatedJobs"]
    spec = job["template"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]

    # All hosts or none; a host that ends badly ends its job at once, and the set restarts.
    assert spec["parallelism"] == spec["completions"] > 1
    assert spec["backoffLimit"] == 0
    assert run["spec"]["failurePolicy"]["maxRestarts"] >= 10
    # A wrong setting, and nothing else, ends the set.
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["containerName"] == container["name"]
    assert rule["onExitCodes"]["values"] == [2]
    assert UNFINISHED != 2
    (policy,) = run["spec"]["failurePolicy"]["rules"]
    assert policy["action"] == "FailJobSet"
    assert policy["onJobFailureReasons"] == ["PodFailurePolicy"]
    # SIGTERM reaches the process, and there is time for a save.
    assert container["command"] == ["wamjax", "train"]
    assert pod["terminationGracePeriodSeconds"] >= 300
    assert container["resources"]["requests"] == container["resources"]["limits"]
    mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
    assert mounts == {volume["name"] for volume in pod.get("volumes", [])}
    # Pods are named SET-JOB-REPLICA-INDEX-xxxxx; a name has 63 letters.
    assert len(f"{run['metadata']['name']}-{job['name']}-99-9999-xxxxx") <= 63


def test_the_tpu_jobset_has_as_many_hosts_as_its_topology():
    (job,) = run_of(LAUNCH / "gke_jobset_tpu.yaml")["spec"]["replicatedJobs"]
    pod = job["template"]["spec"]["template"]["spec"]
    topology = pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"]
    chips = math.prod(int(side) for side in topology.split("x"))
    hosts = job["template"]["spec"]["completions"]
    assert pod["containers"][0]["resources"]["limits"] == {"google.com/tpu": CHIPS_OF_A_HOST}
    assert chips == hosts * CHIPS_OF_A_HOST


def test_the_gpu_jobset_names_its_first_node_and_counts_its_nodes():
    run = run_of(LAUNCH / "gke_jobset_gpu.yaml")
    (job,) = run["spec"]["replicatedJobs"]
    spec = job["template"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    env = {one["name"]: one for one in container["env"]}
    name = run["metadata"]["name"]
    host, _, port = env["JAX_COORDINATOR_ADDRESS"]["value"].partition(":")
    assert host == f"{name}-{job['name']}-0-0.{name}"
    assert int(port) in [one["containerPort"] for one in container["ports"]]
    assert env["JAX_NUM_PROCESSES"]["value"] == str(spec["completions"])
    path = env["JAX_PROCESS_ID"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert path == "metadata.annotations['batch.kubernetes.io/job-completion-index']"


@pytest.mark.parametrize(
    "broken",
    [
        ("replicas: 1", "replics: 1"),
        ("restartPolicy: Never", "restartPolicy: Always"),
        ("terminationGracePeriodSeconds: 600", "terminationGracePeriod: 600"),
        ('value: "2"', "value: 2"),
    ],
    ids=lambda pair: pair[1],
)
def test_the_schema_refuses_what_kubernetes_refuses_or_drops(broken: tuple[str, str]):
    text = (LAUNCH / "gke_jobset_gpu.yaml").read_text()
    assert broken[0] in text
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text.replace(*broken)), JOBSET)


def test_the_skypilot_task_recovers_a_run_that_has_saved():
    task = run_of(LAUNCH / "skypilot.yaml")
    jsonschema.validate(task, TASK)
    recovery = task["resources"]["job_recovery"]
    assert recovery["recover_on_exit_codes"] == [UNFINISHED]


@pytest.mark.parametrize("name", ["hosts.sh", "ray_job.py"])
def test_exit_codes_are_those_of_the_command(name: str):
    text = (LAUNCH / name).read_text()
    found = re.search(r"UNFINISHED=(\d+) MISTAKE=(\d+)", text)
    found = found or re.search(r"UNFINISHED, MISTAKE, DIED = (\d+), (\d+), 1", text)
    assert found is not None
    assert [int(code) for code in found.groups()] == [UNFINISHED, 2]


def test_ray_is_given_what_its_client_takes():
    submission = pytest.importorskip(
        "ray.job_submission", reason="no ray; pip install 'ray[default]'"
    )
    import inspect

    from launch import ray_job

    args = ray_job.arguments().parse_args(["submit", "--hosts=2", "--", "--workdir", "x"])
    wanted = ray_job.job(args)
    inspect.signature(submission.JobSubmissionClient.submit_job).bind(None, **wanted)
    from ray.runtime_env import RuntimeEnv

    RuntimeEnv(**wanted["runtime_env"])
