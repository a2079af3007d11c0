"""Every file of `launch/` ends in `wamjax train` with the flags it was given, on every host, and
tells each who the others are. The cloud's own commands are stood in for by scripts that record."""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.launch.tiny import ROOT
from wamjax.cli import config_file
from wamjax.cli.main import parser, split_overrides

LAUNCH = ROOT / "launch"
# What a shell likes to take apart stays together.
FLAGS = [
    "--config",
    "configs/bridge_tiny.py",
    "--config.data.dir=gs://bucket/a b",
    "--workdir",
    "gs://bucket/runs/x",
    "--config.train.augment.crop_area=(0.8, 1.0)",
]
NAMES = ["--config", "--config.data.dir", "--workdir"]
BY_HAND = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")

Call = dict[str, Any]
Calls = list[Call]

RECORD = """#!{python}
import json, os, pathlib, sys, time
folder = pathlib.Path(os.environ["RECORD"])
name = pathlib.Path(sys.argv[0]).name
call = {{"argv": sys.argv[1:], "env": dict(os.environ)}}
(folder / f"{{name}}-{{time.time_ns()}}-{{os.getpid()}}.json").write_text(json.dumps(call))
"""
STANDS_IN = {
    # srun OPTIONS wamjax ...: two tasks.
    "srun": """#!/bin/bash
while [[ "$1" == --* ]]; do shift; done
"$@"; "$@" """,
    "gcloud": """#!/bin/bash
echo "$*" >>"$RECORD/gcloud.txt"
for word in "$@"; do
  case "$word" in startup-script=*) cp "${word#*=}" "$RECORD/startup.sh" ;; esac
done
case "$*" in
  *describe*) cat "$RECORD/state" && echo READY >"$RECORD/state" ;;
  *final.json) [ "$(wc -l <"$RECORD/gcloud.txt")" -gt 6 ] ;;
esac """,
    # docker run OPTIONS IMAGE wamjax ...
    "docker": """#!/bin/bash
[ "$1" = run ] || exit 0
echo "$*" >>"$RECORD/docker.txt"
while [ "$1" != wamjax ] || [ "$2" != train ]; do shift; done
exec "$@" """,
}


