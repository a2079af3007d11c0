"""Pictures in a store: one record a step, with the images of all cameras of that step together.

    record = V lengths, uint32 little-endian | image of camera 0 | ... | image of camera V - 1

An image of length 0 is missing. The lengths stand in the store's table, too, so that it is known
without a record whether there is an image, and a record that belongs elsewhere is not believed. A
window of frames reads the records of its own steps, each once for all cameras.
"""

import collections
import dataclasses
import functools
import threading
from collections.abc import Sequence

import numpy as np

from wamjax.data.faults import BadRecord
from wamjax.data.files.array_record import Picked
from wamjax.data.files.paths import Location

LENGTH = np.dtype("<u4")
OPEN = 256  # files that are kept open at most
# Stands for an image that was there and could not be read when the store was made.
UNREADABLE = b"unreadable"


def pack(images: Sequence[bytes]) -> bytes:
    """The record of a step."""
    return np.array([len(image) for image in images], LENGTH).tobytes() + b"".join(images)


def unpack(record: bytes, sizes: np.ndarray) -> list[bytes]:
    """The images of a step.

    Raises:
        ValueError: not a record of images of these `sizes`, uint32 [V].
    """
    begin = sizes.size * LENGTH.itemsize
    if len(record) != begin + int(sizes.sum()) or record[:begin] != sizes.astype(LENGTH).tobytes():
        raise ValueError("the record does not have the lengths that the table tells")
    ends = (begin + np.cumsum(sizes, dtype=np.int64)).tolist()
    return [record[start:end] for start, end in zip([begin, *ends], ends, strict=False)]


class Records:
    """The shards of a store: opened when first read, then kept open; pickled as paths alone."""

    def __init__(self, paths: tuple[Location, ...]):
        self.paths = paths
        self._open: collections.OrderedDict[int, Picked] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["Records"], tuple[tuple[Location, ...]]]:
        return Records, (self.paths,)

    def read(self, shard: int, number: int) -> bytes:
        """Record `number` of a shard.

        Raises:
            BadRecord: it cannot be read.
        """
        try:
            return self._reader(shard).read(number)
        except Exception as error:  # the reader raises RuntimeError, ValueError and its own
            told = str(self.paths[shard])
            raise BadRecord(told, number, "the record cannot be read", unit="record") from error

    def _reader(self, shard: int) -> Picked:
        with self._lock:
            if shard not in self._open:
                self._open[shard] = Picked(self.paths[shard])
                if len(self._open) > OPEN:
                    # Closed when whoever is reading from it has let go of it.
                    self._open.popitem(last=False)
            self._open.move_to_end(shard)
            return self._open[shard]


class Steps:
    """The records of one episode; those that were read are kept for its other cameras.

    Args:
        records: the store's shards.
        shard: in which the episode stands.
        first: number of the record of its step 0.
        sizes: uint32 [T, V], lengths of the images.
    """

    def __init__(self, records: Records, shard: int, first: int, sizes: np.ndarray):
        self.records, self.shard, self.first, self.sizes = records, shard, first, sizes
        self._held: dict[int, list[bytes] | BadRecord] = {}

    def images(self, t: int) -> list[bytes]:
        """Those of all cameras at step t.

        Raises:
            BadRecord: the record cannot be read, or is another one than the table tells.
        """
        if t not in self._held:
            self._held[t] = self._read(t)
        held = self._held[t]
        if isinstance(held, BadRecord):
            raise held
        return held

    def _read(self, t: int) -> list[bytes] | BadRecord:
        if not self.sizes[t].any():
            return [b""] * self.sizes.shape[1]
        number = self.first + t
        try:
            return unpack(self.records.read(self.shard, number), self.sizes[t])
        except BadRecord as bad:
            return bad
        except ValueError as error:
            path = str(self.records.paths[self.shard])
            return BadRecord(path, number, str(error), unit="record")


@dataclasses.dataclass(frozen=True, eq=False)
class Stored:
    """The pictures of one camera of a stored episode.

    Attributes:
        steps: the episode's records.
        camera: which image of each.
    """

    steps: Steps
    camera: int

    def __len__(self) -> int:
        return len(self.steps.sizes)

    def is_recorded(self, t: int) -> bool:
        """Whether an image stands at step t, readable or not; no record is read for it."""
        return bool(self.steps.sizes[t, self.camera])

    def encoded(self, t: int) -> bytes:
        """The image at step t, b"" where the camera is missing.

        Raises:
            BadRecord: it cannot be read.
        """
        return self.steps.images(t)[self.camera] if self.is_recorded(t) else b""

    def mark(self) -> bytes:
        """The first image as it is encoded, b"" where there is none."""
        try:
            return self.encoded(0)
        except BadRecord:
            return b""

    @functools.cached_property
    def size_bytes(self) -> int:
        """Bytes of its images."""
        return int(self.steps.sizes[:, self.camera].sum(dtype=np.int64))
