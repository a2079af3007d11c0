"""The pictures of an episode in the size and format of a store.

    images of that size and format, and all where the size stays as recorded    the same bytes
    images of another one        decoded once, resized as the loader does it, encoded
    frames of a video            decoded once in a row, encoded
    missing images               b""; so are all of a camera that is black throughout, when resized

What cannot be decoded stays as it is, so that whoever reads it finds it broken.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from wamjax.data.faults import BadRecord
from wamjax.data.files.images import BEGINNINGS, Format, decode, encode, is_black, sized
from wamjax.data.files.in_record import InRecord
from wamjax.data.files.pictures import Pictures
from wamjax.data.files.stored import UNREADABLE, Stored
from wamjax.data.files.video import Video

# Bytes that may stay as they are, or bytes (b"" of a video) and what they show.
Shown = bytes | tuple[bytes, np.ndarray | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Form:
    """How a store keeps images.

    Attributes:
        size: side in pixels; None for the size that they were recorded in.
        format: of the images that are encoded anew.
        quality: of JPEG, 1 ... 100.
    """

    size: int | None = None
    format: Format = "jpeg"
    quality: int = 95


def recoded(pictures: Pictures, form: Form) -> tuple[list[bytes], list[int]]:
    """The images [T], and the steps whose image cannot be decoded."""
    if isinstance(pictures, Video):
        return _encoded(((b"", frame) for frame in pictures.frames()), form)
    if isinstance(pictures, InRecord):
        pictures = pictures.encoded(range(len(pictures)))
    return _encoded(_looked_at(pictures, form), form)


def _looked_at(pictures: list[bytes] | Stored, form: Form) -> Iterator[Shown]:
    for t in range(len(pictures)):
        try:
            data = pictures[t] if isinstance(pictures, list) else pictures.encoded(t)
        except BadRecord:
            yield UNREADABLE, None
            continue
        if not data or form.size is None:
            yield data
            continue
        try:
            yield data, decode(data)
        except ValueError:
            yield data, None


def _encoded(shown: Iterable[Shown], form: Form) -> tuple[list[bytes], list[int]]:
    out: list[bytes] = []
    bad: list[int] = []
    black = form.size is not None
    for t, item in enumerate(shown):
        if isinstance(item, bytes):
            out.append(item)
            continue
        data, frame = item
        if frame is None:
            bad.append(t)
            out.append(data or UNREADABLE)
            continue
        black &= is_black(frame)
        out.append(_one(data, frame, form))
    return ([b""] * len(out) if black and not bad else out), bad


def _one(data: bytes, frame: np.ndarray, form: Form) -> bytes:
    is_sized = form.size is None or frame.shape[:2] == (form.size, form.size)
    if is_sized and data.startswith(BEGINNINGS[form.format]):
        return data
    return encode(sized(Image.fromarray(frame), form.size), form.format, form.quality)
