"""Steps that are skipped again and again: back to the last good checkpoint, past their data.

A skipped step changes nothing, so skipping more of them changes nothing either. After `patience`
in a row the run goes back to the checkpoint before them, where the weights may still be better,
and goes on with the data that come after them. That those data are passed over is written down
before anything else happens, in `<workdir>/passed_over.json`:

    {"<step of the checkpoint>": {"data": loader state after the last skipped step,
                                  "until": that step, "times": how often, from this checkpoint}}

so that a run killed right afterwards passes over the same data, and beside every later checkpoint
(`meta`, "rollbacks"). The loader's state after a step does not depend on when the host looks at
that step. After `ROLLBACKS` from one checkpoint the run gives up.
"""

import json
import pathlib
from typing import Any

from wamjax.core.errors import UserError
from wamjax.core.files import write_json

FILE = "passed_over.json"
ROLLBACKS = 3


class GoBack(Exception):  # noqa: N818  (it is no error: the loop catches it)
    """`step` was the last of so many skipped ones that the run has to go back."""

    def __init__(self, step: int, count: int, data: dict[str, Any]):
        super().__init__(f"{count} steps in a row were skipped, up to step {step}")
        self.step, self.count, self.data = step, count, data


class Streak:
    """Counts the steps skipped in a row.

    Args:
        patience: how many are borne.
        count: how many there were already at the step from which the run goes on.
    """

    def __init__(self, patience: int, count: int):
        self.patience, self.count = patience, count

    def see(self, step: int, skipped: bool, data: dict[str, Any]) -> None:
        """A step is done, and `data` is the loader's state after it.

        Raises:
            GoBack: it was one too many.
        """
        self.count = self.count + 1 if skipped else 0
        if self.count >= self.patience:
            raise GoBack(step, self.count, data)


class PassedOver:
    """Which data a run passes over, and after which checkpoint; see above.

    Args:
        workdir: of the run.
        main: whether this process writes the file (one of all hosts does).
    """

    def __init__(self, workdir: pathlib.Path, *, main: bool):
        self._file, self._main = workdir / FILE, main
        self._rows: dict[str, Any] = {}
        if self._file.is_file():
            self._rows = json.loads(self._file.read_bytes())

    def after(self, step: int) -> dict[str, Any] | None:
        """What is passed over after the checkpoint of `step`: a row of the file, or None."""
        return self._rows.get(str(step))

    def add(self, step: int, back: GoBack) -> None:
        """From `step` on, pass over the data up to `back`.

        Raises:
            UserError: it has been tried `ROLLBACKS` times.
        """
        times = self._rows[str(step)]["times"] if str(step) in self._rows else 0
        if times >= ROLLBACKS:
            raise UserError(
                f"{back.count} steps in a row were skipped up to step {back.step}, though the run "
                f"went back to step {step} {times} times already; lower train.learning_rate, or "
                "look at the data and at loss and grad_norm in metrics.jsonl."
            )
        self._rows[str(step)] = {"data": back.data, "until": back.step, "times": times + 1}
        self._write()

    def saved(self, step: int) -> None:
        """A checkpoint of `step` is being saved with a loader's state of its own."""
        kept = {name: row for name, row in self._rows.items() if int(name) < step}
        if len(kept) < len(self._rows):
            self._rows = kept
            self._write()

    def _write(self) -> None:
        if self._main:
            write_json(self._file, self._rows)
