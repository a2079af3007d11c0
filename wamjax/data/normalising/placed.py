"""One data set's numbers in the common layout of a mixture, and back.

    apply    raw [..., R]  -> normalised by its own statistics -> at its places of [..., A]
    narrow   [..., A]      -> the numbers at its places [..., R]
    invert   [..., A]      -> narrow -> raw [..., R]

Elsewhere apply leaves zeros, and invert does not look: invert(apply(x)) = x.
"""

import dataclasses
from typing import Any

import flax.struct
import numpy as np

from wamjax.data.normalising.normalise import Normaliser


@dataclasses.dataclass(frozen=True)
class Places:
    """Where R numbers stand among A.

    Attributes:
        at: the place of each, [R].
        width: A.
    """

    at: tuple[int, ...]
    width: int

    @property
    def mask(self) -> np.ndarray:
        """bool [A], a number stands there."""
        return np.isin(np.arange(self.width), self.at)

    def spread(self, values: Any) -> Any:
        """[..., R] -> [..., A], zero elsewhere; NumPy and JAX arrays alike."""
        # A gather, with one more number that is zero: both libraries have it under one name.
        source = np.full(self.width, len(self.at))
        source[list(self.at)] = np.arange(len(self.at))
        library = values.__array_namespace__()
        zero = library.zeros((*values.shape[:-1], 1), dtype=values.dtype)
        return library.concat([values, zero], axis=-1)[..., source]

    def narrow(self, values: Any) -> Any:
        """[..., A] -> [..., R], the inverse of `spread`."""
        return values[..., np.array(self.at, np.int64)]


@flax.struct.dataclass
class Placed:
    """A normaliser of a mixture's member; it has the functions of `Normaliser`.

    Attributes:
        own: of the data set alone, R numbers wide.
        places: where these stand in the mixture.
    """

    own: Normaliser
    places: Places = flax.struct.field(pytree_node=False)

    @property
    def mask(self) -> np.ndarray:
        """bool [A], the robot has such a number."""
        return self.places.mask

    @property
    def raw_width(self) -> int:
        """R: numbers that `apply` takes and `invert` gives."""
        return len(self.places.at)

    def apply(self, x: Any) -> Any:
        """Normalised and in the common layout, [..., A], from raw [..., R]."""
        return self.places.spread(self.own.apply(x))

    def narrow(self, y: Any) -> Any:
        """The robot's own numbers [..., R] of [..., A], still normalised."""
        return self.places.narrow(y)

    def invert(self, y: Any) -> Any:
        """Raw [..., R] from [..., A]."""
        return self.own.invert(self.narrow(y))
