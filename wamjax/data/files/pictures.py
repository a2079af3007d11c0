"""The pictures of one camera over an episode: encoded images, or frames of a video file.

    list[bytes]   one JPEG or PNG a step, b"" where the camera is missing
    Video         `count` consecutive frames of a file, from frame `first` on
    InRecord      one JPEG or PNG a step, read from a TFRecord when it is asked for
    Stored        one JPEG or PNG a step, read from a store when it is asked for

To read a window's frames is to fetch what is encoded and to decode it; each is done for many frames
at a time, since Python's lock changes hands at every file and every image.
"""

from collections.abc import Sequence

import numpy as np

from wamjax.data.faults import BadRecord
from wamjax.data.files.images import decode_each
from wamjax.data.files.in_record import InRecord
from wamjax.data.files.stored import Stored
from wamjax.data.files.video import Video

Pictures = list[bytes] | InRecord | Video | Stored


def fetch(pictures: Pictures, times: Sequence[int]) -> list[bytes] | None:
    """The images of `times`, b"" for those that cannot be read; None for frames of a video."""
    try:
        return encoded(pictures, times)
    except (BadRecord, OSError, ValueError):
        return [_fetched(pictures, t) for t in times]


def _fetched(pictures: Pictures, t: int) -> bytes:
    try:
        (image,) = encoded(pictures, [t]) or [b""]
    except (BadRecord, OSError, ValueError):
        return b""
    return image


def read_pictures(
    pictures: Pictures, times: Sequence[int], size: int | None = None
) -> list[np.ndarray | None]:
    """uint8 [H, W, 3] of each of `times`; None where there is no picture that can be decoded."""
    if isinstance(pictures, Video):
        return pictures.read(times, size)
    return decode_each(fetch(pictures, times) or [], size)


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
