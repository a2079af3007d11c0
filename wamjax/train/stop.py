"""SIGTERM asks for a checkpoint and a clean end; the step in progress is finished first."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

import jax


class Stop:
    """While entered, SIGTERM sets `requested` instead of killing the process.

    Signals reach only the main thread; elsewhere nothing is installed, nor where several hosts
    run: there jax's preemption service hears the signal and makes all hosts stop at one step.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: Any = None
        alone = jax.process_count() == 1
        self._install = alone and threading.current_thread() is threading.main_thread()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

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
