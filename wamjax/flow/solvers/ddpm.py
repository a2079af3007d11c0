"""DDPM's ancestral step (arXiv 2006.11239), in the variance-preserving z of our x.

    a = A / A',   b = 1 - a                           A the signal at sigma, A' at sigma'
    z' = sqrt(A') b / (1 - A) clean + sqrt(a) (1 - A') / (1 - A) z + sqrt(b) w,   w ~ N(0, 1)

The mean is (z - b / sqrt(1 - A) noise) / sqrt(a), written so that it is finite at A = 0. The last
step, to sigma' = 0, draws no w. The variance b is the larger of the two usual ones, as in Octo
(arXiv 2405.12213: 20 steps of the squared-cosine grid, z clipped to +-5); it is exact for data of
unit variance.
"""

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Key, PyTree
from wamjax.flow.solvers.interface import Method, Place, Velocity
from wamjax.flow.variance_preserving import signal, spread


def init(noise: PyTree, level: PyTree, key: Key | None) -> Key:
    """The key of the walk; every step and every stream folds in its own place."""
    if key is None:
        raise ValueError("the solver ddpm draws noise at every step: give it a key")
    return key


def _keys(key: Key, state: PyTree) -> PyTree:
    paths, structure = jax.tree.flatten_with_path(state)
    names = [jax.tree_util.keystr(path) for path, _ in paths]
    keys = named_keys(key, *names)
    return jax.tree.unflatten(structure, [keys[name] for name in names])


def step(
    velocity: Velocity, slope: PyTree, place: Place, x: PyTree, memory: Key
) -> tuple[PyTree, Key]:
    """One evaluation."""

    def advance(x: Array, v: Array, now: Array, after: Array, key: Key) -> Array:
        z, clean = x / spread(now), x - now * v
        kept, goal = signal(now), signal(after)
        a = kept / goal
        mean = (jnp.sqrt(goal) * (1 - a) * clean + jnp.sqrt(a) * (1 - goal) * z) / (1 - kept)
        draw = jnp.where(after > 0, jnp.sqrt(1 - a), 0.0) * jax.random.normal(key, x.shape)
        return (mean + draw) * spread(after)

    keys = _keys(jax.random.fold_in(memory, place.index), x)
    return jax.tree.map(advance, x, slope, place.now, place.after, keys), memory


METHOD = Method(init, step)
