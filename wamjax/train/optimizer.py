"""AdamW or Adafactor with clipping, warm-up and cosine, and the average of the weights.

    learning rate at count n of N:   peak (n + 1) / W                        n < W = warmup N
                                     end + (peak - end) (1 + cos pi u) / 2   u = (n - W) / (N - W)
    ema  <-  ema + (1 - decay_n) (weights - ema)     decay_n = min(decay, (1 + n) / (10 + n))

    bytes a weight of the optimizer's slots         float32   bfloat16
    adamw: first and second moment                     8          6     (the second stays float32)
    adafactor: a row and a column, and a first         0          -
    moment if `mu_dtype` names a type                  4          2

AdamW: arXiv 1711.05101. Adafactor: arXiv 1804.04235, without its scale by the size of a weight, so
that learning rates and decay mean what they do for AdamW; with a first moment it is that of Scaling
Vision Transformers (arXiv 2106.04560). The ramp of the average's decay is that of tf.train's
ExponentialMovingAverage(num_updates); written as an increment, the average of a weight that does
not move stays equal to it bit for bit.
"""

import math
from typing import Any, assert_never

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from wamjax.core.typing import Array, PyTree
from wamjax.parallel.shardings import is_boxed
from wamjax.train.config import TrainConfig

BETA1 = 0.9
NOT_DECAYED = ("bias", "scale", "embed", "norm", "position")


def learning_rate_schedule(config: TrainConfig, steps: int) -> optax.Schedule:
    """Learning rate as a function of the count of steps in the stage, 0 to steps - 1."""
    warm = round(config.warmup * steps)
    peak, end = config.learning_rate, config.learning_rate * config.end_fraction

    def schedule(count: ArrayLike) -> Array:
        n = jnp.asarray(count, jnp.float32)
        along = jnp.clip((n - warm) / max(steps - warm, 1), 0.0, 1.0)
        cosine = end + (peak - end) * 0.5 * (1.0 + jnp.cos(math.pi * along))
        return jnp.where(n < warm, peak * (n + 1.0) / max(warm, 1), cosine)

    return schedule


def decay_mask(boxed: PyTree) -> PyTree:
    """True where weight decay applies, in the structure of the unboxed tree.

    Matrices and kernels decay. What has fewer than two dimensions beside `layer` (biases, norm
    scales), what is looked up (`vocab`), and what is named like `NOT_DECAYED` does not.
    """

    def decays(path: tuple, leaf: Any) -> bool:
        axes = tuple(leaf.names) if is_boxed(leaf) else (None,) * len(leaf.shape)
        last = jax.tree_util.keystr(path[-1:], simple=True)
        wide = sum(axis != "layer" for axis in axes) >= 2
        return wide and "vocab" not in axes and not any(word in last for word in NOT_DECAYED)

    return jax.tree_util.tree_map_with_path(decays, boxed, is_leaf=is_boxed)


def make_optimizer(
    config: TrainConfig, schedule: optax.Schedule, decays: PyTree
) -> optax.GradientTransformation:
    """Clip by the global norm, AdamW or Adafactor, decay where `decays` is True.

    Args:
        config: the training config.
        schedule: learning rate by count.
        decays: bools in the structure of the trained weights.
    """
    clip = optax.clip_by_global_norm(config.clip)
    match config.optimizer:
        case None | "adamw":
            return optax.chain(
                clip,
                optax.adamw(
                    schedule,
                    b1=BETA1,
                    b2=config.beta2,
                    mu_dtype=config.mu_dtype,
                    weight_decay=config.weight_decay,
                    mask=decays,
                ),
            )
        case "adafactor":
            return optax.chain(
                clip,
                optax.scale_by_factored_rms(),
                optax.clip_by_block_rms(1.0),
                optax.identity()
                if config.mu_dtype is None
                else optax.ema(BETA1, debias=False, accumulator_dtype=config.mu_dtype),
                optax.add_decayed_weights(config.weight_decay, mask=decays),
                optax.scale_by_learning_rate(schedule),
            )
        case _:
            assert_never(config.optimizer)


def ema_update(ema: PyTree, weights: PyTree, decay: float, count: Array) -> PyTree:
    """The averaged weights after one more step.

    Args:
        ema: the average so far.
        weights: the newest weights, of the same structure.
        decay: the decay that is reached after the ramp.
        count: int32 [], steps of this stage already in the average.
    """
    n = jnp.asarray(count, jnp.float32)
    share = 1.0 - jnp.minimum(decay, (1.0 + n) / (10.0 + n)) if decay > 0 else jnp.float32(1.0)
    return jax.tree.map(lambda old, new: old + share.astype(old.dtype) * (new - old), ema, weights)


def steps_taken(opt_state: PyTree) -> Array:
    """int32 [], the count that the optimizer's schedule reads: skipped steps are not in it."""

    def of_schedule(path: tuple, _: Any) -> bool:
        return path[-1].tuple_name == optax.ScaleByScheduleState.__name__

    return optax.tree.get(opt_state, "count", filtering=of_schedule)
