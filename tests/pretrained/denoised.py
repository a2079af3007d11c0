"""Weights and shapes of a published transformer, and what a recipe predicts with them."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.pretrained.theirs import torch
from wamjax.core.typing import Array, Params
from wamjax.model.tokens import Tokens
from wamjax.recipes.blueprint import Blueprint
from wamjax.recipes.network import network


def state(model: Any) -> dict[str, np.ndarray]:
    """The weights of a model in float64, which were rounded to float32, by diffusers' names."""
    return {name: x.detach().numpy().astype(np.float32) for name, x in model.state_dict().items()}


def published(make: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of diffusers' names at full size, without making a weight."""
    with torch.device("meta"):
        model = make()
    return {
        k: jax.ShapeDtypeStruct(tuple(x.shape), np.float32) for k, x in model.state_dict().items()
    }


def predicted(
    blueprint: Blueprint,
    params: Params,
    values: Sequence[np.ndarray],
    levels: Mapping[str, np.ndarray],
    real: np.ndarray | None = None,
) -> dict[str, Array]:
    """What a recipe's network predicts in training, in float32 at highest precision.

    Args:
        values: of each segment.
        levels: as `Wam.denoise` takes them.
        real: bool [B, N], which tokens are real; by default all.
    """
    layout = blueprint.training
    if real is None:
        real = np.ones((len(values[0]), sum(s.count for s in layout.segments)), bool)
    tokens = Tokens(tuple(map(jnp.asarray, values)), jnp.asarray(real))
    sigma = {stream: jnp.asarray(level) for stream, level in levels.items()}

    @jax.jit
    def run(params: Params) -> Any:
        model = network(blueprint)
        return model.apply({"params": params}, layout, tokens, sigma, method="denoise")

    with jax.default_matmul_precision("highest"):
        return run(params)
