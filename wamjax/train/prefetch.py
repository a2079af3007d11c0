"""Batches made ready on a background thread, without losing the place.

The loader runs ahead of training; the state to be saved is that of the batch the step consumed.
So each batch travels through the queue together with the loader's state right after it.
"""

import queue
import threading
import time
from types import TracebackType
from typing import Any

from jax.sharding import NamedSharding

from wamjax.core.errors import UserError
from wamjax.core.records import Batch
from wamjax.parallel.shardings import put_batch
from wamjax.train.protocols import Loader


class Prefetch:
    """At most `depth` batches ahead, already on their way to the devices.

    Attributes:
        state: the loader's state after the last batch taken (before the first, its state now).
        waited: seconds that `take` spent waiting, in total.
    """

    def __init__(self, loader: Loader, rows: NamedSharding, count: int, depth: int = 2):
        self.state: dict[str, Any] = loader.state()
        self.waited = 0.0
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=depth)
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._fill, args=(loader, rows, count), name="prefetch", daemon=True
        )
        self._thread.start()

    def _fill(self, loader: Loader, rows: NamedSharding, count: int) -> None:
        try:
            batches = iter(loader)
            for _ in range(count):
                batch = next(batches)
                if not self._offer((put_batch(batch, rows), loader.state())):
                    return
        except StopIteration:
            self._offer(UserError("The loader ran out of batches; it must repeat without end."))
        # Whatever went wrong is raised again where the batch is taken.
        except BaseException as error:
            self._offer(error)

    def _offer(self, item: Any) -> bool:
        while not self._ended.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def take(self) -> Batch:
        """The next batch, on the devices; raises what the loader raised."""
        started = time.monotonic()
        item = self._queue.get()
        self.waited += time.monotonic() - started
        if isinstance(item, BaseException):
            raise item
        batch, self.state = item
        return batch

    def __enter__(self) -> "Prefetch":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        # A loader that hangs must not keep the run from ending; the thread is a daemon.
        self._thread.join(timeout=10)
