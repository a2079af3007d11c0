"""`sbatch launch/slurm.sbatch` on a cluster of one node: two tasks train, hear SIGTERM, save at the
same step, are requeued, go on, and end with the weights of the run that nobody disturbed."""

import os
import pathlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.launch.tiny import ROOT, environment, make
from wamjax.core.files import read_json
from wamjax.train.metrics import read_metrics

PROGRAMS = ("sbatch", "slurmctld", "slurmd", "munged")
SEARCH = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        any(shutil.which(name, path=SEARCH) is None for name in PROGRAMS),
        reason="no SLURM here; apt-get install slurm-wlm munge",
    ),
]


class Cluster:
    """SLURM's commands, and files in one folder."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.flags = folder, make(folder)
        self.env = environment(SLURM_CONF=str(folder / "slurm" / "slurm.conf"), HOME=str(folder))

    def __call__(self, *command: str) -> str:
        done = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr, self.told())
        return done.stdout

    def submit(self, name: str, *options: str, steps: int = 60) -> tuple[str, pathlib.Path]:
        """(job, workdir) of a run of two tasks."""
        workdir = self.folder / name
        output = f"--output={self.folder}/{name}.out"
        words = ["--parsable", output, *options, "launch/slurm.sbatch", *self.flags]
        words += [f"--config.train.steps={steps}", "--workdir", str(workdir)]
        return self("sbatch", *words).strip(), workdir

    def told(self, name: str = "*") -> str:
        return "\n".join(path.read_text() for path in self.folder.glob(f"{name}.out"))


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    script, folder = ROOT / "tests" / "launch" / "local_slurm.sh", cluster.folder / "slurm"
    # The cluster lasts until `cat` has nothing more to read.
    process = subprocess.Popen(
        ["bash", str(script), "cat"],
        env={**cluster.env, "SLURM_LOCAL": str(folder)},
        stdin=subprocess.PIPE,
    )
    wait(lambda: (folder / "slurm.conf").is_file() and up(cluster), cluster, 60)
    yield cluster
    process.communicate(timeout=120)


def up(cluster: Cluster) -> bool:
    command = ["sinfo", "--noheader", "--format=%t"]
    done = subprocess.run(command, env=cluster.env, capture_output=True, text=True)
    return done.stdout.strip() == "idle"


def wait(condition: Callable[[], bool], cluster: Cluster, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, cluster.told()
        time.sleep(0.2)


def last_step(workdir: pathlib.Path) -> int:
    if not (workdir / "metrics.jsonl").is_file():
        return 0
    return max((row["step"] for row in read_metrics(workdir)), default=0)


def gone(job: str, cluster: Cluster) -> bool:
    return job not in cluster("squeue", "--noheader", "--format=%i").split()


def left_by_themselves(told: str) -> bool:
    """Whether both tasks of the first visit had saved and were not killed."""
    ends = re.findall(r"srun: error: \S+ tasks? ([\d,-]+): (.*)", told)
    tasks = {task for which, _ in ends for task in re.findall(r"\d", which)}
    return tasks == {"0", "1"} and {how for _, how in ends} == {"Exited with exit code 75"}


@pytest.fixture(scope="module")
def whole(slurm: Cluster) -> dict:
    job, workdir = slurm.submit("whole")
    wait(lambda: gone(job, slurm), slurm)
    assert "slurm: finished" in slurm.told("whole")
    return read_json(workdir / "final.json")


@pytest.mark.parametrize(
    "ask",
    [
        # What a time limit (--signal) and a preemption send to the tasks.
        ("scancel", "--signal=TERM"),
        # What an administrator or a user does; the batch script hears it, too.
        ("scontrol", "requeue"),
    ],
    ids=["signal", "requeue"],
)
def test_two_tasks_that_are_asked_to_end_go_on_with_the_same_bits(slurm, whole, ask):
    name = ask[0]
    job, workdir = slurm.submit(name)
    wait(lambda: last_step(workdir) >= 10, slurm)
    slurm(*ask, job)
    wait(lambda: gone(job, slurm), slurm)
    told = slurm.told(name)
    stopped = int(re.findall(r"0: train: stopped at step (\d+) of 60, saved", told)[0])
    assert 10 <= stopped < 60
    assert left_by_themselves(told)
    assert f"slurm: job {job}, visit 2: 2 tasks" in told
    assert f"0: train: goes on from step {stopped} of 60" in told
    assert "slurm: finished" in told
    final = read_json(workdir / "final.json")
    for name in ("step", "state_sha256", "weights_sha256"):
        assert final[name] == whole[name]


def test_a_time_limit_sends_the_job_back_into_the_queue(slurm):
    # SLURM may signal a minute early: after one to two minutes of four.
    job, workdir = slurm.submit("limit", "--time=4", "--signal=TERM@120", steps=1_000_000)
    wait(lambda: "goes on from step" in slurm.told("limit"), slurm)
    slurm("scancel", job)
    wait(lambda: gone(job, slurm), slurm)
    told = slurm.told("limit")
    assert left_by_themselves(told)
    stopped = int(re.findall(r"0: train: stopped at step (\d+) of 1000000, saved", told)[0])
    assert f"0: train: goes on from step {stopped} of 1000000" in told
    assert not (workdir / "final.json").exists()


def test_a_mistake_is_not_tried_again(slurm):
    job, _ = slurm.submit("mistake", steps=-1)
    wait(lambda: gone(job, slurm), slurm)
    told = slurm.told("mistake")
    assert "slurm: a setting is wrong; not requeued" in told
    assert "visit 2" not in told
