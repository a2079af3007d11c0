"""The tree of a published transformer: our model that denoises streams, told by others."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from wamjax.core.typing import PyTree
from wamjax.model.config import WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment, Stream
from wamjax.model.tokens import Tokens
from wamjax.model.wam import Wam


def layout_of(segments: tuple[Segment, ...]) -> Layout:
    """What is noisy sees everything."""
    kinds = dict.fromkeys(segment.kind for segment in segments)
    noisy = [kind for kind in kinds if kind.endswith("/noisy")]
    return Layout(segments, tuple((one, other, "all") for one in noisy for other in kinds))


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
