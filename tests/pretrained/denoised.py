"""A published video transformer beside ours, and what ours predicts."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.pretrained.theirs import torch
from wamjax.core.typing import Array, Params
from wamjax.model.config import WamConfig
from wamjax.model.segments import Segment, Stream
from wamjax.model.tokens import Tokens
from wamjax.model.wam import Wam
from wamjax.pretrained.denoiser import layout_of


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


def prediction(
    config: WamConfig,
    params: Params,
    segments: tuple[Segment, ...],
    values: tuple[np.ndarray, ...],
    sigma: Mapping[str, np.ndarray],
    real: np.ndarray | None = None,
) -> dict[str, Array]:
    """What is predicted for each noisy stream [B, N, features], in float32 at highest precision.

    Args:
        values: of each segment.
        sigma: stream -> [B], or [B, S] for its S segments.
        real: bool [B, N]; by default all are.
    """
    widths: dict[Stream, int] = {
        s.stream: x.shape[-1] for s, x in zip(segments, values, strict=True)
    }
    model = Wam(config, layout_of(segments), tuple(widths.items()))
    if real is None:
        real = np.ones((len(values[0]), sum(s.count for s in segments)), bool)
    tokens = Tokens(tuple(map(jnp.asarray, values)), jnp.asarray(real))
    level = {stream: jnp.asarray(x) for stream, x in sigma.items()}

    def run(weights: Params) -> Any:
        given = {"params": weights}
        return model.apply(given, model.layout, tokens, level, method="denoise")

    with jax.default_matmul_precision("highest"):
        return jax.jit(run)(params)
