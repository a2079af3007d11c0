"""Where the time of a run went, over all its starts: `<workdir>/goodput.json`.

    wall = init + compile + data + step + checkpoint + evaluation + lost

At every moment exactly one part is running, so the parts sum to the wall time. `lost` is work that
was done again: when a run goes on from a checkpoint, what `step` and `data` have gained since that
checkpoint is moved there. Time between two starts belongs to nobody and is not counted, nor are
the last seconds before a kill that nobody could write down.
"""

import json
import pathlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from wamjax.core.files import write_json
from wamjax.core.progress import seconds

FILE = "goodput.json"
Part = Literal["init", "compile", "data", "step", "checkpoint", "evaluation"]
PARTS = ("init", "compile", "data", "step", "checkpoint", "evaluation", "lost")
DONE_AGAIN = ("step", "data")


class Goodput:
    """The account of one run, started again and again.

    Args:
        workdir: of the run; its account so far is read if there is one.
    """

    def __init__(self, workdir: pathlib.Path):
        self._file = workdir / FILE
        self._lock = threading.Lock()
        self._began = self._switched = time.monotonic()
        self._part: Part = "init"
        stored = _read(self._file)
        self._parts = {name: float(stored["parts"][name]) for name in PARTS}
        self._wall = float(stored["wall"])
        self.starts = int(stored["starts"]) + 1
        self.rollbacks = int(stored["rollbacks"])

    def now(self) -> tuple[Part, float]:
        """The part that is running and for how many seconds."""
        with self._lock:
            return self._part, time.monotonic() - self._switched

    def switch(self, part: Part) -> Part:
        """From now on time belongs to `part`; returns the part before."""
        with self._lock:
            now, before = time.monotonic(), self._part
            self._parts[before] += now - self._switched
            self._part, self._switched = part, now
            return before

    @contextmanager
    def of(self, part: Part) -> Iterator[None]:
        """Meanwhile time belongs to `part`."""
        before = self.switch(part)
        try:
            yield
        finally:
            self.switch(before)

    def told(self) -> dict[str, Any]:
        """The account up to now, as JSON."""
        self.switch(self._part)
        with self._lock:
            wall = self._wall + self._switched - self._began
            return {
                "wall": wall,
                "parts": dict(self._parts),
                "starts": self.starts,
                "rollbacks": self.rollbacks,
            }

    def write(self) -> None:
        """Write it down; a disk that refuses is asked again next time."""
        try:
            write_json(self._file, self.told())
        except OSError:
            return

    def goes_on_from(self, saved: Mapping[str, Any] | None) -> None:
        """The run goes on from a checkpoint with this account: later work is done again.

        Args:
            saved: what `told` gave when it was saved; None for the start of the run.
        """
        with self._lock:
            for name in DONE_AGAIN:
                at = 0.0 if saved is None else saved["parts"][name]
                # A kill can lose the newer account; then nothing is known to be lost.
                again = max(self._parts[name] - at, 0.0)
                self._parts[name] -= again
                self._parts["lost"] += again

    def line(self) -> str:
        """The account in one line."""
        told = self.told()
        wall, parts = told["wall"], told["parts"]
        listed = ", ".join(f"{name} {seconds(parts[name])}" for name in PARTS if parts[name] >= 0.5)
        share = parts["step"] / max(wall, 1e-9)
        return (
            f"goodput {share:.0%}: of {seconds(wall)} in {self.starts} start(s), {listed or 'none'}"
            f"; {self.rollbacks} rollback(s)."
        )


def _read(file: pathlib.Path) -> dict[str, Any]:
    try:
        stored = json.loads(file.read_bytes())
        assert {*stored["parts"]} == {*PARTS}
        return stored
    # It is no more than an account: a damaged one is begun anew.
    except (OSError, ValueError, KeyError, AssertionError, TypeError):
        return {"parts": dict.fromkeys(PARTS, 0.0), "wall": 0.0, "starts": 0, "rollbacks": 0}
