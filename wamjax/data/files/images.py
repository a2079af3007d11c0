"""Encoded pictures to square RGB frames and back.

JPEG is decoded by libjpeg-turbo alone, to the same numbers as PIL's and in a third of the time for
small pictures; whatever it complains about, and PNG, is left to PIL.
"""

import io
from collections.abc import Iterable
from typing import Literal, assert_never

import numpy as np
import simplejpeg
from PIL import Image

BLACK = 4  # a missing camera is stored as black; JPEG may lift it by a few levels

FORMATS = ("JPEG", "PNG")  # those that TFDS writes; other readers of PIL start programs
Format = Literal["jpeg", "png"]
# How a file of each format begins.
BEGINNINGS: dict[Format, bytes] = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n"}
PNG_LEVEL = 1  # higher levels save a tenth of the bytes for twice the time
LARGEST = 4096 * 3072  # pixels; a few bytes that claim to be more are not believed
PLAIN = ("YCbCr", "Gray")  # how the pictures of cameras are coded; other JPEGs are left to PIL


def decode(data: bytes, size: int | None = None) -> np.ndarray:
    """uint8 [H, W, 3], resized to [size, size, 3] if asked (bilinear, antialiased).

    Raises:
        ValueError: not a JPEG or PNG picture, cut off, or of more than LARGEST pixels.
    """
    frame = _jpeg(data)
    if frame is not None:
        fits = size is None or frame.shape[:2] == (size, size)
        return frame if fits else sized(Image.fromarray(frame), size)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            if opened.width * opened.height > LARGEST:
                raise ValueError(f"{opened.width} x {opened.height} pixels")
            picture = opened.convert("RGB")
    except Exception as error:  # damaged bytes make PIL raise a dozen kinds
        raise ValueError("the image cannot be decoded") from error
    return sized(picture, size)


def decode_into(data: bytes, out: np.ndarray) -> bool:
    """The picture, resized to the square `out`, uint8 [size, size, 3]; False if it is none."""
    if data.startswith(BEGINNINGS["jpeg"]):
        try:
            if simplejpeg.decode_jpeg(data, buffer=out).shape == out.shape:
                return True
        except ValueError:
            pass  # larger, damaged or of other colours
    try:
        out[...] = decode(data, len(out))
    except ValueError:
        return False
    return True


def decode_each(images: Iterable[bytes], size: int | None = None) -> list[np.ndarray | None]:
    """uint8 [H, W, 3] of each, resized if asked; None where it cannot be decoded."""
    out: list[np.ndarray | None] = []
    for image in images:
        try:
            out.append(decode(image, size))
        except ValueError:
            out.append(None)
    return out


def _jpeg(data: bytes) -> np.ndarray | None:
    """uint8 [H, W, 3] of a whole JPEG of moderate size, None for anything else."""
    if not data.startswith(BEGINNINGS["jpeg"]):
        return None
    try:
        height, width, coding, _ = simplejpeg.decode_jpeg_header(data)
        if coding not in PLAIN or int(height) * int(width) > LARGEST:
            return None
        return simplejpeg.decode_jpeg(data)
    except ValueError:
        return None


def sized(picture: Image.Image, size: int | None) -> np.ndarray:
    """uint8 [H, W, 3], resized to [size, size, 3] if asked (bilinear, antialiased)."""
    if size is not None and picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def encode(frame: np.ndarray, form: Format, quality: int) -> bytes:
    """uint8 [H, W, 3] as a file; `quality` (1 ... 100) is that of JPEG, PNG loses nothing."""
    file, picture = io.BytesIO(), Image.fromarray(frame)
    match form:
        case "jpeg":
            picture.save(file, "JPEG", quality=quality)
        case "png":
            picture.save(file, "PNG", compress_level=PNG_LEVEL)
        case _:
            assert_never(form)
    return file.getvalue()


def is_black(frame: np.ndarray) -> bool:
    """Whether nothing is to be seen."""
    return int(frame.max()) <= BLACK
