"""SIGTERM asks for a checkpoint and a clean end; the step in progress is finished first.

From the signal to the end `GRACE` seconds are promised and the true ones told. A compilation cannot
be interrupted: a signal that comes meanwhile is heard after it.
"""

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

import jax

# What SLURM, GKE and preemptible TPUs usually leave between SIGTERM and SIGKILL.
GRACE = 30.0


class Stop:
    """While entered, SIGTERM sets `requested` instead of killing the process.

    Signals reach only the main thread; elsewhere nothing is installed, nor where several hosts
    run: there jax's preemption service hears the signal and makes all hosts stop at one step.

    Attributes:
        requested: whether to stop.
        heard: when that was first known, by the monotonic clock.
    """

    def __init__(self) -> None:
        self.requested = False
        self.heard: float | None = None
        self._before: Any = None
        alone = jax.process_count() == 1
        self._install = alone and threading.current_thread() is threading.main_thread()

    def request(self) -> None:
        """Stop after the step in progress."""
        self.requested = True
        if self.heard is None:
            self.heard = time.monotonic()

    def line(self) -> str:
        """How long the run took to obey."""
        passed = 0.0 if self.heard is None else time.monotonic() - self.heard
        kept = "promised" if passed <= GRACE else "promised and were not enough"
        return f"obeyed SIGTERM in {passed:.1f} s ({GRACE:g} s are {kept})."

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.request()

    def __enter__(self) -> "Stop":
        if self._install:
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._install:
            # None: not set from Python, as where jax's preemption service was started for one host.
            before = signal.SIG_DFL if self._before is None else self._before
            signal.signal(signal.SIGTERM, before)
