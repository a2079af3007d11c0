"""Tensors of a file or a folder by name, one at a time: what all readers have in common."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import jax
import numpy as np

from wamjax.core.errors import UserError


def shown(name: object) -> str:
    """A name from a file, fit for a sentence: short and without line ends."""
    text = str(name)
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 100 else f"{text[:97]}..."


class Tensors(Protocol):
    """Named tensors that stand somewhere.

    Attributes:
        shapes: name -> shape and dtype.
        files: where they stand.
    """

    @property
    def shapes(self) -> Mapping[str, jax.ShapeDtypeStruct]: ...

    @property
    def files(self) -> tuple[pathlib.Path, ...]: ...

    def read(self, name: str) -> np.ndarray:
        """One tensor, read-only; a view of the mapped file where its layout allows.

        Raises:
            UserError: its bytes are not what was written.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Joined:
    """The tensors of several files as those of one.

    Raises:
        UserError: a name stands in two of them.
    """

    parts: Sequence[Tensors]
    shapes: dict[str, jax.ShapeDtypeStruct] = dataclasses.field(default_factory=dict, init=False)
    _home: dict[str, Tensors] = dataclasses.field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for part in self.parts:
            for name, shape in part.shapes.items():
                if name in self._home:
                    places = f"{self._home[name].files[0]} and in {part.files[0]}"
                    raise UserError(
                        f"{shown(name)} stands in {places}: give one of them, or a folder with "
                        "one model."
                    )
                self.shapes[name], self._home[name] = shape, part

    @property
    def files(self) -> tuple[pathlib.Path, ...]:
        return tuple(file for part in self.parts for file in part.files)

    def read(self, name: str) -> np.ndarray:
        """See `Tensors`."""
        return self._home[name].read(name)


@dataclasses.dataclass(frozen=True)
class Below:
    """The tensors whose names begin with a prefix, without it."""

    whole: Tensors
    prefix: str

    @property
    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        n = len(self.prefix)
        return {k[n:]: x for k, x in self.whole.shapes.items() if k.startswith(self.prefix)}

    @property
    def files(self) -> tuple[pathlib.Path, ...]:
        return self.whole.files

    def read(self, name: str) -> np.ndarray:
        """See `Tensors`."""
        return self.whole.read(self.prefix + name)


@dataclasses.dataclass(frozen=True)
class InMemory:
    """Arrays that are there already."""

    arrays: Mapping[str, np.ndarray]
    files: tuple[pathlib.Path, ...] = ()

    @property
    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        return {k: jax.ShapeDtypeStruct(x.shape, x.dtype) for k, x in self.arrays.items()}

    def read(self, name: str) -> np.ndarray:
        """See `Tensors`."""
        return self.arrays[name]


def too_large(shape: tuple[int, ...]) -> bool:
    """Whether no array can have that shape, not even one that is empty by another axis."""
    return len(shape) > 32 or math.prod(n for n in shape if n) > 2**56


def mapped(path: pathlib.Path, offset: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Part of a file as an array; pages are read when they are looked at."""
    if 0 in shape:
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape).view(np.ndarray)
