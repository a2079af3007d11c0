"""Weights for tests, drawn on the host: to compile their initial laws takes longer than a test."""

from typing import Any

import flax.linen as nn
import jax
import numpy as np

from wamjax.core.typing import Params


def drawn_weights(boxed: Any, seed: int = 1) -> Params:
    """Noise on every parameter, so that no zero start hides a path; scales lie around 1.

    Args:
        boxed: shapes of the weights, boxed or not.
    """
    rng = np.random.default_rng(seed)

    def draw(path: Any, leaf: Any) -> np.ndarray:
        name = str(path[-1].key)
        noise = rng.normal(size=leaf.shape).astype(np.float32)
        return 1 + 0.1 * noise if name == "scale" else (0.15 if name == "kernel" else 0.1) * noise

    return jax.device_put(jax.tree_util.tree_map_with_path(draw, nn.unbox(boxed)))
