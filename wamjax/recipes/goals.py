"""What an example is told to do: an instruction, or the frame of a goal.

    both recorded    in training the goal with probability `share`, else the instruction; a sampler
                     that is shown a goal is told the goal
    one recorded     that one

What is not told is absent everywhere: no word of the instruction, every camera of the goal masked.
"""

import dataclasses

import jax.numpy as jnp

from wamjax.core.typing import AnyArray, Array, Bool, UInt8
from wamjax.recipes.parts import pixels
from wamjax.recipes.scene import Scene

# The frame of a goal, uint8 [B, V, H, W, 3], and which cameras show it, bool [B, V]
Goal = tuple[AnyArray, AnyArray]


def with_goal(
    scene: Scene,
    frames: UInt8[Array, "B V H W 3"],
    mask: Bool[Array, "B V"],
    chosen: Bool[Array, " B"],
) -> Scene:
    """The scene with its goal or its instruction.

    Args:
        frames, mask: of the goal.
        chosen: which examples are told the goal where both were recorded.
    """
    goal, words = jnp.any(mask, axis=1), jnp.any(scene.text > 0, axis=1)
    shown = goal & (chosen | ~words)
    return dataclasses.replace(
        scene,
        text=jnp.where(shown[:, None], 0, scene.text).astype(jnp.uint8),
        goal=pixels(frames),
        goal_mask=mask & shown[:, None],
    )
