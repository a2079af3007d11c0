"""Whose workdir is it? A run never continues in the workdir of another one.

`config.json` names the run. Settings in `FREE` may change between two starts of one run: they
change what is kept or shown, how many threads read, or where and by which kernel arrays are
computed, but not which numbers (another mesh rounds differently within float tolerance). Everything
else, `train.steps` too since the learning rate's cosine ends there, makes another run.
"""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

from wamjax.core.config import difference
from wamjax.core.errors import UserError
from wamjax.core.files import read_json
from wamjax.train.checkpoint import FOLDER

CONFIG = "config.json"
FREE = (
    "train.save_every",
    "train.keep",
    "train.log_every",
    "train.hang_after",
    "data.workers",
    "mesh.",
    "system.model.attention",
    "system.model.sequence",
)


def refuse_other_runs(workdir: pathlib.Path, config: dict[str, Any]) -> None:
    """Refuse a workdir with checkpoints of another run; without checkpoints it is free.

    Args:
        workdir: need not exist.
        config: the run's config as JSON.

    Raises:
        UserError: it belongs to another config (the sentence says which settings differ), or
            holds checkpoints without a `config.json`.
    """
    folder, file = workdir / FOLDER, workdir / CONFIG
    if not folder.is_dir() or not any(path.name.isdigit() for path in folder.iterdir()):
        return
    if not file.is_file():
        raise UserError(f"{workdir} holds checkpoints but no {CONFIG}; choose another --workdir.")
    refuse_other_config(f"{workdir} belongs", read_json(file), config)


def refuse_other_config(who: str, theirs: Any, ours: Any) -> None:
    """Refuse to go on from what another run made.

    Args:
        who: begins the sentence, for example "runs/a belongs".
        theirs: the config there, as JSON.
        ours: the run's config as JSON.

    Raises:
        UserError: they differ in more than `FREE` settings; all differences are told.
    """
    rows = [
        row
        for row in difference(theirs, ours)
        # A part that is absent was absent, or off, before it could be named.
        if not row[0].startswith(FREE) and not (row[1] == "absent" and off(row[2]))
    ]
    if rows:
        listed = "; ".join(f"{path}: {there!r} there, {here!r} here" for path, there, here in rows)
        raise UserError(
            f"{who} to another config ({listed}); choose another --workdir or the same settings."
        )


def off(value: Any) -> bool:
    """Whether a setting that came later does nothing."""
    return value is None or value is False or value == "none"


@contextlib.contextmanager
def told_if_unwritable(workdir: pathlib.Path) -> Iterator[None]:
    """Meanwhile nothing is read, so what the disk refuses is a write: one sentence says so.

    Raises:
        UserError: it refused.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{workdir} cannot be written ({error.strerror}); make room or make it writable, "
            "the same command goes on."
        ) from error


def same_statistics(workdir: pathlib.Path, saved: Any, given: Any) -> None:
    """Refuse to go on with statistics that are not those the weights were trained with.

    Raises:
        UserError: they differ.
    """
    rows = difference(saved, given)
    if rows:
        path, theirs, ours = rows[0]
        raise UserError(
            f"{workdir} was trained with other statistics ({len(rows)} differences, first "
            f"{path}: {theirs!r} there, {ours!r} here); restore the data or choose another "
            "--workdir."
        )
