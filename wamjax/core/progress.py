"""Progress with a rate and an ETA: a bar on a terminal, a plain line now and then in a log."""

import contextlib
import sys
import time
from types import TracebackType
from typing import Self, TextIO

from tqdm import tqdm


def seconds(value: float) -> str:
    """ "7 s", "3 min 20 s" or "2 h 05 min"."""
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """Count to `total` and say how fast.

    Args:
        label: what is being done, for example "train" or "demos reach".
        total: the count that means done.
        unit: what is counted.
        done: the count to start from, when resuming.
        every: seconds between plain lines.
        stream: where to write; standard error by default.
    """

    def __init__(
        self,
        label: str,
        total: int,
        unit: str,
        *,
        done: int = 0,
        every: float = 10.0,
        stream: TextIO | None = None,
    ):
        self.label, self.total, self.unit, self.every = label, total, unit, every
        self.count = self.first = done
        self.stream = sys.stderr if stream is None else stream
        self.started = self.spoken = time.monotonic()
        self.bar = None
        if self.stream.isatty():
            self.bar = tqdm(total=total, initial=done, desc=label, unit=unit, file=self.stream)

    def advance(self, count: int = 1, note: str = "") -> None:
        """Add `count`; `note` is shown behind the rate."""
        self.count += count
        if self.bar is not None:
            if note:
                self.bar.set_postfix_str(note, refresh=False)
            self.bar.update(count)
        elif time.monotonic() - self.spoken >= self.every and self.count < self.total:
            self._line(note)

    def say(self, text: str) -> None:
        """A line of its own, above the bar."""
        if self.bar is not None:
            self.bar.write(text, file=self.stream)
        else:
            # A log on a full disk must not end what it tells about.
            with contextlib.suppress(OSError):
                print(text, file=self.stream, flush=True)

    def _line(self, note: str) -> None:
        now = time.monotonic()
        self.spoken = now
        rate = (self.count - self.first) / max(now - self.started, 1e-9)
        left = (self.total - self.count) / rate if rate > 0 else float("inf")
        eta = f"ETA {seconds(left)}" if rate > 0 else "ETA unknown"
        tail = f", {note}" if note else ""
        self.say(
            f"{self.label}: {self.count}/{self.total} {self.unit}, {rate:.3g} {self.unit}/s, "
            f"{eta}{tail}"
        )

    def close(self) -> None:
        """End the bar or say the total."""
        if self.bar is not None:
            self.bar.close()
            return
        spent = time.monotonic() - self.started
        made = self.count - self.first
        self.say(
            f"{self.label}: {self.count}/{self.total} {self.unit} in {seconds(spent)} "
            f"({made / max(spent, 1e-9):.3g} {self.unit}/s)"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
