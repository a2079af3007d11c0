"""What a study is computed from, as files: every episode, and what every run cost.

    episodes.csv.gz     one row per episode; the same rows give the same bytes
    costs.json          what was counted and measured once: budgets of arms, in what they are not
                        matched, FLOPs and seconds of runs, milliseconds of conditions

Everything in study.json and on the page follows from these two and the study's config, so that it
can be computed again without training or playing anything.
"""

import csv
import dataclasses
import gzip
import io
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from wamjax.core.errors import UserError

EPISODES, COSTS = "episodes.csv.gz", "costs.json"
COLUMNS = (
    "condition", "seed", "repeat", "task", "world", "axis", "sub_axis", "severity", "success",
    "steps", "closest", "distance", "diverged", "mode", "other", "path",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Episode:
    """One rollout.

    Attributes:
        condition, seed, repeat: whose.
        task, world: where; `world` counts the manifest's worlds of the task.
        axis, sub_axis, severity: what is perturbed; "clean", "" and 0 where nothing is.
        success: whether it was solved.
        steps: control steps until it was; -1 where it never was.
        closest, distance: metres to the goal, least on the way and at the end; None where the
            physics diverged at once.
        diverged: whether the physics did.
        mode: the way that was taken; "" where none showed.
        other: whether what another instruction asks for was done.
        path: of the tools' points, in mm, point by point with spaces between; "" where the study
            does not roll out worlds several times.
    """

    condition: str
    seed: int
    repeat: int
    task: str
    world: int
    axis: str
    sub_axis: str
    severity: int
    success: bool
    steps: int
    closest: float | None
    distance: float | None
    diverged: bool
    mode: str
    other: bool
    path: str = ""


def episodes_from(
    condition: str, seed: int, repeat: int, task: str, rows: Sequence[Mapping[str, Any]]
) -> Iterator[Episode]:
    """The records that `eval.evaluate.evaluate` left of a policy on a task, in world order."""
    for world, row in enumerate(rows):
        yield Episode(
            condition=condition,
            seed=seed,
            repeat=repeat,
            task=task,
            world=world,
            axis=row["axis"],
            sub_axis=row["sub_axis"],
            severity=row["severity"],
            success=row["success"],
            steps=row["steps_to_success"],
            closest=_short(row["closest"]),
            distance=_short(row["distance"]),
            diverged=row["diverged"],
            mode=row["mode"] or "",
            other=row["other"],
            path=" ".join(str(number) for point in row["path"] or () for number in point),
        )


def _short(metres: float | None) -> float | None:
    """To a tenth of a millimetre."""
    return None if metres is None else round(metres, 4)


def write_episodes(path: str | os.PathLike, episodes: Iterable[Episode]) -> pathlib.Path:
    """As gzipped CSV, whole or not at all."""
    target, text = pathlib.Path(path), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for episode in episodes:
        writer.writerow([_told(value) for value in dataclasses.astuple(episode)])
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}")
    # No time and no name inside: the same rows are the same bytes.
    beside.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    return beside.replace(target)


def _told(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return "" if value is None else value


def read_episodes(path: str | os.PathLike) -> list[Episode]:
    """What `write_episodes` wrote.

    Raises:
        UserError: the file is missing, cut short or of other columns.
    """
    source = pathlib.Path(path)
    if not source.is_file():
        raise UserError(f"{source} does not exist; run the study, or give the folder that has it.")
    try:
        rows = list(csv.reader(gzip.decompress(source.read_bytes()).decode().splitlines()))
        if not rows or tuple(rows[0]) != COLUMNS:
            raise ValueError("it has other columns")
        return [_episode(row) for row in rows[1:]]
    except (EOFError, OSError, ValueError) as error:
        raise UserError(f"{source} holds no episodes of a study ({error}); restore it.") from error


def _episode(row: Sequence[str]) -> Episode:
    if len(row) != len(COLUMNS):
        raise ValueError(f"a row has {len(row)} columns")
    it = dict(zip(COLUMNS, row, strict=True))
    return Episode(
        condition=it["condition"],
        seed=int(it["seed"]),
        repeat=int(it["repeat"]),
        task=it["task"],
        world=int(it["world"]),
        axis=it["axis"],
        sub_axis=it["sub_axis"],
        severity=int(it["severity"]),
        success=it["success"] == "1",
        steps=int(it["steps"]),
        closest=float(it["closest"]) if it["closest"] else None,
        distance=float(it["distance"]) if it["distance"] else None,
        diverged=it["diverged"] == "1",
        mode=it["mode"],
        other=it["other"] == "1",
        path=it["path"],
    )