class Desk:
    """A folder of commands that record, and what they recorded."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        # Python without its site packages starts fast.
        for name in ("wamjax", "xpk", "sbatch", "scontrol"):
            self.script(name, RECORD.format(python=f"{sys.executable} -ISs"))
        for name, text in STANDS_IN.items():
            self.script(name, text)
        self.env = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(("JAX_", "SLURM_", "XLA_"))
        }
        self.env |= {"RECORD": str(folder), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}

    def script(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def run(self, *command: str, **env: str) -> str:
        done = subprocess.run(
            command, cwd=ROOT, env=self.env | env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def calls(self, name: str = "wamjax") -> Calls:
        found = [
            json.loads(path.read_text()) for path in sorted(self.folder.glob(f"{name}-*.json"))
        ]
        return sorted(found, key=lambda call: call["env"].get("JAX_PROCESS_ID", ""))


@pytest.fixture
def desk(tmp_path: pathlib.Path) -> Desk:
    return Desk(tmp_path)


def local(desk: Desk) -> Calls:
    desk.run("bash", "launch/local.sh", "3", *FLAGS, LOGS=str(desk.folder / "logs"))
    return desk.calls()


def slurm(desk: Desk) -> Calls:
    job = {"SLURM_SUBMIT_DIR": str(ROOT), "SLURM_JOB_ID": "7", "SLURM_NTASKS": "2"}
    desk.run("bash", "launch/slurm.sbatch", *FLAGS, **job, SLURM_JOB_NODELIST="a,b")
    return desk.calls()


def xpk(desk: Desk) -> Calls:
    where = {"CLUSTER": "c", "PROJECT": "p", "ZONE": "z", "IMAGE": "i/wamjax-tpu:1"}
    desk.run("bash", "launch/xpk.sh", "bridge", *FLAGS, **where)
    argv = desk.calls("xpk")[0]["argv"]
    assert argv[:2] == ["workload", "create"]
    named = dict(zip(argv[2::2], argv[3::2]))
    assert named["--cluster"] == "c"
    assert named["--docker-image"] == "i/wamjax-tpu:1"
    # XPK hands the command to a shell in each host's container.
    for _ in range(2):
        desk.run("bash", "-c", named["--command"])
    return desk.calls()


def queued_resource(desk: Desk) -> Calls:
    where = {"PROJECT": "p", "ZONE": "z", "IMAGE": "i.pkg.dev/p/r/wamjax-tpu:1"}
    desk.run("bash", "launch/queued_resource.sh", "bridge", *FLAGS, **where)
    # Every host runs the start-up script.
    for _ in range(2):
        desk.run("bash", str(desk.folder / "startup.sh"))
    return desk.calls()


def skypilot(desk: Desk) -> Calls:
    task = yaml.safe_load((LAUNCH / "skypilot.yaml").read_text())
    more = FLAGS[-1].replace(" ", "")
    given = {"CONFIG": FLAGS[1], "DATA": "gs://bucket/a b", "WORKDIR": FLAGS[4], "MORE": more}
    assert given.keys() <= task["envs"].keys()
    for rank in range(2):
        node = {"SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2", "SKYPILOT_NUM_NODES": "2"}
        desk.run("bash", "-c", task["run"], **given, **node, SKYPILOT_NODE_RANK=str(rank))
    return desk.calls()


def ray(desk: Desk) -> Calls:
    script = [sys.executable, "-ISs", "launch/ray_job.py"]
    told = desk.run(*script, "submit", "--hosts=2", "--gpus=8", "--dry-run", "--", *FLAGS)
    wanted = json.loads(told)
    assert wanted["runtime_env"]["working_dir"] == str(ROOT)
    start = (
        "import shlex, sys; sys.path.insert(0, 'launch'); import ray_job;"
        "args = ray_job.arguments().parse_args(shlex.split(sys.argv[1])[2:]);"
        "assert ray_job.bundle(args) == {'CPU': 1.0, 'GPU': 8.0};"
        "host = ray_job.Host(); [(host.start(args.flags, '10.0.0.1:80', args.hosts, index),"
        "host.process.wait()) for index in range(args.hosts)]"
    )
    desk.run(sys.executable, "-Ss", "-c", start, wanted["entrypoint"])
    return desk.calls()


def jobset(name: str) -> Callable[[Desk], Calls]:
    def pods(desk: Desk) -> Calls:
        job = yaml.safe_load((LAUNCH / name).read_text())["spec"]["replicatedJobs"][0]
        for index in range(job["template"]["spec"]["completions"])[:2]:
            (container,) = job["template"]["spec"]["template"]["spec"]["containers"]
            # The completion index is the one value that Kubernetes fills in.
            env = {one["name"]: one.get("value", str(index)) for one in container.get("env", [])}
            desk.run(*container["command"], *container["args"], **env)
        return desk.calls()

    return pods


TAKES_FLAGS = {
    "local.sh": (local, 3),
    "slurm.sbatch": (slurm, None),
    "xpk.sh": (xpk, None),
    "queued_resource.sh": (queued_resource, None),
    "ray_job.py": (ray, 2),
}
HOLDS_FLAGS = {
    "skypilot.yaml": (skypilot, 2),
    "gke_jobset_gpu.yaml": (jobset("gke_jobset_gpu.yaml"), 2),
    "gke_jobset_tpu.yaml": (jobset("gke_jobset_tpu.yaml"), None),
}
NO_RUN = {
    "quickstart.sh",
    "test.sh",
    "environment.sh",
    "hosts.sh",
    "Dockerfile.tpu",
    "Dockerfile.gpu",
    "README.md",
    "constraints-py311.txt",
    "dataflow_prepare.sh",
}


def test_no_file_is_forgotten():
    names = {path.name for path in LAUNCH.iterdir() if path.is_file()}
    assert names <= TAKES_FLAGS.keys() | HOLDS_FLAGS.keys() | NO_RUN
    assert TAKES_FLAGS.keys() | HOLDS_FLAGS.keys() <= names


@pytest.mark.parametrize("name", [*TAKES_FLAGS, *HOLDS_FLAGS])
def test_every_host_runs_wamjax_train_with_the_same_flags(name: str, desk: Desk):
    start, by_hand = (TAKES_FLAGS | HOLDS_FLAGS)[name]
    calls = start(desk)
    assert len(calls) == (by_hand or 2)
    for index, call in enumerate(calls):
        verb, *flags = call["argv"]
        assert verb == "train"
        if name in TAKES_FLAGS:
            assert flags == FLAGS
        # What stands in the file is accepted by the command line.
        plain, overrides = split_overrides(call["argv"])
        args = parser("train").parse_args(plain)
        assert str(args.config) == "configs/bridge_tiny.py"
        assert {flag.split("=")[0] for flag in flags if flag.startswith("--")} >= {*NAMES}
        config_file.load(str(ROOT / args.config), overrides)
        told = {key: call["env"].get(key) for key in BY_HAND}
        if by_hand is None:
            assert set(told.values()) == {None}
        else:
            address = calls[0]["env"]["JAX_COORDINATOR_ADDRESS"]
            assert address.rpartition(":")[2].isdecimal()
            assert told == dict(zip(BY_HAND, (address, str(by_hand), str(index))))


def test_a_slice_that_is_taken_away_is_asked_for_again(desk: Desk):
    (desk.folder / "state").write_text("SUSPENDED\n")
    where = {"PROJECT": "p", "ZONE": "z", "IMAGE": "i.pkg.dev/p/r/w:1", "LOOK_EVERY": "0"}
    words = ["launch/queued_resource.sh", "bridge", *FLAGS]
    told = desk.run("bash", *words, **where, SPOT="1", SLICES="2")
    lines = (desk.folder / "gcloud.txt").read_text().splitlines()
    asked = [line.split()[3] for line in lines if "queued-resources" in line]
    assert asked == ["create", "describe", "delete", "create", "describe", "delete"]
    assert all("--spot" in line for line in lines if "queued-resources create" in line)
    assert "--node-count 2 --node-prefix bridge" in lines[0]
    assert "bridge is SUSPENDED; asking again" in told
    assert told.endswith("finished; giving the slice back\n")


@pytest.mark.parametrize(("code", "tries"), [("2", 1), ("75", 2)])
def test_a_tpu_host_tries_again_unless_a_setting_is_wrong(desk: Desk, code: str, tries: int):
    where = {"PROJECT": "p", "ZONE": "z", "IMAGE": "i.pkg.dev/p/r/w:1"}
    desk.run("bash", "launch/queued_resource.sh", "bridge", *FLAGS, **where)
    # The first visit ends with the code, the second is well.
    desk.script(
        "wamjax", f'#!/bin/bash\n[ -e "$RECORD/once" ] || {{ touch "$RECORD/once"; exit {code}; }}'
    )
    desk.script("sleep", "#!/bin/bash")
    startup = ["bash", str(desk.folder / "startup.sh")]
    done = subprocess.run(startup, env=desk.env, capture_output=True, timeout=60)
    assert done.returncode == (2 if code == "2" else 0)
    assert len((desk.folder / "docker.txt").read_text().splitlines()) == tries


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["launch/local.sh"], "N is ''"),
        (["launch/local.sh", "two", *FLAGS], "N is 'two'"),
        (["launch/local.sh", "2", "--config", "x"], "there is no --workdir"),
        (["launch/xpk.sh", "name"], "usage:"),
        (["launch/queued_resource.sh", "name", "--workdir", "runs/x"], "give a bucket"),
        (["launch/slurm.sbatch", *FLAGS], "submit this file with sbatch"),
    ],
)
def test_a_call_that_makes_no_sense_starts_nothing(desk: Desk, command, sentence):
    env = desk.env | {"PROJECT": "p", "ZONE": "z", "IMAGE": "i"}
    done = subprocess.run(
        ["bash", *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert sentence in done.stderr
    assert not desk.calls()
