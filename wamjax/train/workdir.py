"""Whose workdir is it? A run never continues in the workdir of another one.

`config.json` names the run. Settings in `FREE` may change between two starts of one run: they
change what is kept or shown, or where arrays live, but not which numbers are computed (another
mesh rounds differently within float tolerance). Everything else, `train.steps` too since the
learning rate's cosine ends there, makes another run.
"""

import pathlib
from typing import Any

from wamjax.core.config import difference
from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_json

FREE = ("train.save_every", "train.keep", "train.log_every", "mesh.")


def claim(workdir: pathlib.Path, config: dict[str, Any], *, write: bool) -> None:
    """Make `workdir` this run's, or recognise it as such.

    Args:
        workdir: is made if missing.
        config: the run's config as JSON.
        write: leave `config.json` there; one of several hosts does, all of them check.

    Raises:
        UserError: it belongs to another config (the sentence says which settings differ), or
            holds checkpoints without a `config.json`.
    """
    file = workdir / "config.json"
    if file.is_file():
        rows = [row for row in difference(read_json(file), config) if not row[0].startswith(FREE)]
        if rows:
            listed = "; ".join(
                f"{path}: {theirs!r} there, {ours!r} here" for path, theirs, ours in rows
            )
            raise UserError(
                f"{workdir} belongs to another config ({listed}); "
                "choose another --workdir or the same settings."
            )
    elif (workdir / "checkpoints").is_dir() and any((workdir / "checkpoints").iterdir()):
        raise UserError(
            f"{workdir} holds checkpoints but no config.json; choose another --workdir."
        )
    if write:
        write_json(file, config)


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
