"""What of a batch a system is held to: the tokens of video that exist, and frames as the codec has
them."""

import jax.numpy as jnp

from wamjax.codec.autoencoder import reconstruction_loss
from wamjax.core.records import Batch
from wamjax.core.typing import Array, Bool, Float, Params
from wamjax.recipes.parts import Parts


def video_mask(parts: Parts, batch: Batch) -> Bool[Array, "B N 1"]:
    """Which target video tokens stand for frames that exist, in the order of the segments."""
    c = parts.config
    rows, columns, _ = parts.grid
    _, ahead = parts.latent_frames
    future = jnp.asarray(batch.frame_mask)[:, c.history :]
    # A latent frame is real if all its pixel frames are.
    future = future.reshape(future.shape[0], ahead, c.codec.temporal).all(-1)
    tokens = jnp.repeat(future, rows * columns, axis=1)
    views = [
        tokens & jnp.asarray(batch.camera_mask)[:, view : view + 1]
        for view in range(c.predicted_views)
    ]
    return jnp.concatenate(views, axis=1)[..., None]


def codec_loss(
    parts: Parts, params: Params, frames: Float[Array, "B V T H W 3"], batch: Batch
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """How far frames in [-1, 1] are from what the codec gives back, and the same by name."""
    errors = []
    for view, latents in enumerate(parts.encode(params, frames)):
        real = jnp.asarray(batch.frame_mask) & jnp.asarray(batch.camera_mask)[:, view, None]
        again = parts.decode(params, latents)
        errors.append(reconstruction_loss(frames[:, view], latents, again, real))
    loss = sum(errors, jnp.zeros(())) / len(errors)
    return loss, {"loss/codec": loss}
