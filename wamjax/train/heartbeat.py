"""A run that stands still ends itself, so that a scheduler can start it again.

    <workdir>/heartbeat/<process>.json     step, part, seconds in it, time; every few seconds
    <workdir>/hang-<process>.txt           the stacks of all threads of a process that hung

jax's own heartbeats only tell whether a process is alive, not whether it gets anywhere
(jax-ml/jax issue 38503). Here a thread watches the step: one that takes longer than `USUAL` times
the median step and longer than `train.hang_after` (300 s), or a compilation, checkpoint or
evaluation that takes longer than its own `LIMITS`, counts as hung. Then the stacks are written and
the process ends with code 3. What is on disk stands; the same command goes on.
"""

import contextlib
import faulthandler
import json
import os
import pathlib
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from types import MappingProxyType, TracebackType

from wamjax.core.files import write_text
from wamjax.train.goodput import Goodput

FOLDER = "heartbeat"
HUNG = 3
USUAL, FLOOR = 20.0, 300.0
BEAT, POLL = 5.0, 0.5
LIMITS = MappingProxyType(
    {"init": 3600.0, "compile": 7200.0, "checkpoint": 3600.0, "evaluation": 4 * 3600.0}
)


class Heart:
    """Beats while entered.

    Args:
        workdir: of the run.
        process: index of this process.
        goodput: says which part of the run is running; is written with every beat.
        floor: seconds that a step may take however short steps usually are.
        say: told when the run hangs.
        main: whether this process keeps the account of the run.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        process: int,
        goodput: Goodput,
        floor: float | None,
        say: Callable[[str], None],
        *,
        main: bool,
    ):
        self._file = workdir / FOLDER / f"{process}.json"
        self._stacks = workdir / f"hang-{process}.txt"
        self._goodput, self._say, self._main = goodput, say, main
        self._floor = FLOOR if floor is None else floor
        self._step, self._moved = 0, time.monotonic()
        self._spent: deque[float] = deque(maxlen=64)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="heartbeat", daemon=True)

    def restart(self, step: int) -> None:
        """Steps begin, or go on after something else."""
        self._step, self._moved = step, time.monotonic()

    def beat(self, step: int) -> None:
        """`step` is done."""
        now = time.monotonic()
        self._spent.append(now - self._moved)
        self._step, self._moved = step, now

    def _usual(self) -> float:
        return statistics.median([*self._spent] or [0.0])

    def _late(self) -> tuple[str, float, float] | None:
        """(part, seconds in it, limit) if that is too long."""
        part, spent = self._goodput.now()
        if part in LIMITS:
            return (part, spent, LIMITS[part]) if spent > LIMITS[part] else None
        spent, limit = time.monotonic() - self._moved, max(self._floor, USUAL * self._usual())
        return (part, spent, limit) if spent > limit else None

    def _watch(self) -> None:
        looked = written = time.monotonic()
        while not self._ended.wait(POLL):
            now = time.monotonic()
            if now - looked > 10 * POLL:
                # The whole process stood still, this thread too: that is no hang of its own.
                self._moved += now - looked
            looked = now
            if now - written > BEAT:
                written = now
                self._write()
            late = self._late()
            if late is not None:
                self._end(*late)

    def _write(self) -> None:
        part, spent = self._goodput.now()
        row = {"step": self._step, "part": part, "seconds": round(spent, 1), "time": time.time()}
        row["usual_step"] = round(self._usual(), 4)
        # A full disk must not stop the watch.
        with contextlib.suppress(OSError):
            write_text(self._file, json.dumps(row) + "\n")
        if self._main:
            self._goodput.write()

    def _end(self, part: str, spent: float, limit: float) -> None:
        self._say(
            f"hung: {part} after step {self._step} takes {spent:.1f} s, more than {limit:.1f} s "
            f"(a step usually takes {self._usual():.3g} s); stacks of all threads are in "
            f"{self._stacks}, ends with code {HUNG}."
        )
        try:
            with self._stacks.open("a") as file:
                file.write(f"{time.ctime()}: {part} after step {self._step}\n")
                file.flush()
                faulthandler.dump_traceback(file, all_threads=True)
        except OSError:
            faulthandler.dump_traceback(all_threads=True)
        self._write()
        os._exit(HUNG)

    def __enter__(self) -> "Heart":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._write()
