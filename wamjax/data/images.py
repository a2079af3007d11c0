"""Encoded pictures to square RGB frames, by PIL."""

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

BLACK = 4  # a missing camera is stored as black; JPEG may lift it by a few levels


def decode(data: bytes, size: int | None = None) -> np.ndarray:
    """uint8 [H, W, 3], resized to [size, size, 3] if asked (bilinear, antialiased).

    Raises:
        ValueError: not a picture, or cut off.
    """
    try:
        with Image.open(io.BytesIO(data)) as opened:
            picture = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, EOFError, ValueError) as error:
        raise ValueError("the image cannot be decoded") from error
    return sized(picture, size)


def sized(picture: Image.Image, size: int | None) -> np.ndarray:
    """uint8 [H, W, 3], resized to [size, size, 3] if asked (bilinear, antialiased)."""
    if size is not None and picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def is_black(frame: np.ndarray) -> bool:
    """Whether nothing is to be seen."""
    return int(frame.max()) <= BLACK
