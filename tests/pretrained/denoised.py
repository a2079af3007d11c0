"""Weights and shapes of a published video transformer."""

from typing import Any

import jax
import numpy as np

from tests.pretrained.theirs import torch


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
