"""Contestants that take turns, each a process of its own on the same cores.

    parent                              child
    "examples FILE"                ->   writes examples, answers {"examples": how many}
    "run N"                        ->   N batches, answers {"seconds": wall, "samples": how many}
    end of input                   ->   ends

A child is stopped while it is not its turn, with all its threads and processes, so that nobody
makes batches ahead in another's time. Processor seconds are those of the child and of all that it
started, as the kernel counts them.
"""

import atexit
import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

TICK = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Player:
    """What a child brings.

    Attributes:
        batch: makes the next one and says how many samples it holds.
        examples: arrays to be compared, None where there is nothing to compare.
        about: versions and the like.
    """

    batch: Callable[[], int]
    examples: Callable[[], Mapping[str, np.ndarray]] | None
    about: Mapping[str, Any]


def serve(make: Callable[[dict[str, Any]], Player]) -> None:
    """Be a child, with settings as JSON in the first argument."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    started = time.perf_counter()
    player = make(json.loads(sys.argv[1]))
    player.batch()
    first = time.perf_counter() - started

    def answer(**told: Any) -> None:
        channel.write(json.dumps(told) + "\n")
        channel.flush()

    answer(first=first, about=dict(player.about))
    for line in sys.stdin:
        match line.split():
            case ["examples", file]:
                assert player.examples is not None
                found = player.examples()
                np.savez(file, **found)
                answer(examples=len(next(iter(found.values()))))
            case ["run", count]:
                samples, started = 0, time.perf_counter()
                for _ in range(int(count)):
                    samples += player.batch()
                answer(seconds=time.perf_counter() - started, samples=samples)
            case _:
                raise ValueError(line)
    os._exit(0)  # loaders' threads and processes would be waited for


@dataclasses.dataclass(frozen=True)
class Turn:
    """One turn of a contestant: samples a second, processor seconds a sample."""

    rate: float
    cpu: float


class Contestant:
    """A child, started and waiting for its turn.

    Args:
        command: the child's program, without settings.
        settings: for it.
        batches: of a turn.
    """

    def __init__(self, command: list[str], settings: dict[str, Any], batches: int):
        self.batches = batches
        self.process = subprocess.Popen(
            [*command, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        atexit.register(self.end)  # nobody is left behind stopped
        told = self._answer()
        self.first, self.about = float(told["first"]), told["about"]
        self._signal(signal.SIGSTOP)

    def examples(self, file: pathlib.Path) -> dict[str, np.ndarray]:
        """Those to be compared, through a file."""
        self._ask(f"examples {file}")
        with np.load(file) as found:
            return dict(found)

    def turn(self) -> Turn:
        """Its next batches."""
        before = self._cpu()
        told = self._ask(f"run {self.batches}")
        spent = self._cpu() - before
        return Turn(told["samples"] / told["seconds"], spent / told["samples"])

    def end(self) -> None:
        """Stop it for good."""
        if self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._signal(signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def _ask(self, words: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self._signal(signal.SIGCONT)
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        told = self._answer()
        self._signal(signal.SIGSTOP)
        return told

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")
        return json.loads(line)

    def _signal(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def _cpu(self) -> float:
        """Processor seconds so far of the child's group."""
        total = 0
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[2]) == self.process.pid:
                total += int(fields[11]) + int(fields[12])
        return total / TICK


def compete(contestants: Mapping[str, Contestant], repeats: int) -> dict[str, list[Turn]]:
    """Turns of each, A B C A B C ..., after two each to warm up."""
    out: dict[str, list[Turn]] = {name: [] for name in contestants}
    for number in range(-2, repeats):
        for name, contestant in contestants.items():
            turn = contestant.turn()
            if number >= 0:
                out[name].append(turn)
    return out


def spread(values: list[float], digits: int = 0) -> str:
    """Median and range."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"
