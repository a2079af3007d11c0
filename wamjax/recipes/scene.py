"""What was recorded around now, as arrays."""

import flax.struct
import jax.numpy as jnp
import numpy as np

from wamjax.core.records import Batch
from wamjax.core.typing import Array, Bool, Float, Int, UInt8


@flax.struct.dataclass
class Scene:
    """What was recorded around now.

    Attributes:
        frames: float32 [B, V, T, H, W, 3] in [-1, 1]; T is `history`, or with the future behind.
        camera_mask, frame_mask: bool [B, V], [B, T].
        state: float32 [B, P], normalised, 0 where it was not recorded.
        text: uint8 [B, X].
        actions, action_mask: float32 and bool [B, K, A]; None when they are not known.
        past, past_mask: float32 and bool [B, P, A], those before now, the newest last; None when
            they are not known.
        next_state, next_mask: float32 and bool [B, P], normalised, with the newest frame behind the
            history; None when they are not known.
        value, value_mask: float32 and bool [B], in 0 ... 1, of what comes next; None when it is not
            known.
        goal, goal_mask: float32 [B, V, H, W, 3] in [-1, 1], bool [B, V]; None when there is none.
        embodiment: int32 [B]; None for the first.
        latents: float32 [B, W, T, h, w, c] of the first W cameras, encoded before; None where they
            are those of `frames`, which are then whole.
    """

    frames: Float[Array, "B V T H W 3"]
    camera_mask: Bool[Array, "B V"]
    frame_mask: Bool[Array, "B T"]
    state: Float[Array, "B P"]
    text: UInt8[Array, "B X"]
    actions: Float[Array, "B K A"] | None = None
    action_mask: Bool[Array, "B K A"] | None = None
    past: Float[Array, "B P A"] | None = None
    past_mask: Bool[Array, "B P A"] | None = None
    next_state: Float[Array, "B P"] | None = None
    next_mask: Bool[Array, "B P"] | None = None
    value: Float[Array, " B"] | None = None
    value_mask: Bool[Array, " B"] | None = None
    goal: Float[Array, "B V H W 3"] | None = None
    goal_mask: Bool[Array, "B V"] | None = None
    embodiment: Int[Array, " B"] | None = None
    latents: Float[Array, "B W T h w c"] | None = None

    def knows(self, ticks: np.ndarray) -> bool:
        """Whether actions at these control ticks from now on are part of the scene at all."""
        return (self.past if (ticks < 0).all() else self.actions) is not None

    def at(self, ticks: np.ndarray) -> tuple[Array, Array]:
        """The actions at control ticks from now on, and which numbers are real, [B, N, A] each."""
        found = [part for part in (self.past, self.actions) if part is not None]
        masks = [part for part in (self.past_mask, self.action_mask) if part is not None]
        whole, real = jnp.concatenate(found, axis=1), jnp.concatenate(masks, axis=1)
        before = 0 if self.past is None else self.past.shape[1]
        places = ticks + before
        inside = (places >= 0) & (places < whole.shape[1])
        picked = np.clip(places, 0, whole.shape[1] - 1)
        there = real[:, picked] & inside[None, :, None]
        return jnp.where(there, whole[:, picked], 0.0), there


def what_follows(batch: Batch, discount: float | None) -> dict[str, Array]:
    """What comes next in a batch, as a scene holds it; nothing where no value is learned.

    Raises:
        ValueError: values are learned, and the batch has none.
    """
    if discount is None:
        return {}
    if batch.value is None or batch.next_proprio is None or batch.next_proprio_mask is None:
        raise ValueError(
            f"values are learned and the data deliver none: set data.value_discount to {discount}"
        )
    return {
        "next_state": jnp.where(batch.next_proprio_mask, batch.next_proprio, 0.0),
        "next_mask": jnp.asarray(batch.next_proprio_mask),
        "value": jnp.asarray(batch.value),
        "value_mask": jnp.asarray(batch.value_mask),
    }
