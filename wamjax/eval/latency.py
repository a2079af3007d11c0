"""How long a policy takes for one chunk, as a robot would feel it.

The clock starts before the call and stops when the actions are ready (`block_until_ready`); the
first calls, which compile and warm caches, are reported apart.
"""

import time
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.runtime import program_jit
from wamjax.core.typing import Params, PyTree
from wamjax.eval.sight import viewer
from wamjax.eval.worlds import Env
from wamjax.policy.base import Policy


@flax.struct.dataclass
class Latency:
    """Milliseconds per call, median and 95th percentile; seconds of warm-up before them."""

    p50_ms: float
    p95_ms: float
    warmup_seconds: float
    repeats: int


def latency(
    function: Callable[..., Any], *arguments: Any, warmup: int = 3, repeats: int = 30
) -> Latency:
    """Time `function(*arguments)`, a compiled program."""
    started = time.perf_counter()
    for _ in range(warmup):
        jax.block_until_ready(function(*arguments))
    warmup_seconds = time.perf_counter() - started
    spent = []
    for _ in range(repeats):
        begun = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        spent.append(time.perf_counter() - begun)
    p50, p95 = (float(value) for value in np.quantile(np.array(spent) * 1e3, [0.5, 0.95]))
    return Latency(p50_ms=p50, p95_ms=p95, warmup_seconds=warmup_seconds, repeats=repeats)


def chunk_latency(
    policy: Policy, weights: Params, env: Env, variant: PyTree, *, repeats: int = 30
) -> Latency:
    """Latency of one chunk for one robot (a batch of one) on one device.

    Args:
        policy: timed.
        weights: its weights.
        env: only the shapes of its observation are used; the frames shown are black.
        variant: one variant (or shapes), without a world axis.
        repeats: timed calls.
    """
    _, shapes = viewer(policy, env, variant)
    seen = jax.tree.map(lambda leaf: jnp.zeros((1, *leaf.shape), leaf.dtype), shapes)
    weights = jax.device_put(weights, jax.devices()[0])
    return latency(program_jit(policy.act), weights, seen, jax.random.key(0), repeats=repeats)
