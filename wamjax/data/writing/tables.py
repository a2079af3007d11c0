"""The tables of a split, from those of its shards one after the other.

Numbers of steps, words, bytes and rows are counted on; what each shard says stays as it is. They
are copied shard by shard, so that memory does not grow with the data.
"""

import itertools
import os
import pathlib
import shutil
from collections.abc import Iterable, Sequence

import numpy as np

from wamjax.data.files import store_format as form
from wamjax.data.files.schema import Feature
from wamjax.data.writing.shard import Shard


def assemble(
    parts: Sequence[tuple[pathlib.Path, Shard]], features: dict[str, Feature], folder: pathlib.Path
) -> None:
    """Fill the folder of a split; the files of records move there.

    Args:
        parts: the folders of the shards, in order, and what they tell.
        features: that are stored.
        folder: of the split in the store.
    """
    for inner in ("columns", "texts"):
        (folder / inner).mkdir(parents=True, exist_ok=True)
    names = {form.shard_name(int(part.name)) for part, shard in parts if shard.episodes}
    for path in [path for path in folder.rglob("*") if path.is_file() and path.name not in names]:
        path.unlink()
    full = [(part, shard) for part, shard in parts if shard.episodes]
    folders = [part for part, _ in full]
    words = [_rows(part / form.BEGINS) - 1 for part in folders]
    for name, feature in form.columns_of(features).items():
        file = form.column_file(feature.kind, name)
        number = feature.kind == "number"
        _write(
            folder / file,
            (
                np.load(part / file) if number else np.load(part / file) + np.uint32(before)
                for part, before in zip(folders, _before(words), strict=True)
            ),
            sum(shard.steps for _, shard in full),
        )
    steps = [shard.steps for _, shard in full]
    _write(folder / form.SIZES, (np.load(part / form.SIZES) for part in folders), sum(steps))
    _write(folder / form.BEGINS, _begins(folders), sum(words) + 1)
    _write(folder / form.EPISODES, _index(folders, steps), sum(s.episodes for _, s in full))
    for name in (form.WORDS, form.METADATA):
        with open(folder / name, "wb") as out:
            for part in folders:
                with open(part / name, "rb") as file:
                    shutil.copyfileobj(file, out)
    for part, shard in parts:
        if shard.episodes and (part / form.RECORDS).is_file():
            os.replace(part / form.RECORDS, folder / form.shard_name(int(part.name)))


def _before(counts: Sequence[int]) -> list[int]:
    """How many there are before each."""
    return [0, *itertools.accumulate(counts)][:-1]


def _rows(path: pathlib.Path) -> int:
    return len(np.load(path, mmap_mode="r"))


def _write(path: pathlib.Path, blocks: Iterable[np.ndarray], rows: int) -> None:
    """`blocks` one after the other as one array of `rows`."""
    out, at = None, 0
    for block in blocks:
        if out is None:
            shape = (rows, *block.shape[1:])
            out = np.lib.format.open_memmap(path, "w+", block.dtype, shape)
        out[at : at + len(block)] = block
        at += len(block)
    assert out is not None
    assert at == rows
    out.flush()


def _begins(folders: list[pathlib.Path]) -> Iterable[np.ndarray]:
    sizes = [(part / form.WORDS).stat().st_size for part in folders]
    yield np.zeros(1, np.int64)
    for part, before in zip(folders, _before(sizes), strict=True):
        yield np.load(part / form.BEGINS)[1:] + before


def _index(folders: list[pathlib.Path], steps: list[int]) -> Iterable[np.ndarray]:
    lines = [(part / form.METADATA).stat().st_size for part in folders]
    for part, first, byte in zip(folders, _before(steps), _before(lines), strict=True):
        rows = np.load(part / form.EPISODES)
        rows["first"] += first
        rows["metadata"] += byte
        yield rows
