"""A run that hangs writes its stacks and ends with a code of its own; a slow one does not."""

import pathlib
import subprocess
import sys
import time

from tests.train.test_kill import ROOT
from wamjax.core.files import read_json
from wamjax.train import heartbeat
from wamjax.train.goodput import Goodput
from wamjax.train.heartbeat import HUNG, Heart
from wamjax.train.meter import AHEAD

HANGS = """
import dataclasses, sys, time
from tests.train.toy import STATISTICS, ToyLoader, ToyRun, ToySystem
from wamjax.core.runtime import enable_compile_cache
from wamjax.train.loop import train
import jax

class Sleeps(ToySystem):
    def loss(self, params, batch, key, objective):
        total, parts = super().loss(params, batch, key, objective)

        def asleep(index):
            if index[0] >= 9 * 8:
                time.sleep(600)
            return index[0]

        shape = jax.ShapeDtypeStruct((), "int32")
        seen = jax.pure_callback(asleep, shape, batch.index)
        return total + 0.0 * jax.lax.stop_gradient(seen), parts

enable_compile_cache()
settings = dataclasses.replace(ToyRun().train, hang_after=2.0)
train(dataclasses.replace(ToyRun(), train=settings), sys.argv[1], system=Sleeps(),
      loader=ToyLoader(8), statistics=STATISTICS)
"""


def test_a_step_that_sleeps_ends_the_run_with_all_stacks(tmp_path: pathlib.Path):
    workdir = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", HANGS, str(workdir)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == HUNG, done.stderr
    assert "train: hung: step after step" in done.stderr
    stacks = (workdir / "hang-0.txt").read_text()
    assert "asleep" in stacks
    assert "prefetch.py" in stacks
    assert stacks.count("Thread 0x") >= 3
    # What was saved stands, and the last beat says where the run stood.
    assert (workdir / "checkpoints" / "5").is_dir()
    beat = read_json(workdir / "heartbeat" / "0.json")
    assert beat["part"] == "step"
    # The host is a little ahead of the devices.
    assert 5 <= beat["step"] <= 9 + AHEAD + 1
    assert read_json(workdir / "goodput.json")["starts"] == 1


def heart(folder: pathlib.Path, floor: float) -> tuple[Heart, Goodput]:
    account = Goodput(folder)
    return Heart(folder, 0, account, floor, print, main=True), account


def test_what_counts_as_late(tmp_path: pathlib.Path, monkeypatch):
    watch, account = heart(tmp_path, 0.05)
    account.switch("step")
    watch.restart(0)
    for step in range(1, 8):
        time.sleep(0.01)
        watch.beat(step)
    assert watch._late() is None
    # Twenty usual steps, not the floor, are the limit of a step that is usually slow.
    time.sleep(0.06)
    assert watch._late() is None
    time.sleep(1.5)
    part, spent, limit = watch._late() or ("", 0.0, 0.0)
    assert part == "step"
    assert spent > limit > 0.2
    account.switch("data")
    assert (watch._late() or ("",))[0] == "data"
    # A checkpoint has a limit of its own, from its own beginning.
    account.switch("checkpoint")
    assert watch._late() is None
    monkeypatch.setattr(heartbeat, "LIMITS", {"checkpoint": 0.01})
    time.sleep(0.02)
    assert (watch._late() or ("",))[0] == "checkpoint"


def test_beats_are_written_while_the_run_runs(tmp_path: pathlib.Path, monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT", 0.0)
    monkeypatch.setattr(heartbeat, "POLL", 0.01)
    watch, account = heart(tmp_path, 60.0)
    with watch:
        account.switch("step")
        watch.beat(7)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            file = tmp_path / "heartbeat" / "0.json"
            if file.is_file() and read_json(file)["step"] == 7:
                break
            time.sleep(0.01)
        beat = read_json(tmp_path / "heartbeat" / "0.json")
    assert beat["step"] == 7
    assert beat["part"] == "step"
    assert abs(beat["time"] - time.time()) < 60
