"""PyTorch's zip files (`torch.save` since 1.6), read without torch and without pickle.

    NAME/data.pkl      a dict of tensors, see `wamjax.pretrained.torch_pickle`
    NAME/data/KEY      the numbers of a storage, never compressed; tensors may share one
    NAME/byteorder     "little", where it stands

Numbers are mapped where they stand; the check sum of a storage is looked at before its first use.
"""

import dataclasses
import math
import pathlib
import struct
import zipfile
import zlib

import jax
import ml_dtypes
import numpy as np

from wamjax.core.errors import UserError
from wamjax.pretrained.tensors import mapped, shown, too_large
from wamjax.pretrained.torch_pickle import KINDS, Stored, UnreadableError, tensors_in

DTYPES = {kind: np.dtype(getattr(ml_dtypes, kind, kind)) for kind in KINDS}
LOCAL = struct.Struct("<4s2xH18xHH")
"""Of an entry's own header: signature, flags, lengths of its name and of what stands behind it."""
LARGEST_PICKLE = 2**28
AT_ONCE = 2**24


@dataclasses.dataclass(frozen=True)
class Entry:
    """Where an entry's bytes stand in the zip file."""

    start: int
    size: int
    check_sum: int


class TorchFile:
    """One file; see `wamjax.pretrained.tensors.Tensors`.

    Raises:
        UserError: it is broken, or holds more than tensors.
    """

    def __init__(self, path: pathlib.Path):
        self.files = (path,)
        self._sound: set[str] = set()
        try:
            self._entries = _entries(path)
            if "byteorder" in self._entries and self._content("byteorder") != b"little":
                raise UnreadableError("its numbers are not little-endian")
            self._stored = tensors_in(self._content("data.pkl"))
            for name, stored in self._stored.items():
                self._refuse_misfit(name, stored)
        except UnreadableError as error:
            raise _refused(path, error) from error
        self.shapes = {
            name: jax.ShapeDtypeStruct(x.shape, DTYPES[x.kind]) for name, x in self._stored.items()
        }

    def read(self, name: str) -> np.ndarray:
        """See `Tensors`."""
        stored = self._stored[name]
        key, dtype = f"data/{stored.storage.key}", DTYPES[stored.kind]
        try:
            self._check(key)
        except UnreadableError as error:
            raise _refused(self.files[0], error) from error
        start = self._entries[key].start + stored.offset * dtype.itemsize
        reach = mapped(self.files[0], start, (_reach(stored),), dtype)
        # A stride that is never taken may be any number.
        taken = [length > 1 and 0 not in stored.shape for length in stored.shape]
        pairs = zip(taken, stored.strides, strict=True)
        steps = [step * dtype.itemsize if used else 0 for used, step in pairs]
        return np.lib.stride_tricks.as_strided(reach, stored.shape, steps, writeable=False)

    def _refuse_misfit(self, name: str, stored: Stored) -> None:
        entry = self._entries.get(f"data/{stored.storage.key}")
        if entry is None or not stored.kind:
            raise UnreadableError(f"the numbers of {shown(name)} are not in it")
        width = DTYPES[stored.kind].itemsize
        of_storage = DTYPES[stored.storage.kind].itemsize if stored.storage.kind else 1
        if entry.size != stored.storage.count * of_storage:
            raise UnreadableError(
                f"the storage of {shown(name)} has {entry.size} bytes, others than it says"
            )
        numbers = entry.size // width
        # More numbers than stand there: strides of 0, by which a small file fills any memory.
        if (
            too_large(stored.shape)
            or math.prod(stored.shape) > numbers
            or stored.offset + _reach(stored) > numbers
        ):
            raise UnreadableError(f"{shown(name)} reaches beyond its storage")

    def _check(self, key: str) -> None:
        if key in self._sound:
            return
        entry, value = self._entries[key], 0
        with self.files[0].open("rb") as file:
            file.seek(entry.start)
            for begin in range(0, entry.size, AT_ONCE):
                value = zlib.crc32(file.read(min(AT_ONCE, entry.size - begin)), value)
        if value != entry.check_sum:
            raise UnreadableError(f"{shown(key)} has other bytes than were written")
        self._sound.add(key)

    def _content(self, key: str) -> bytes:
        if key not in self._entries:
            raise UnreadableError(f"it has no {key}")
        entry = self._entries[key]
        if entry.size > LARGEST_PICKLE:
            raise UnreadableError(f"its {key} has {entry.size} bytes")
        self._check(key)
        with self.files[0].open("rb") as file:
            file.seek(entry.start)
            return file.read(entry.size)


def _reach(stored: Stored) -> int:
    """How many numbers of the storage lie between the tensor's first and its last one."""
    if 0 in stored.shape:
        return 0
    steps = zip(stored.shape, stored.strides, strict=True)
    return 1 + sum((length - 1) * step for length, step in steps)


def _entries(path: pathlib.Path) -> dict[str, Entry]:
    """Entries by their name below the folder that holds data.pkl."""
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.infolist()
    # What zipfile raises where a directory is none.
    except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, OSError) as error:
        raise UnreadableError("it is no whole zip file") from error
    roots = {x.filename.split("/")[0] for x in listed if x.filename.split("/")[1:] == ["data.pkl"]}
    if len(roots) != 1:
        raise UnreadableError("it has no data.pkl, or several")
    root, end, size = f"{roots.pop()}/", 0, path.stat().st_size
    found: dict[str, Entry] = {}
    with path.open("rb") as file:
        for info in sorted(listed, key=lambda x: x.header_offset):
            name = info.filename
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
                raise UnreadableError(f"its entry {shown(name)} is compressed")
            if info.header_offset < end or not 0 <= info.header_offset <= size - LOCAL.size:
                raise UnreadableError(f"its entry {shown(name)} lies outside or in another one")
            file.seek(info.header_offset)
            mark, flags, width, more = LOCAL.unpack(file.read(LOCAL.size))
            own = file.read(width)
            start = info.header_offset + LOCAL.size + width + more
            end = start + info.file_size
            if mark != b"PK\x03\x04" or (flags | info.flag_bits) & 1 or end > size:
                raise UnreadableError(f"its entry {shown(name)} is cut short, encrypted or none")
            if own != name.encode() or name.removeprefix(root) in found:
                raise UnreadableError(f"its entry {shown(name)} has two names")
            if name.startswith(root):
                found[name.removeprefix(root)] = Entry(start, info.file_size, info.CRC)
    return found


def _refused(path: pathlib.Path, error: UnreadableError) -> UserError:
    return UserError(
        f"{path} is not read ({error}): only whole files of plain tensors are, as torch.save "
        "writes a state dict."
    )
