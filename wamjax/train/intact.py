"""Is a checkpoint on disk what was saved? A table of sizes and check sums says so.

    <workdir>/checkpoints/<step>/intact.json     {"state/d/0f3a": [bytes, CRC-32], ...}

It is written into the checkpoint before the rename that makes it one, so that a whole checkpoint
has its table. Older checkpoints have none; they are believed, and told to be unchecked. A broken
one is moved to `<workdir>/set_aside`, never deleted: part of it may still be worth something.
CRC-32 finds what disks and networks do (about 2 GB/s on one core), not what an enemy does.
"""

import json
import os
import pathlib
import shutil
import zlib
from collections.abc import Callable

from wamjax.core.files import write_json

TABLE, ASIDE, UNFINISHED = "intact.json", "set_aside", ".orbax-checkpoint-tmp"
AT_ONCE = 2**24


def write_table(checkpoint: pathlib.Path) -> None:
    """Measure every file below the items of a checkpoint that is about to be finished."""
    files = sorted(path for item in checkpoint.iterdir() if item.is_dir() for path in _files(item))
    table = {
        path.relative_to(checkpoint).as_posix(): [path.stat().st_size, _check_sum(path)]
        for path in files
    }
    write_json(checkpoint / TABLE, table)


def fault(checkpoint: pathlib.Path) -> str | None:
    """What is wrong with a checkpoint, or None; one without a table cannot be wrong.

    All sizes are looked at before any content is read.
    """
    file = checkpoint / TABLE
    if not file.is_file():
        return None
    try:
        table = json.loads(file.read_bytes())
        rows = [(name, checkpoint / name, size, check) for name, (size, check) in table.items()]
    except (ValueError, TypeError, AttributeError):
        return f"{TABLE} cannot be read"
    for name, path, size, _ in rows:
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes instead of {size}"
    for name, path, _, check in rows:
        if _check_sum(path) != check:
            return f"{name} has other content than was saved"
    return None


def newest_intact(workdir: pathlib.Path, folder: str, say: Callable[[str], None]) -> int | None:
    """The step of the newest checkpoint that is what was saved; broken ones are set aside."""
    for step in sorted(steps_in(workdir / folder), reverse=True):
        checkpoint = workdir / folder / str(step)
        wrong = fault(checkpoint)
        if wrong is None:
            if not (checkpoint / TABLE).is_file():
                say(f"checkpoint of step {step} has no {TABLE}; it is used unchecked.")
            return step
        set_aside(workdir, checkpoint, wrong, say)
    return None


def set_aside(
    workdir: pathlib.Path, checkpoint: pathlib.Path, wrong: str, say: Callable[[str], None]
) -> None:
    """Move a broken checkpoint out of the way and say so."""
    shelf = workdir / ASIDE
    shelf.mkdir(exist_ok=True)
    count = sum(path.name.split("-")[0] == checkpoint.name for path in shelf.iterdir())
    place = shelf / (f"{checkpoint.name}-{count + 1}" if count else checkpoint.name)
    os.rename(checkpoint, place)
    say(
        f"checkpoint of step {checkpoint.name} is broken ({wrong}); "
        f"moved to {place}, the one before it is used."
    )


def steps_in(folder: pathlib.Path) -> list[int]:
    """Steps of the finished checkpoints in `folder`, which need not exist."""
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())


def sweep(folder: pathlib.Path) -> int:
    """Remove what killed or failed saves left half-written: they hold the space the next needs.

    Returns:
        How many there were.
    """
    if not folder.is_dir():
        return 0
    left = [path for path in folder.iterdir() if UNFINISHED in path.name]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _check_sum(path: pathlib.Path) -> int:
    value = 0
    with path.open("rb") as file:
        while piece := file.read(AT_ONCE):
            value = zlib.crc32(piece, value)
    return value
