"""Nothing is ignored in silence: which declared inputs does the loss truly depend on?

An input is changed, everything else (weights, key, the other inputs) stays; if the loss does not
change by a single bit, the input is unused. Fresh networks end in zeros (AdaLN, output layers) and
would look blind, so every weight is first moved by a fixed pattern about as large as a usual
initial weight:

    w + sin(2 i + 3 j + ... + leaf) / sqrt(longest side of w)        i, j, ... indices within w
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.records import Batch
from wamjax.core.runtime import once_jit
from wamjax.core.typing import AnyArray, Array, Key, Params
from wamjax.train.protocols import System
from wamjax.train.stages import Stage


def moved(params: Params) -> Params:
    """The weights off every special value; a pattern, since it compiles faster than draws."""

    def one(leaf: Array, place: int) -> Array:
        phase = jnp.float32(place)
        for axis in range(leaf.ndim):
            phase = phase + (axis + 2.0) * jax.lax.broadcasted_iota(jnp.float32, leaf.shape, axis)
        longest = max([1, *leaf.shape])
        return leaf + (jnp.sin(phase) / longest**0.5).astype(leaf.dtype)

    leaves, structure = jax.tree.flatten(params)
    return jax.tree.unflatten(structure, [one(leaf, place) for place, leaf in enumerate(leaves)])


def unused_inputs(
    system: System, params: Params, batch: Batch, objective: Any, key: Key
) -> list[str]:
    """Names of declared inputs without effect on the loss: "camera 1", "proprio", "text", "goal".

    Only the first frame of a camera is changed: it is always history, later ones may be targets.
    So is the first of its latents, where they come with the batch.

    Args:
        system: gives the loss.
        params: unboxed weights.
        batch: one batch; an input that is masked or empty throughout it counts as unused.
        objective: what the loss is asked for.
        key: of the loss's draws.
    """
    views = batch.camera_mask.shape[1]
    names = [*(f"camera {view}" for view in range(views)), "proprio", "text"]
    if batch.goal is not None:
        names.append("goal")

    @once_jit
    def loss(params: Params, batch: Batch, changed: Array) -> Array:
        camera = (changed == jnp.arange(views))[:, None, None, None, None]
        now, latents = jnp.asarray(batch.frames)[:, :, :1], batch.latents
        if latents is not None:
            encoded = camera[: latents.shape[1]]
            first = jnp.asarray(latents)[:, :, :1]
            latents = jnp.asarray(latents).at[:, :, :1].set(jnp.where(encoded, -first, first))
        text = jnp.where((batch.text > 0) & (changed == views + 1), 255 - batch.text, batch.text)
        seen = dataclasses.replace(
            batch,
            frames=jnp.asarray(batch.frames).at[:, :, :1].set(jnp.where(camera, 255 - now, now)),
            latents=latents,
            proprio=batch.proprio + jnp.where(changed == views, 1.0, 0.0),
            text=text.astype(jnp.uint8),
            goal=_turned(batch.goal, changed == views + 2),
        )
        return system.loss(moved(params), seen, key, objective)[0]

    # One program for all, so that equal means equal; -1 changes nothing.
    batch = jax.tree.map(jnp.asarray, batch)
    before, *after = (float(loss(params, batch, place)) for place in range(-1, len(names)))
    return [name for name, value in zip(names, after, strict=True) if value == before]


def _turned(goal: AnyArray | None, changed: Array) -> Array | None:
    return None if goal is None else jnp.where(changed, 255 - jnp.asarray(goal), goal)


def inspect_inputs(
    system: System,
    params: Params,
    batch: Batch,
    stage: Stage,
    key: Key,
    say: Callable[[str], None],
) -> None:
    """What a stage needs to be told before its first step; raises like `refuse_empty_masks`."""
    refuse_empty_masks(batch)
    unused = unused_inputs(system, params, batch, stage.objective, key)
    if unused:
        say(f"stage {stage.name} does not depend on: {', '.join(unused)}.")


def refuse_empty_masks(batch: Batch) -> None:
    """Refuse a batch from which nothing could be learnt.

    Raises:
        UserError: a mask hides every frame, camera or action, or an array is not finite.
    """
    for name in ("camera_mask", "frame_mask", "action_mask"):
        if not bool(np.asarray(jnp.any(getattr(batch, name)))):
            raise UserError(
                f"{name} hides everything in the first batch; check the cameras, keys and "
                "lengths in config.data."
            )
    for name in ("actions", "proprio"):
        if not bool(np.asarray(jnp.all(jnp.isfinite(getattr(batch, name))))):
            raise UserError(
                f"{name} in the first batch are not finite; check the data and their statistics."
            )
