"""Weights of a stack's layers, stacked ("layers", leading axis "layer") or each by itself.

    {"layers": tree of [depth, ...]}  <->  {"layers_0": tree, ..., "layers_<depth - 1>": tree}

`WamConfig.scan_layers` says which of them a model has; the numbers are the same.
"""

import operator
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from wamjax.core.typing import Params

LAYERS = "layers"


def unstacked(params: Params) -> Params:
    """Weights for `scan_layers=False`, from those for True; without logical axes."""
    out: dict[str, Any] = {}
    for name, inner in params.items():
        if name == LAYERS:
            depth = len(jax.tree.leaves(inner)[0])
            for place in range(depth):
                out[f"{LAYERS}_{place}"] = jax.tree.map(operator.itemgetter(place), inner)
        else:
            out[name] = unstacked(inner) if isinstance(inner, Mapping) else inner
    return out


def stacked(params: Params) -> Params:
    """The inverse of `unstacked`."""
    out: dict[str, Any] = {}
    places = sum(name.startswith(f"{LAYERS}_") for name in params)
    if places:
        layers = [params[f"{LAYERS}_{place}"] for place in range(places)]
        out[LAYERS] = jax.tree.map(lambda *parts: jnp.stack(parts), *layers)
    for name, inner in params.items():
        if not name.startswith(f"{LAYERS}_"):
            out[name] = stacked(inner) if isinstance(inner, Mapping) else inner
    return out
