"""Work that falls into parts, in this process or in several that are spawned.

Each part is handed out once. When one of them fails or the user interrupts, the others stop behind
the piece at hand; when the process that handed them out is gone, so are they.
"""

import concurrent.futures
import concurrent.futures.process
import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from types import TracebackType
from typing import Any, Generic, TypeVar

from absl import logging

from wamjax.core.errors import UserError

POLL = 0.2  # seconds
T = TypeVar("T")
R = TypeVar("R")
Tick = Callable[[], None]

# Of a spawned process: pieces done so far by all, and whether to stop.
_shared: dict[str, Any] = {}


class _StoppedError(Exception):
    """The others are to stop."""


def _begin(count: Any, stop: Any) -> None:
    # As the command line does, before the work's own modules are imported.
    logging.set_verbosity(logging.ERROR)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _shared.update(count=count, stop=stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()


@contextlib.contextmanager
def _held_back(number: signal.Signals) -> Iterator[None]:
    """The signal comes to this process behind the block, and never to those started in it, which
    would break off while they import, before `_begin`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _tick() -> None:
    if _shared["stop"].is_set():
        raise _StoppedError
    with _shared["count"].get_lock():
        _shared["count"].value += 1


def _call(work: Callable[[T, Tick], R], part: T) -> R:
    return work(part, _tick)


@dataclasses.dataclass(frozen=True)
class _Numbered(Generic[T, R]):
    """Work on parts that carry their number."""

    work: Callable[[T, Tick], R]

    def __call__(self, part: tuple[int, T], tick: Tick) -> R:
        return self.work(part[1], tick)


class Workers:
    """Processes that are started when there is work for more than one.

    Args:
        count: how many; 1 works in this process.
    """

    def __init__(self, count: int):
        self.count = count
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None
        context = multiprocessing.get_context("spawn")
        self._context, self._done, self._stop = context, context.Value("q", 0), context.Event()

    def spread(
        self,
        work: Callable[[T, Tick], R],
        parts: Sequence[T],
        advance: Callable[[int], None],
    ) -> Generator[tuple[T, R]]:
        """Every part with what `work` made of it, in the order in which they are done.

        Args:
            work: a function of a module; it calls its second argument after each piece.
            parts: plain values.
            advance: is told how many pieces were done since.

        Raises:
            UserError: a process died.
        """
        if min(self.count, len(parts)) <= 1:
            for part in parts:
                yield part, work(part, lambda: advance(1))
            return
        if self._pool is None:
            self._pool = concurrent.futures.ProcessPoolExecutor(
                self.count, self._context, _begin, (self._done, self._stop)
            )
        told = self._done.value
        with _held_back(signal.SIGINT):
            waiting = {self._pool.submit(_call, work, part): part for part in parts}
        try:
            while waiting:
                first = concurrent.futures.FIRST_COMPLETED
                done, _ = concurrent.futures.wait(waiting, POLL, first)
                advance(self._done.value - told)
                told = self._done.value
                for future in done:
                    yield waiting.pop(future), future.result()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise UserError(
                "One of the processes was ended from outside (is there enough memory?): start "
                "again with fewer workers; what is finished is kept."
            ) from error

    def in_order(
        self,
        work: Callable[[T, Tick], R],
        parts: Sequence[T],
        advance: Callable[[int], None],
    ) -> Generator[tuple[T, R]]:
        """As `spread`, in the order of `parts`; what is done before its turn waits."""
        numbered = list(enumerate(parts))
        done: dict[int, R] = {}
        turn = 0
        for (number, _), result in self.spread(_Numbered(work), numbered, advance):
            done[number] = result
            while turn in done:
                yield parts[turn], done.pop(turn)
                turn += 1

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
