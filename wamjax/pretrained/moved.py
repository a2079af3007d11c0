"""How many megabytes are moved, how fast, and how long it will still take."""

from collections.abc import Iterable
from typing import TextIO

import jax
import numpy as np

from wamjax.core.progress import Progress

MB = 1e6


def bytes_of(shape: jax.ShapeDtypeStruct) -> int:
    """Of a tensor."""
    return shape.size * np.dtype(shape.dtype).itemsize


class Megabytes(Progress):
    """Progress over tensors of different sizes.

    Args:
        label: what is being done.
        shapes: of all tensors.
        stream: where to write; standard error by default.
    """

    def __init__(
        self, label: str, shapes: Iterable[jax.ShapeDtypeStruct], stream: TextIO | None = None
    ):
        super().__init__(label, round(sum(map(bytes_of, shapes)) / MB), "MB", stream=stream)
        self._bytes = 0

    def moved(self, shape: jax.ShapeDtypeStruct) -> None:
        """One tensor more."""
        self._bytes += bytes_of(shape)
        self.advance(round(self._bytes / MB) - self.count)
