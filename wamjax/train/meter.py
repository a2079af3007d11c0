"""Metrics between two rows, left on the devices until they are wanted."""

import math
import time
from collections import deque

import jax

from wamjax.core.errors import UserError
from wamjax.core.typing import Array

AHEAD = 2


class Meter:
    """Collects the metrics of each step and gives their mean.

    The host runs at most `AHEAD` steps ahead of the devices: enough to keep them busy, few enough
    that prefetched batches do not pile up and that waiting for data is seen as such.
    """

    def __init__(self, batch: int):
        self._batch = batch
        self._kept: list[tuple[int, dict[str, Array]]] = []
        self._rows: list[dict[str, float]] = []
        self._running: deque[Array] = deque()
        self._started = time.monotonic()
        self._waited = 0.0

    def restart(self, waited: float) -> None:
        """Start the interval's clock again; `waited` is the total wait for data so far."""
        self._started, self._waited = time.monotonic(), waited

    def leave_out(self, passed: float) -> None:
        """Seconds of this interval that were not training (a checkpoint, an evaluation)."""
        self._started += passed

    def add(self, step: int, metrics: dict[str, Array]) -> None:
        """Metrics of the step that led to count `step`; waits for the step `AHEAD` before."""
        self._kept.append((step, metrics))
        self._running.append(metrics["loss"])
        if len(self._running) > AHEAD:
            jax.block_until_ready(self._running.popleft())

    def check(self) -> None:
        """Wait for all steps and look at their metrics.

        Raises:
            UserError: a metric of some step is not finite.
        """
        for step, metrics in jax.device_get(self._kept):
            # Losses first: of all that is not finite they say most.
            names = sorted(metrics, key=lambda name: (not name.startswith("loss"), name))
            row = {name: float(metrics[name]) for name in names}
            for name, value in row.items():
                if not math.isfinite(value):
                    raise UserError(
                        f"{name} became {value} at step {step}; lower train.learning_rate, "
                        "or look at the data of that step."
                    )
            self._rows.append(row)
        self._kept.clear()
        self._running.clear()

    def mean(self, waited: float) -> dict[str, float]:
        """Means since the last call, rates among them; checks like `check`."""
        self.check()
        rows, passed = self._rows, max(time.monotonic() - self._started, 1e-9)
        values = {name: math.fsum(row[name] for row in rows) / len(rows) for name in rows[0]}
        # A schedule is read off at the row's step, not averaged.
        values["learning_rate"] = rows[-1]["learning_rate"]
        values["examples_per_second"] = self._batch * len(rows) / passed
        values["data_wait_share"] = min((waited - self._waited) / passed, 1.0)
        self._rows = []
        self.restart(waited)
        return values
