"""Curves: `metrics.jsonl` (one JSON object per line, flushed) and TensorBoard events.

Both are cut back to the restored step on resume, so a step stands in a curve once.
"""

import json
import pathlib
from collections.abc import Mapping
from types import TracebackType

from tensorboardX import SummaryWriter

from wamjax.core.files import write_text

FILE = "metrics.jsonl"


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
    """

    def __init__(self, workdir: pathlib.Path, step: int, *, main: bool = True):
        self._file = self._board = None
        if not main:
            return
        kept = [row for row in read_metrics(workdir) if row["step"] <= step]
        write_text(workdir / FILE, "".join(json.dumps(row) + "\n" for row in kept))
        self._file = (workdir / FILE).open("a", encoding="utf-8", buffering=1)
        self._board = SummaryWriter(str(workdir / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One row; values are finite floats."""
        if self._file is None or self._board is None:
            return
        self._file.write(json.dumps({"step": step, **values}, allow_nan=False) + "\n")
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def __enter__(self) -> "Metrics":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None and self._board is not None:
            self._file.close()
            self._board.close()
