"""The tree of a published transformer: our model that denoises streams, told by others; and what it
predicts."""

import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Params, PyTree
from wamjax.model.config import WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment, Stream
from wamjax.model.tokens import Tokens
from wamjax.model.visibility import Visibility
from wamjax.model.wam import Wam


def layout_of(segments: tuple[Segment, ...]) -> Layout:
    """What is noisy sees everything; a token that is given sees itself."""
    kinds = dict.fromkeys(segment.kind for segment in segments)
    noisy = [kind for kind in kinds if kind.endswith("/noisy")]
    seen: Visibility = tuple((one, other, "all") for one in noisy for other in kinds)
    alone: Visibility = tuple((kind, kind, "itself") for kind in kinds if kind not in noisy)
    return Layout(segments, seen + alone)


def weights_of(
    config: WamConfig,
    features: tuple[tuple[Stream, int], ...],
    noisy: tuple[Stream, ...] = ("video",),
) -> PyTree:
    """Shapes of its weights; nothing of full size is made.

    Args:
        features: stream -> width of its values.
        noisy: streams that are denoised; the others are given.
    """
    segments = tuple(
        Segment(stream=stream, copy="noisy" if stream in noisy else "clean")
        for stream, _ in features
    )
    model = Wam(config, layout_of(segments), features)
    values = tuple(jnp.zeros((1, 1, width)) for _, width in features)
    tokens = Tokens(values, jnp.ones((1, len(values)), bool))
    level = {stream: jnp.zeros((1, 1)) for stream in noisy}
    init = functools.partial(model.init, method="denoise")
    made = jax.eval_shape(
        lambda key: nn.unbox(init(key, model.layout, tokens, level)), jax.random.key(0)
    )
    return made["params"]


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
