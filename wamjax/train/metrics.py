"""Curves: `metrics.jsonl` (one JSON object per line, flushed) and TensorBoard events.

Both are cut back to the restored step on resume, so a step stands in a curve once. A disk that
refuses a row does not end the run: rows wait in memory until it takes them (TensorBoard, which has
no such patience, may miss some).
"""

import json
import os
import pathlib
import time
from collections.abc import Callable, Mapping
from types import TracebackType

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog  # pyright: ignore
from tensorboardX.summary import scalar

from wamjax.core.files import write_text

FILE, BOARD = "metrics.jsonl", "tensorboard"


def read_metrics(workdir: pathlib.Path) -> list[dict[str, float]]:
    """The rows of `metrics.jsonl`, without a last line that was cut off."""
    file = workdir / FILE
    if not file.is_file():
        return []
    rows = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


class Metrics:
    """Writes rows of numbers.

    Args:
        workdir: `metrics.jsonl` and the folder `tensorboard` stand there.
        step: the restored step; rows beyond it are dropped.
        main: whether this process writes (one of all hosts does).
        say: told once when the disk refuses rows.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        step: int,
        *,
        main: bool = True,
        say: Callable[[str], None] = print,
    ):
        self._file: int | None = None
        self._board: Board | None = None
        self._say, self._waiting, self._told = say, b"", False
        if not main:
            return
        kept = [row for row in read_metrics(workdir) if row["step"] <= step]
        write_text(workdir / FILE, "".join(json.dumps(row) + "\n" for row in kept))
        self._file = os.open(workdir / FILE, os.O_WRONLY | os.O_APPEND)
        self._board = Board(workdir / BOARD, step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One row; values are finite floats."""
        if self._file is None or self._board is None:
            return
        line = json.dumps({"step": step, **values}, allow_nan=False) + "\n"
        self._waiting += line.encode()
        self._flush(self._file)
        self._board.write(step, values)

    def _flush(self, file: int) -> None:
        try:
            while self._waiting:
                self._waiting = self._waiting[os.write(file, self._waiting) :]
            self._told = False
        except OSError as error:
            if not self._told:
                self._told = True
                self._say(f"{FILE} cannot be written ({error.strerror}); its rows wait in memory.")

    def __enter__(self) -> "Metrics":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None and self._board is not None:
            self._flush(self._file)
            os.close(self._file)
            self._board.close()


class Board:
    """TensorBoard's event files, written where they are called: a writer thread of its own would
    stop for good at the first row that the disk refuses, and the run with it."""

    def __init__(self, folder: pathlib.Path, step: int):
        self._folder, self._count, self._writer = folder, 0, None
        self._event(Event(step=step, session_log=SessionLog(status=SessionLog.START)))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One row."""
        for name, value in values.items():
            self._event(Event(step=step, summary=scalar(name, value)))
        self._do(EventsWriter.flush)

    def _event(self, event: Event) -> None:
        event.wall_time = time.time()
        self._do(lambda writer: writer.write_event(event))

    def _do(self, act: Callable[[EventsWriter], object]) -> None:
        try:
            if self._writer is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                prefix, suffix = str(self._folder / "events"), f".{os.getpid()}.{self._count}"
                self._writer = EventsWriter(prefix, suffix)
            act(self._writer)
        except OSError:
            # What was cut off cannot be mended; the next row begins a new file.
            self._writer, self._count = None, self._count + 1

    def close(self) -> None:
        """Nothing is written any more."""
        if self._writer is not None:
            self._do(EventsWriter.close)
