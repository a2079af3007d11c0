"""Pictures inside a TFRecord: read one by one from where they stand in the file.

    record = ... | tag, length, image 0 | tag, length, image 1 | ...      of one camera

A record is one episode, and a window wants a few of its frames. When an episode is first read, its
record is checked and parsed as a whole, and where its images start is kept, 4 bytes each; from
then on a window reads its own frames alone, those that stand side by side in one go.
"""

import bisect
import collections
import dataclasses
import os
import pathlib
import threading
from collections.abc import Iterator, Sequence

import numpy as np

from wamjax.data.files.paths import Location, Remote

OPEN = 256  # files that are kept open at most


# The largest fields whose length takes 1, 2, 3 and 4 bytes.
LIMITS = (2 + 2**7 - 1, 3 + 2**14 - 1, 4 + 2**21 - 1, 5 + 2**28 - 1)


def head(size: int) -> int:
    """Bytes of a field's tag and length: 1, and 1 for every 7 bits of the length."""
    return 2 + bisect.bisect_left(LIMITS, size)


def find(payload: bytes, images: Sequence[bytes]) -> np.ndarray | None:
    """Where the fields of `images` start in a record, and where the last one ends.

    Returns:
        uint32 [T + 1]; None if they do not stand one behind the other.
    """
    shown = next((t for t, image in enumerate(images) if image), None)
    if shown is None or len(payload) >= 2**32:
        return None
    sizes = [
        len(image) + 2 + sum(len(image) >= 1 << bits for bits in (7, 14, 21, 28))
        for image in images
    ]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    content = int(starts[shown + 1]) - len(images[shown])
    starts += payload.find(images[shown]) - content
    there = starts[0] >= 0 and all(
        payload.startswith(image, int(end) - len(image))
        for end, image in zip(starts[1:], images, strict=True)
    )
    return starts.astype(np.uint32) if there else None


class _Open:
    """A file that is closed when the last who reads from it has let go of it."""

    def __init__(self, path: pathlib.Path):
        self.number = -1
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)


class Files:
    """Files that are read from at any offset by any thread, kept open; pickled as nothing."""

    def __init__(self) -> None:
        self._open: collections.OrderedDict[pathlib.Path, _Open] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["Files"], tuple[()]]:
        return Files, ()

    def read(self, path: Location, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on, fewer at the end of the file."""
        if isinstance(path, Remote):
            return path.range(offset, offset + size)
        with self._lock:
            if path not in self._open:
                self._open[path] = _Open(path)
                if len(self._open) > OPEN:
                    self._open.popitem(last=False)
            self._open.move_to_end(path)
            file = self._open[path]
        return os.pread(file.number, size, offset)


@dataclasses.dataclass(frozen=True, eq=False)
class InRecord:
    """The pictures of one camera of an episode.

    Attributes:
        files, path: where they are read.
        payload: offset of the record's content in the file.
        starts: uint32 [T + 1], their fields in it; see `find`.
    """

    files: Files
    path: Location
    payload: int
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def is_recorded(self, t: int) -> bool:
        """Whether an image stands at step t, readable or not; nothing is read for it."""
        return int(self.starts[t + 1]) - int(self.starts[t]) > head(0)

    def encoded(self, times: Sequence[int]) -> list[bytes]:
        """The images of `times`, b"" where the camera is missing.

        Raises:
            OSError, ValueError: they can no longer be read.
        """
        found: dict[int, bytes] = {}
        for first, stop in _runs(times):
            bounds = self.starts[first : stop + 1].tolist()
            size = bounds[-1] - bounds[0]
            data = self.files.read(self.path, self.payload + bounds[0], size)
            if len(data) != size:
                raise ValueError(f"{self.path} is cut off")
            for t, begin, end in zip(range(first, stop), bounds, bounds[1:], strict=False):
                found[t] = data[begin - bounds[0] + head(end - begin) : end - bounds[0]]
        return [found[int(t)] for t in times]

    def mark(self) -> bytes:
        """The first image as it is encoded."""
        return self.encoded([0])[0]

    @property
    def size_bytes(self) -> int:
        """Bytes of its images, with the lengths that stand between them."""
        return int(self.starts[-1]) - int(self.starts[0])


def _runs(times: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Steps that stand side by side, each once: first and stop."""
    first, stop = None, -1
    for t in sorted({int(t) for t in times}):
        if t != stop:
            if first is not None:
                yield first, stop
            first = t
        stop = t + 1
    if first is not None:
        yield first, stop
