"""Safetensors, read and written as documented (huggingface/safetensors, README, "Format").

    uint64 n, little-endian | n bytes of JSON: name -> {dtype, shape, data_offsets} | numbers

Numbers stand in C order, one tensor right behind the other. The library copies what it reads and
knows no bfloat16 of NumPy, therefore this is not it; both are compared in the tests.
"""

import functools
import json
import math
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import ml_dtypes
import numpy as np

from wamjax.core.errors import UserError
from wamjax.pretrained.tensors import Joined, mapped, shown, too_large

DTYPES: Mapping[str, np.dtype] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
LARGEST_HEADER = 100_000_000
INDEX = ".safetensors.index.json"
METADATA, UNFINISHED = "__metadata__", ".unfinished"


class SafetensorsFile:
    """One file; see `wamjax.pretrained.tensors.Tensors`.

    Raises:
        UserError: it is no safetensors file, or a broken one.
    """

    def __init__(self, path: pathlib.Path):
        self.files = (path,)
        self.shapes, self._starts, self.metadata = _parsed(path)

    def read(self, name: str) -> np.ndarray:
        """See `Tensors`."""
        wanted = self.shapes[name]
        return mapped(self.files[0], self._starts[name], wanted.shape, np.dtype(wanted.dtype))


def _parsed(
    path: pathlib.Path,
) -> tuple[dict[str, jax.ShapeDtypeStruct], dict[str, int], dict[str, str]]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, LARGEST_HEADER):
            raise _broken(path, "its header is longer than the file or the format allows")
        raw = file.read(length)
    try:
        header = json.loads(raw.decode(), object_pairs_hook=_once)
        metadata = header.pop(METADATA, {})
        rows = sorted(
            (tuple(row["data_offsets"]), name, row["dtype"], tuple(row["shape"]))
            for name, row in header.items()
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _broken(path, f"its header cannot be read: {shown(error)}") from error
    shapes, starts, end = {}, {}, 0
    for offsets, name, kind, shape in rows:
        if not isinstance(kind, str) or kind not in DTYPES:
            raise _broken(path, f"{shown(name)} is of dtype {shown(kind)}, which is not known here")
        if len(offsets) != 2 or not all(type(n) is int and n >= 0 for n in (*offsets, *shape)):
            raise _broken(path, f"{shown(name)} has sizes that are no counts")
        if too_large(shape) or offsets[1] - offsets[0] != math.prod(shape) * DTYPES[kind].itemsize:
            raise _broken(path, f"{shown(name)} has other bytes than its shape {shape} needs")
        if offsets[0] != end:
            raise _broken(
                path, f"{shown(name)} begins at {offsets[0]}, the tensor before ends at {end}"
            )
        end = offsets[1]
        shapes[name] = jax.ShapeDtypeStruct(shape, DTYPES[kind])
        starts[name] = 8 + length + offsets[0]
    if 8 + length + end != size:
        raise _broken(path, f"it has {size} bytes, its header tells of {8 + length + end}")
    return shapes, starts, metadata if isinstance(metadata, dict) else {}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _broken(path: pathlib.Path, what: str) -> UserError:
    return UserError(f"{path} is no whole safetensors file ({what}): get it once more.")


def sharded(index: pathlib.Path) -> Joined:
    """The files that an index names.

    Raises:
        UserError: the index is broken, names a file outside of its folder or one that is not
            there, or other tensors than the files hold.
    """
    try:
        homes = json.loads(index.read_bytes())["weight_map"]
        files = sorted({*homes.values()})
        # A name such as "../x" or "/x" would reach outside.
        outside = [file for file in files if pathlib.PurePath(file).name != file]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"{index} is no index of safetensors files: get it once more.") from error
    missing = [file for file in files if file in outside or not (index.parent / file).is_file()]
    if missing or not files:
        raise UserError(
            f"{index} names {len(files)} files, of which {missing[:3]} are not beside it: get all "
            "files of the model into one folder."
        )
    found = Joined([SafetensorsFile(index.parent / file) for file in files])
    differ = sorted({*homes} ^ {*found.shapes})
    if differ:
        raise UserError(
            f"{index} and its files differ in {len(differ)} tensors, first {shown(differ[0])}: get "
            "them from one place."
        )
    return found


def header_of(shapes: Mapping[str, jax.ShapeDtypeStruct], metadata: Mapping[str, str]) -> bytes:
    """What stands before the numbers of tensors that follow in this order.

    Raises:
        KeyError: the format has no such dtype.
    """
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    end = 0
    for name, x in shapes.items():
        begin, end = end, end + math.prod(x.shape) * np.dtype(x.dtype).itemsize
        kind = NAMES[np.dtype(x.dtype)]
        header[name] = {"dtype": kind, "shape": list(x.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def write(
    path: pathlib.Path,
    shapes: Mapping[str, jax.ShapeDtypeStruct],
    fill: Callable[[str, Callable[[], np.ndarray]], None],
    metadata: Mapping[str, str],
) -> None:
    """A whole file or none.

    Args:
        path: is there when all is written.
        shapes: of the tensors.
        fill: called for each with its name and what maps its place in the file, once for each part
            that is written: what was written and let go needs no memory.
        metadata: words that travel with them.

    Raises:
        OSError: there is no room.
    """
    unfinished = path.with_name(path.name + UNFINISHED)
    header = header_of(shapes, metadata)
    numbers = {k: math.prod(x.shape) * np.dtype(x.dtype).itemsize for k, x in shapes.items()}
    with unfinished.open("wb") as file:
        file.write(header)
        # A full disk must be told now: to write to a mapped page without room ends the process.
        os.posix_fallocate(file.fileno(), 0, len(header) + sum(numbers.values()))
    start = len(header)
    for name, x in shapes.items():
        if numbers[name]:
            place = functools.partial(np.memmap, unfinished, x.dtype, "r+", start, tuple(x.shape))
            fill(name, place)
        start += numbers[name]
    with unfinished.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(unfinished, path)
