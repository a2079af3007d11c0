"""Metrics between two rows, left on the devices until they are wanted."""

import math
import time
from collections import deque
from typing import Any

import jax
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.typing import Array
from wamjax.train.rollback import Streak

AHEAD = 2


class Meter:
    """Collects the metrics of each step and gives their mean.

    The host runs at most `AHEAD` steps ahead of the devices: enough to keep them busy, few enough
    that prefetched batches do not pile up and that waiting for data is seen as such.

    Args:
        batch: examples in a step.
        streak: sees every step in order, and raises when too many in a row were skipped.
    """

    def __init__(self, batch: int, streak: Streak):
        self.streak = streak
        self._batch = batch
        self._kept: list[tuple[int, dict[str, Array]]] = []
        self._rows: list[dict[str, float]] = []
        self._running: deque[tuple[int, Array, dict[str, Any]]] = deque()
        self._started = time.monotonic()
        self._waited = 0.0

    def restart(self, waited: float) -> None:
        """Start the interval's clock again; `waited` is the total wait for data so far."""
        self._started, self._waited = time.monotonic(), waited

    def leave_out(self, passed: float) -> None:
        """Seconds of this interval that were not training (a checkpoint, an evaluation)."""
        self._started += passed

    def add(self, step: int, metrics: dict[str, Array], data: dict[str, Any]) -> None:
        """Metrics of the step that led to count `step`; waits for the step `AHEAD` before.

        Args:
            step: the count after the step.
            metrics: float32 [] each.
            data: the loader's state after the step.

        Raises:
            GoBack: see `Streak.see`.
        """
        self._kept.append((step, metrics))
        self._running.append((step, metrics["skipped"], data))
        if len(self._running) > AHEAD:
            self._look()

    def _look(self) -> None:
        step, skipped, data = self._running.popleft()
        self.streak.see(step, bool(np.asarray(skipped)), data)

    def check(self) -> None:
        """Wait for all steps and look at their metrics.

        Raises:
            GoBack: see `Streak.see`.
            UserError: a metric of a step that was taken is not finite.
        """
        while self._running:
            self._look()
        for step, metrics in jax.device_get(self._kept):
            # Losses first: of all that is not finite they say most.
            names = sorted(metrics, key=lambda name: (not name.startswith("loss"), name))
            row = {name: float(metrics[name]) for name in names}
            for name, value in row.items():
                if not math.isfinite(value) and not row["skipped"]:
                    raise UserError(
                        f"{name} became {value} at step {step}; lower train.learning_rate, "
                        "or look at the data of that step."
                    )
            self._rows.append(row)
        self._kept.clear()

    def mean(self, waited: float) -> dict[str, float]:
        """Means over the steps taken since the last call, rates, and how many were skipped.

        Checks like `check`. If none was taken there are no means.
        """
        self.check()
        rows, passed = self._rows, max(time.monotonic() - self._started, 1e-9)
        taken = [row for row in rows if not row["skipped"]]
        values = {
            name: math.fsum(row[name] for row in taken) / len(taken) for name in rows[0] if taken
        }
        # A schedule is read off at the row's step, not averaged.
        values["learning_rate"] = rows[-1]["learning_rate"]
        values["skipped"] = float(len(rows) - len(taken))
        values["examples_per_second"] = self._batch * len(rows) / passed
        values["data_wait_share"] = min((waited - self._waited) / passed, 1.0)
        self._rows = []
        self.restart(waited)
        return values
