"""Frames of a video file, found by their time: number = round(time rate).

Decoding starts at the keyframe before the first frame that is wanted, so frames that lie together
should be asked for together. A thread keeps the last few files open: to open one and to make its
decoder costs as much as a frame or two.
"""

import collections
import contextlib
import dataclasses
import fractions
import functools
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import av
import numpy as np
from PIL import Image

from wamjax.data.files.images import sized
from wamjax.data.files.paths import Location, Remote, source_of

OPEN = 4  # files that a thread keeps open
FAULTS = (av.FFmpegError, OSError, IndexError)  # of files that are no video, or cut off


@dataclasses.dataclass(frozen=True)
class Video:
    """Consecutive frames of a video file.

    Attributes:
        path: of the file.
        first: number of the first frame in the file.
        count: T frames.
        rate: frames a second.
    """

    path: Location
    first: int
    count: int
    rate: float

    def __len__(self) -> int:
        return self.count

    def read(self, times: Sequence[int], size: int | None = None) -> list[np.ndarray | None]:
        """uint8 [H, W, 3] of each of `times`, resized if asked; None where it cannot be decoded."""
        wanted = {self.first + int(t) for t in times}
        found: dict[int, np.ndarray] = {}
        try:
            with _opened(self.path, anew=not min(wanted)) as container:
                stream = container.streams.video[0]
                self._seek(container, stream, min(wanted))
                for frame in container.decode(stream):
                    number = self._number(stream, frame.pts)
                    if number is None:
                        continue
                    if number in wanted and number not in found:
                        found[number] = _shown(frame, size)
                    if number >= max(wanted):
                        break
        except FAULTS:
            # What was decoded before stands; the rest is missing.
            pass
        return [found[n] if (n := self.first + int(t)) in found else None for t in times]

    def frames(self) -> Iterator[np.ndarray | None]:
        """All frames in order as they were recorded, uint8 [H, W, 3], decoded in one go."""
        given = 0
        try:
            with av.open(source_of(self.path)) as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                self._seek(container, stream, self.first)
                for frame in container.decode(stream):
                    number = self._number(stream, frame.pts)
                    if number is None or not self.first + given <= number < self.first + self.count:
                        continue
                    while self.first + given < number:
                        yield None
                        given += 1
                    yield _shown(frame, None)
                    given += 1
                    if given == self.count:
                        break
        except FAULTS:
            pass
        for _ in range(self.count - given):
            yield None

    def mark(self) -> bytes:
        """The first frame as it is encoded, b"" where there is none."""
        try:
            with av.open(source_of(self.path)) as container:
                stream = container.streams.video[0]
                self._seek(container, stream, self.first)
                for packet in container.demux(stream):
                    if self._number(stream, packet.pts) == self.first:
                        return bytes(packet)
        except FAULTS:
            pass
        return b""

    @property
    def _rate(self) -> fractions.Fraction:
        return fractions.Fraction(self.rate).limit_denominator(100_000)

    def _seek(self, container: Any, stream: Any, number: int) -> None:
        """To the keyframe before a frame."""
        if number > 0:
            ahead = (stream.start_time or 0) + int(number / self._rate / stream.time_base)
            container.seek(ahead, stream=stream, backward=True)

    def _number(self, stream: Any, pts: int | None) -> int | None:
        """Of the frame that is shown at a time of the stream."""
        if pts is None:
            return None
        return round((pts - (stream.start_time or 0)) * stream.time_base * self._rate)

    @functools.cached_property
    def size_bytes(self) -> int:
        """Bytes of the file that are its share."""
        return round(self.path.stat().st_size * self.count / max(1, frames_in(self.path)))


def _shown(frame: av.VideoFrame, size: int | None) -> np.ndarray:
    """uint8 [H, W, 3]; PyAV's own way to PIL gives the same in twenty times the time."""
    shown = frame.to_ndarray(format="rgb24")
    return shown if size is None else sized(Image.fromarray(shown), size)


class _Kept(threading.local):
    """Files that a thread holds open, those used last behind.

    They are known by path, size and time: a file that is written anew is another file.
    """

    def __init__(self) -> None:
        self.files: collections.OrderedDict[tuple[Any, ...], Any] = collections.OrderedDict()


_kept = _Kept()


@contextlib.contextmanager
def _opened(path: Location, anew: bool) -> Iterator[Any]:
    """A container that stands anywhere (at its beginning, if `anew`), kept unless it fails."""
    key = (path,)
    if not isinstance(path, Remote):
        found = path.stat()
        key = path, found.st_size, found.st_mtime_ns
    kept = _kept.files.pop(key, None)
    if kept is None or anew:
        kept = av.open(source_of(path))
        # Threads of a decoder read ahead what nobody wants; windows are read side by side.
        kept.streams.video[0].codec_context.thread_count = 1
    yield kept
    _kept.files[key] = kept
    if len(_kept.files) > OPEN:
        _kept.files.popitem(last=False)


def frames_in(path: Location) -> int:
    """Frames of a video file: as its header says, or counted where it does not.

    Raises:
        ValueError: not a video.
    """
    try:
        with av.open(source_of(path)) as container:
            stream = container.streams.video[0]
            return stream.frames or sum(packet.size > 0 for packet in container.demux(stream))
    except FAULTS as error:
        raise ValueError(f"{path.name} cannot be read as a video") from error


def rate_of(path: Location) -> float:
    """Frames a second of a video file.

    Raises:
        ValueError: not a video, or it does not say.
    """
    try:
        with av.open(source_of(path)) as container:
            rate = container.streams.video[0].average_rate
    except FAULTS as error:
        raise ValueError(f"{path.name} cannot be read as a video") from error
    if not rate:
        raise ValueError(f"{path.name} does not say its rate")
    return float(rate)
