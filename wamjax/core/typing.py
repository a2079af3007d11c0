"""Shape types: jaxtyping's names and a decorator that checks them when the tests ask for it.

Axis letters, in order batch, time, space, channel: B batch, E worlds, V views, T frames, L latent
frames, H W pixels, h w latent grid, c latent channels, K chunk length, A action width, P proprio
width, N queries, M keys, D width, X text length, S sigma-grid points.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, Int32, PRNGKeyArray, PyTree, Shaped, UInt8, jaxtyped

Array = jax.Array
AnyArray = jax.Array | np.ndarray
Key = PRNGKeyArray | jax.Array
Params = PyTree

F = TypeVar("F", bound=Callable[..., Any])

CHECK_SHAPES = os.environ.get("WAMJAX_CHECK_SHAPES", "0") == "1"


def typed(function: F) -> F:
    """Check the shapes in the signature at every call, if WAMJAX_CHECK_SHAPES=1 (the tests).

    Only functions are decorated, never records: tree operations rebuild records with leaves that
    are not arrays.
    """
    if not CHECK_SHAPES:
        return function
    from beartype import beartype

    return jaxtyped(typechecker=beartype)(function)


__all__ = [
    "AnyArray",
    "Array",
    "Bool",
    "Float",
    "Int",
    "Int32",
    "Key",
    "Params",
    "PyTree",
    "Shaped",
    "UInt8",
    "typed",
]
