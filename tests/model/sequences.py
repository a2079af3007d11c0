"""A toy sequence with every kind of segment, shared by the model's tests."""

import jax
import jax.numpy as jnp

from wamjax.model.couplings import Size, coupled
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
from wamjax.model.tokens import Tokens
from wamjax.model.wam import Wam

SEGMENTS = (
    Segment(stream="text", frames=3),
    Segment(stream="feature", frames=2),
    Segment(stream="proprio"),
    Segment(stream="video", rows=2, columns=2),
    Segment(stream="video", copy="noisy", frames=2, rows=2, columns=2, start=4, stride=4, block=1),
    Segment(stream="action", copy="noisy", frames=4, block=1),
)
CONTEXT = ("text/clean", "feature/clean", "proprio/clean", "video/clean")
TABLE = (
    *((query, key, "all") for query in CONTEXT for key in CONTEXT),
    *(("video/noisy", key, "all") for key in CONTEXT),
    *(("action/noisy", key, "all") for key in CONTEXT),
    ("video/noisy", "video/noisy", "all"),
    ("action/noisy", "action/noisy", "all"),
    ("action/noisy", "video/noisy", "same"),
)
FEATURES = (("text", 8), ("feature", 8), ("proprio", 5), ("video", 12), ("action", 7))
LAYOUT = Layout(SEGMENTS, TABLE)


def toy(coupling: str = "mot", **changes):
    """(model, params, tokens, sigma) of a small random model; noise on every parameter."""
    size = Size(width=32, depth=2, heads=2, head_dim=12, action_width=24)
    config = coupled(coupling, size, **changes)
    model = Wam(config, LAYOUT, FEATURES)
    widths = dict(FEATURES)
    keys = iter(jax.random.split(jax.random.key(0), 100))
    values = tuple(jax.random.normal(next(keys), (2, s.count, widths[s.stream])) for s in SEGMENTS)
    count = sum(s.count for s in SEGMENTS)
    real = jnp.ones((2, count), bool).at[1, 2].set(False)
    tokens = Tokens(values, real)
    sigma = {"video": jnp.array([0.3, 0.8]), "action": jnp.array([0.6, 0.1])}
    params = jax.jit(lambda key: model.init(key, LAYOUT, tokens, sigma, method="denoise"))(
        next(keys)
    )
    import flax.linen as nn

    params = nn.unbox(params)
    leaves, structure = jax.tree.flatten(params)
    noisy = [x + 0.1 * jax.random.normal(next(keys), x.shape) for x in leaves]
    return model, jax.tree.unflatten(structure, noisy), tokens, sigma
