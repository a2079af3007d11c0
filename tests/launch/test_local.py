"""`launch/local.sh`: as many processes as asked for, one end for all of them."""

import os
import pathlib
import re
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.launch.tiny import ROOT, environment, make
from wamjax.core.files import read_json
from wamjax.train.metrics import read_metrics

# Process 1 ends with CODE once all have started; the others wait for SIGTERM, then end with ASKED.
STANDS_IN = """#!/bin/bash
trap 'kill "$!" 2>/dev/null; exit "$ASKED"' TERM
echo "$$" >"$STARTED/$JAX_PROCESS_ID"
while [ "$(ls "$STARTED" | wc -l)" -lt "$JAX_NUM_PROCESSES" ]; do sleep 0.05; done
[ "$JAX_PROCESS_ID" != 1 ] || [ -z "$CODE" ] || exit "$CODE"
sleep 60 & wait
"""


def start(
    folder: pathlib.Path, count: int, flags: list[str], env: dict[str, str]
) -> subprocess.Popen:
    with (folder / "local.txt").open("a") as log:
        # A shell ignores Ctrl-C in what it starts in the background, and so do all that follow.
        command = ["env", "--default-signal=INT", "bash", "launch/local.sh", str(count), *flags]
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)


def stands_in(folder: pathlib.Path, **env: str) -> dict[str, str]:
    (folder / "wamjax").write_text(STANDS_IN)
    (folder / "wamjax").chmod(0o755)
    (folder / "started").mkdir()
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "STARTED": str(folder / "started"), "CODE": ""} | env


def pids(folder: pathlib.Path, count: int) -> list[int]:
    """The processes, once all have started."""
    wait(lambda: len(list((folder / "started").glob("*"))) == count, 30)
    time.sleep(0.2)
    return [int(path.read_text()) for path in (folder / "started").iterdir()]


def wait(condition: Callable[[], bool], seconds: float, told: Callable[[], str] = str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, told()
        time.sleep(0.05)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("env", "code"),
    [
        # One dies, the others are asked to end, and one that does not hear is killed.
        ({"CODE": "9", "ASKED": "75"}, 9),
        ({"CODE": "2", "ASKED": "143"}, 2),
        # Who has saved is followed; who does not follow is killed.
        ({"CODE": "75", "ASKED": "0", "GRACE": "1"}, 75),
    ],
)
def test_one_that_dies_ends_all(tmp_path: pathlib.Path, env: dict[str, str], code: int):
    env = stands_in(tmp_path, **env)
    process = start(tmp_path, 3, ["--workdir", str(tmp_path / "run")], env)
    started = pids(tmp_path, 3)
    assert process.wait(30) == code
    wait(lambda: not any(lives(pid) for pid in started), 5)
    assert len(list((tmp_path / "run" / "logs").glob("process-*.log"))) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on(tmp_path: pathlib.Path, number: int):
    env = stands_in(tmp_path, ASKED="75")
    process = start(tmp_path, 2, [f"--workdir={tmp_path / 'run'}"], env)
    started = pids(tmp_path, 2)
    process.send_signal(number)
    assert process.wait(30) == 75
    assert not any(lives(pid) for pid in started)


class Run:
    """Tiny runs of `wamjax train` under local.sh."""

    def __init__(self, folder: pathlib.Path, count: int):
        self.folder, self.count = folder, count
        self.flags = [*make(folder), "--config.train.steps=60"]

    def start(self, name: str) -> subprocess.Popen:
        flags = [*self.flags, "--workdir", str(self.folder / name)]
        return start(self.folder, self.count, flags, environment())

    def told(self) -> str:
        return (self.folder / "local.txt").read_text()

    def step(self, name: str) -> int:
        file = self.folder / name / "metrics.jsonl"
        return (
            max((row["step"] for row in read_metrics(file.parent)), default=0)
            if file.is_file()
            else 0
        )

    def until_step_ten(self, process: subprocess.Popen, name: str) -> None:
        def there() -> bool:
            assert process.poll() is None, self.told()
            return self.step(name) >= 10

        wait(there, 600, self.told)

    def end(self, process: subprocess.Popen, code: int) -> None:
        assert process.wait(600) == code, self.told()

    def final(self, name: str) -> dict:
        return read_json(self.folder / name / "final.json")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("count", [2, 4])
def test_processes_that_are_stopped_and_one_that_is_killed(tmp_path: pathlib.Path, count: int):
    run = Run(tmp_path, count)
    run.end(run.start("whole"), 0)

    # All save at one step.
    process = run.start("broken")
    run.until_step_ten(process, "broken")
    process.send_signal(signal.SIGTERM)
    run.end(process, 75)
    stopped = int(re.findall(r"stopped at step (\d+) of 60, saved", run.told())[0])
    assert 10 <= stopped < 60
    assert [path.name for path in (tmp_path / "broken" / "checkpoints").iterdir()] == [str(stopped)]

    # One dies, and the others do not wait for it.
    process = run.start("broken")
    wait(lambda: f"goes on from step {stopped} of 60" in run.told(), 600, run.told)
    text = re.findall(r"local: processes ([\d ]+), logs", run.told())[-1]
    victims = [int(word) for word in text.split()]
    assert len(victims) == count
    os.kill(victims[-1], signal.SIGKILL)
    run.end(process, 128 + signal.SIGKILL)
    assert not any(lives(pid) for pid in victims)

    run.end(run.start("broken"), 0)
    for name in ("step", "state_sha256", "weights_sha256"):
        assert run.final("broken")[name] == run.final("whole")[name]
