"""The pictures of one camera over an episode: encoded images, or frames of a video file.

    list[bytes]   one JPEG or PNG a step, b"" where the camera is missing
    Video         `count` consecutive frames of a file, from frame `first` on
    InRecord      one JPEG or PNG a step, read from a TFRecord when it is asked for
    Stored        one JPEG or PNG a step, read from a store when it is asked for

A frame of a video is found by its time: number = round(time rate). Decoding starts at the keyframe
before the first frame that is wanted, so frames that lie together should be asked for together.
"""

import dataclasses
import fractions
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import av
import numpy as np
from PIL import Image

from wamjax.data.files.images import decode_each, sized
from wamjax.data.files.in_record import InRecord
from wamjax.data.files.paths import Location, source_of
from wamjax.data.files.stored import Stored


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
            with av.open(source_of(self.path)) as container:
                stream = container.streams.video[0]
                # Threads of a decoder read ahead what nobody wants; windows are read side by side.
                stream.codec_context.thread_count = 1
                self._seek(container, stream, min(wanted))
                for frame in container.decode(stream):
                    number = self._number(stream, frame.pts)
                    if number is None:
                        continue
                    if number in wanted and number not in found:
                        found[number] = _shown(frame, size)
                    if number >= max(wanted):
                        break
        except (av.FFmpegError, OSError, IndexError):
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
        except (av.FFmpegError, OSError, IndexError):
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
        except (av.FFmpegError, OSError, IndexError):
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


Pictures = list[bytes] | InRecord | Video | Stored


def frames_in(path: Location) -> int:
    """Frames of a video file: as its header says, or counted where it does not.

    Raises:
        ValueError: not a video.
    """
    try:
        with av.open(source_of(path)) as container:
            stream = container.streams.video[0]
            return stream.frames or sum(packet.size > 0 for packet in container.demux(stream))
    except (av.FFmpegError, OSError, IndexError) as error:
        raise ValueError(f"{path.name} cannot be read as a video") from error


def rate_of(path: Location) -> float:
    """Frames a second of a video file.

    Raises:
        ValueError: not a video, or it does not say.
    """
    try:
        with av.open(source_of(path)) as container:
            rate = container.streams.video[0].average_rate
    except (av.FFmpegError, OSError, IndexError) as error:
        raise ValueError(f"{path.name} cannot be read as a video") from error
    if not rate:
        raise ValueError(f"{path.name} does not say its rate")
    return float(rate)


def read_pictures(
    pictures: Pictures, times: Sequence[int], size: int | None = None
) -> list[np.ndarray | None]:
    """uint8 [H, W, 3] of each of `times`; None where there is no picture that can be decoded."""
    if not isinstance(pictures, list):
        return pictures.read(times, size)
    return decode_each((bytes(pictures[int(t)]) for t in times), size)


def encoded(pictures: Pictures, times: Sequence[int]) -> list[bytes] | None:
    """The images of `times` as they are stored; None for frames of a video.

    Raises:
        BadRecord, OSError, ValueError: they cannot be read.
    """
    match pictures:
        case Video():
            return None
        case InRecord():
            return pictures.encoded(times)
        case Stored():
            return [pictures.encoded(int(t)) for t in times]
        case _:
            return [pictures[int(t)] for t in times]


def is_recorded(pictures: Pictures, t: int) -> bool:
    """Whether something stands at step t, readable or not."""
    match pictures:
        case Video():
            return True
        case InRecord() | Stored():
            return pictures.is_recorded(t)
        case _:
            return len(pictures[t]) > 0


def bytes_of(pictures: Pictures) -> int:
    """Encoded size."""
    return sum(map(len, pictures)) if isinstance(pictures, list) else pictures.size_bytes


def mark_of(pictures: Pictures) -> bytes:
    """Bytes that belong to what is shown, wherever it is stored: the first image as encoded."""
    return pictures[0] if isinstance(pictures, list) else pictures.mark()
