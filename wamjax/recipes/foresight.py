"""Latent prediction: features of the future, beside the actions, as what a policy should know.

    f       = context encoder(frame), N tokens of E numbers
    target  = (f - mean) / std                          over the batch and its future frames
    loss    = mean of (read out at the queries - target)^2

The encoder is the policy's own, and no gradient runs into the target. What such an encoder could
make easy by saying less, it cannot: each feature's target has variance 1 however small the feature
is, so a loss of 1 is what knowing nothing costs, and a smaller scale gains nothing. What remains
possible is a feature that is easy to foresee because it hardly changes. Against that stands the
loss of the actions, which are read from the same features; and `feature_std` is logged.

A batch that is taken in parts (train.accumulate) is standardised part by part.

Sources: VLA-JEPA (arXiv 2602.10098) and FLARE (2505.15659), whose targets are frozen or averaged
encoders of other models; stop-gradient without one: SimSiam (2011.10566).
"""

import jax
import jax.numpy as jnp

from wamjax.core.records import Batch
from wamjax.core.typing import Array, Bool, Float, Params, UInt8, typed
from wamjax.recipes.parts import Parts, call

# Of a variance: a feature that stands still is not blown up into noise.
LEAST = 1e-8


@typed
def over_batch(
    features: Float[Array, "B F N E"], real: Bool[Array, "B F"]
) -> tuple[Float[Array, "B F N E"], Float[Array, ""]]:
    """The features standardised one by one, and the mean of their standard deviations.

    Args:
        real: which frames exist; what stands elsewhere is not looked at.
    """
    seen = real[..., None, None]
    kept = jnp.where(seen, features, 0)
    count = jnp.maximum(real.sum(), 1)
    mean = kept.sum((0, 1)) / count
    apart = jnp.where(seen, features - mean, 0)
    variance = jnp.square(apart).sum((0, 1)) / count
    return apart / jnp.sqrt(variance + LEAST), jnp.sqrt(variance).mean()


def future_features(
    parts: Parts,
    params: Params,
    frames: Float[Array, "B V F H W 3"],
    camera_mask: Bool[Array, "B V"],
    text: UInt8[Array, "B X"],
) -> Float[Array, "B F N E"]:
    """What the context encoder says of each frame, before proprio is mixed in."""
    batch, views, ahead = frames.shape[:3]
    assert parts.context is not None, "the objective is refused without a context encoder"
    _, _, pooled = parts.told(params, text)
    flat = jnp.swapaxes(frames, 1, 2).reshape(batch * ahead, views, *frames.shape[3:])
    given = (jnp.repeat(told, ahead, axis=0) for told in (pooled, camera_mask))
    found = call(parts.context, params["context"], flat, *given)
    return found.reshape(batch, ahead, *found.shape[1:])


def foresee(
    parts: Parts, params: Params, frames: Float[Array, "B V F H W 3"], batch: Batch
) -> tuple[Float[Array, "B N E"], Bool[Array, "B N 1"], Float[Array, ""]]:
    """What queries are to predict, without a gradient, which of it is real, and `feature_std`.

    Args:
        frames: the future, in [-1, 1].
    """
    seen = (jnp.asarray(batch.camera_mask), jnp.asarray(batch.text))
    found = jax.lax.stop_gradient(future_features(parts, params, frames, *seen))
    real = jnp.asarray(batch.frame_mask)[:, -frames.shape[2] :]
    target, spread = over_batch(found, real)
    rows, ahead, count, width = target.shape
    scored = jnp.repeat(real, count, axis=1)[..., None]
    return target.reshape(rows, ahead * count, width), scored, spread
