"""What a form predicts, and what it is told besides the observation.

A stream that a program holds below pure noise stands for something known (motus, uwm: level 0):

    held       the form            known
    actions    world model         Known(actions=...)
    video      inverse dynamics    Known(frames=...)

In a painted sequence it is a frame of the future that is not noisy (Cosmos-Policy); elsewhere also
a segment that is given after having been predicted ("action/cond": LingBot-VA's world model).
"""

import dataclasses

import flax.struct
import jax.numpy as jnp

from wamjax.core.typing import Array, Float, UInt8
from wamjax.recipes.blueprint import Blueprint
from wamjax.recipes.parts import pixels
from wamjax.recipes.program import finished
from wamjax.recipes.scene import Scene


@flax.struct.dataclass
class Known:
    """What is known.

    Attributes:
        frames: uint8 [B, V, F, H, W, 3], the frames behind the history, of all cameras.
        actions: float32 [B, K, A], the chunk, normalised.
        proprio: float32 [B, P], normalised, at the newest of those frames.
    """

    frames: UInt8[Array, "B V F H W 3"] | None = None
    actions: Float[Array, "B K A"] | None = None
    proprio: Float[Array, "B P"] | None = None


NOTHING = Known()


def _painted(blueprint: Blueprint, *, noisy: bool) -> list[str]:
    """What stands in the future's frames of a painted sequence, that is or is not denoised."""
    return [
        blueprint.learning.painted[round(segment.start)].partition(" ")[0]
        for phase in blueprint.program
        for segment in phase.segments
        if segment.stream == "video" and segment.block > 0 and (segment.copy == "noisy") == noisy
    ]


def predicted(blueprint: Blueprint) -> tuple[str, ...]:
    """What can be sampled, of "action", "frames", "proprio" (the next one) and "value"."""
    names = {"action": "action", "video": "frames", "camera": "frames"}
    names |= {"state": "proprio", "value": "value"}
    if blueprint.learning.painted:
        found = _painted(blueprint, noisy=True)
    else:
        phases = (*blueprint.program, *blueprint.phases(imagine=True))
        found = [stream for phase in phases for stream in finished(phase)]
    return tuple(sorted({names[what] for what in found if what in names}))


def conditions(blueprint: Blueprint) -> tuple[str, ...]:
    """The fields of `Known` that a blueprint's program needs."""
    names = {"video": "frames", "camera": "frames", "action": "actions", "state": "proprio"}
    if blueprint.learning.painted:
        held = _painted(blueprint, noisy=False)
    else:
        held = [
            stream
            for phase in blueprint.program
            for stream, start, end in phase.levels
            if start == end < 1
        ]
        segments = (segment for phase in blueprint.program for segment in phase.segments)
        held += [segment.stream for segment in segments if segment.copy == "cond"]
    return tuple(sorted({names[what] for what in held if what in names}))


def told(scene: Scene, known: Known, needs: tuple[str, ...], future: int, name: str) -> Scene:
    """The scene with what is known in it.

    Args:
        scene: an observation.
        needs: see `conditions`.
        future: frames behind the history.
        name: of the form, for errors.

    Raises:
        ValueError: something that is needed is missing, has another number of frames, or nothing
            would look at it.
    """
    for field in ("frames", "actions", "proprio"):
        value = getattr(known, field)
        if field in needs and value is None:
            raise ValueError(f"{name} is sampled given true {field}: pass known=Known({field}=...)")
        if field not in needs and value is not None:
            raise ValueError(f"{name} does not look at known {field}: leave them out")
    if known.frames is not None:
        if known.frames.shape[2] != future:
            raise ValueError(f"{name} needs {future} known frames, got {known.frames.shape[2]}")
        frames = jnp.concatenate([scene.frames, pixels(known.frames)], axis=2)
        real = jnp.ones((frames.shape[0], frames.shape[2]), bool)
        scene = dataclasses.replace(scene, frames=frames, frame_mask=real)
    if known.actions is not None:
        real = jnp.ones(known.actions.shape, bool)
        scene = dataclasses.replace(scene, actions=known.actions, action_mask=real)
    if known.proprio is not None:
        real = jnp.ones(known.proprio.shape, bool)
        scene = dataclasses.replace(scene, next_state=known.proprio, next_mask=real)
    return scene
