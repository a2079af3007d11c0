"""Killed, stopped, starved of disk and damaged, again and again, a run ends with the same bits.

    kill       SIGKILL: while it starts, while it saves, or at any moment
    term       SIGTERM
    corrupt    after a kill, the newest checkpoint loses a tail, a bit or a file
    full       the disk takes no more for some steps       readonly    nor does the folder

After every one of them all checkpoints but a damaged one are what was saved, and none that stood
before is gone unless newer ones took its place. The seed is printed; `WAMJAX_CHAOS_SEED` sets it.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.train.chaos_run import OBEDIENT
from tests.train.test_intact import emptied, flipped, lost, truncated
from tests.train.test_kill import ROOT
from wamjax.train.intact import TABLE, fault, steps_in
from wamjax.train.metrics import read_metrics
from wamjax.train.stop import GRACE

STEPS, EVERY, KEEP = 1500, 3, 2
FEW = {"kill": 2, "term": 1, "corrupt": 1, "full": 1, "readonly": 1}
MANY = {"kill": 22, "term": 8, "corrupt": 10, "full": 8, "readonly": 6}


@pytest.fixture
def own_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A small file system where the machine lets us mount one, else a plain folder."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(folder)]
    mounted = os.getuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
    yield folder
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class Child:
    """A process that trains, and what it says."""

    def __init__(self, workdir: pathlib.Path, delay: float, every: int, harm: list[str]):
        words = [str(workdir), str(STEPS), str(delay), str(every), *harm]
        self.process = subprocess.Popen(
            [sys.executable, "-c", OBEDIENT, "-m", "tests.train.chaos_run", *words],
            cwd=ROOT,
            env={**os.environ, "XLA_FLAGS": "", "WAMJAX_CHECK_SHAPES": "0"},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        # Through a pipe, since a file could not grow on a full disk.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def said(self, words: str) -> list[str]:
        return [line for line in self.lines if words in line]

    def wait_to_say(self, words: str) -> None:
        self.wait_for(lambda: bool(self.said(words)))

    def wait_for(self, condition: Callable[[], bool], seconds: float = 240.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            assert self.process.poll() is None, "".join(self.lines)
            time.sleep(0.002)
        assert condition(), "".join(self.lines)

    def end(self) -> int:
        code = self.process.wait(240)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


def saving(folder: pathlib.Path) -> bool:
    return folder.is_dir() and any("tmp" in path.name for path in folder.iterdir())


def told_and_set_aside(child: Child, workdir: pathlib.Path, broken: int) -> None:
    assert len(child.said(f"checkpoint of step {broken} is broken")) == 1, "".join(child.lines)
    assert (workdir / "set_aside" / str(broken)).is_dir()


def chaos(
    workdir: pathlib.Path, counts: dict[str, int], draws: random.Random
) -> tuple[list[str], int | None]:
    """Do all that harm; returns what was done, in order, and the checkpoint left damaged."""
    folder = workdir / "checkpoints"
    ends = ["kill"] * counts["kill"] + ["term"] * counts["term"]
    draws.shuffle(ends)
    # The newest checkpoint is not damaged twice in a row: then two of two would be.
    kills = [place for place, kind in enumerate(ends) if kind == "kill"]
    damaged = {*draws.sample(kills, counts["corrupt"])}
    harm = ["full"] * counts["full"] + ["readonly"] * counts["readonly"]
    draws.shuffle(harm)
    harmed = dict(zip(draws.sample(range(len(ends)), len(harm)), harm, strict=True))
    done, broken = [], None
    for place, kind in enumerate(ends):
        before = steps_in(folder)
        words = [f"{harmed[place]}@{draws.randint(2, 9)}"] if place in harmed else []
        child = Child(workdir, 0.02, EVERY, words)
        if place in harmed:
            child.wait_to_say(f"harm: {harmed[place]} ends")
            done.append(harmed[place])
            # At least one save point lies in the time without a disk.
            child.wait_to_say("could not be saved")
        elif kind == "kill" and place not in damaged and draws.random() < 0.2:
            time.sleep(draws.uniform(0.0, 5.0))
        else:
            child.wait_to_say("compiled in")
        first = max(steps_in(folder), default=0)
        if place in damaged:
            # Two that are whole, so that the one before the damaged one can be used.
            child.wait_for(lambda first=first: steps_in(folder)[KEEP - 1 :][-1:] > [first])
        if kind == "term":
            time.sleep(draws.uniform(0.0, 0.5))
            began = time.monotonic()
            child.process.send_signal(signal.SIGTERM)
            assert child.end() == 0, "".join(child.lines)
            assert time.monotonic() - began < GRACE
            assert child.said("obeyed SIGTERM in")
            assert child.said("saved; the same command goes on")
        else:
            if draws.random() < 0.5 and child.said("compiled in"):
                child.wait_for(lambda: saving(folder))
                time.sleep(draws.uniform(0.0, 0.03))
            else:
                time.sleep(draws.uniform(0.0, 0.5))
            child.process.kill()
            child.end()
        done.append(kind)
        if broken is not None and child.said("train: "):
            told_and_set_aside(child, workdir, broken)
            broken = None
        after = steps_in(folder)
        for step in after:
            wrong = fault(folder / str(step))
            assert wrong is None or step == broken, (step, wrong)
            assert (folder / str(step) / TABLE).is_file() or step == broken
        # What is gone was set aside, or made room for as many newer ones as are kept.
        aside = {path.name for path in (workdir / "set_aside").glob("*")}
        for step in before:
            newer = sum(later > step for later in after)
            assert step in after or str(step) in aside or newer >= KEEP, (before, after)
        if place in damaged and len(after) >= KEEP:
            draws.choice([truncated, emptied, flipped, lost])(folder / str(after[-1]))
            broken = after[-1]
            done.append("corrupt")
    return done, broken


def run_chaos(folder: pathlib.Path, whole: pathlib.Path, counts: dict[str, int]) -> None:
    seed = int(os.environ.get("WAMJAX_CHAOS_SEED", random.SystemRandom().randrange(10**6)))
    print(f"WAMJAX_CHAOS_SEED={seed}")
    reference = Child(whole, 0.0, 500, [])
    workdir = folder / "run"
    done, broken = chaos(workdir, counts, random.Random(seed))
    assert reference.end() == 0, "".join(reference.lines)
    child = Child(workdir, 0.0, 500, [])
    assert child.end() == 0, "".join(child.lines)
    if broken is not None:
        told_and_set_aside(child, workdir, broken)
    print(f"{len(done)} faults: {', '.join(done)}")
    assert {kind: done.count(kind) for kind in counts} == counts
    finals = [json.loads((path / "final.json").read_text()) for path in (whole, workdir)]
    for name in ("step", "weights_sha256", "state_sha256"):
        assert finals[0][name] == finals[1][name], name
    assert finals[1]["goodput"]["starts"] >= counts["term"]
    parts = finals[1]["goodput"]["parts"]
    assert sum(parts.values()) == pytest.approx(finals[1]["goodput"]["wall"], abs=1e-3)
    steps = [row["step"] for row in read_metrics(workdir)]
    assert steps == sorted({*steps})
    assert steps[-1] == STEPS


@pytest.mark.slow
def test_a_run_that_suffers_a_little_ends_with_the_same_bits(
    own_disk: pathlib.Path, tmp_path: pathlib.Path
):
    run_chaos(own_disk, tmp_path / "whole", FEW)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_run_that_suffers_more_than_fifty_times_ends_with_the_same_bits(
    own_disk: pathlib.Path, tmp_path: pathlib.Path
):
    assert sum(MANY.values()) > 50
    run_chaos(own_disk, tmp_path / "whole", MANY)


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["full", "readonly"])
def test_a_last_state_that_cannot_be_saved_is_an_error_and_nothing_is_lost(
    harm: str, tmp_path: pathlib.Path
):
    command = [sys.executable, "-c", OBEDIENT, "-c", LAST, str(tmp_path / "run"), harm]
    environment = {**os.environ, "XLA_FLAGS": "", "WAMJAX_CHECK_SHAPES": "0"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    lines = done.stderr.splitlines()
    (last,) = [line for line in lines if line.startswith("step 20 could not be saved in")]
    assert "trying once more to save step 20" in done.stderr
    # Batches are made ahead: on a slow machine the harm comes before step 15 is saved.
    newest = steps_in(tmp_path / "run" / "checkpoints")[-1]
    assert newest == (10 if "checkpoint of step 15 could not be saved" in done.stderr else 15)
    assert f"that of step {newest} stands; make room or make it writable" in last
    assert not (tmp_path / "run" / "final.json").exists()
    assert fault(tmp_path / "run" / "checkpoints" / str(newest)) is None


LAST = """
import dataclasses, pathlib, sys
from tests.train import chaos_run
from tests.train.toy import STATISTICS, ToyRun, ToySystem
from wamjax.core.errors import UserError
from wamjax.core.runtime import enable_compile_cache
from wamjax.train.loop import train

chaos_run.quiet()
enable_compile_cache()
chaos_run.WHILE = 10**6
folder = pathlib.Path(sys.argv[1])
run = ToyRun()
loader = chaos_run.Harmful(8, 0.05, folder, {20: sys.argv[2]})
try:
    train(run, folder, system=ToySystem(), loader=loader, statistics=STATISTICS)
except UserError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""
