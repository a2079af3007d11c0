"""What stays fixed during an episode, derived from a variant inside the compiled program.

The base (layout, colours, wording) depends on the seed alone; each axis then changes its own part.
"""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array
from wamjax.sim import instructions, kinematics, panda
from wamjax.sim.perturbations import Look, build_look
from wamjax.sim.scene import PROPS
from wamjax.sim.tasks.record import DOWN, Layout, Task
from wamjax.sim.tasks.registry import TASK_NAMES
from wamjax.sim.variants import (
    SEVERITIES,
    Variant,
    base_key,
    perturbation,
    perturbation_draws,
)

START_ITERATIONS = 12
SHIFT_LOW, SHIFT_HIGH = (0.33, -0.30), (0.72, 0.30)
SHIFT_TRIES, OFFSET_TRIES, PROP_TRIES = 16, 16, 10
PROP_HEIGHTS = np.array([0.03, 0.04, 0.05, 0.015, 0.022], np.float32)
"""Centres of the props when they stand on the table (m), in the order of scene.PROPS."""


@flax.struct.dataclass
class Setting:
    """One world's constants.

    Attributes:
        variant: what it was derived from.
        layout: starting places, after the layout axis.
        joints: float32 [7], rad, at reset, after the robot axis.
        colours: int32 [2], index into instructions.COLOURS of the named cube and of the other.
        text: uint8 [64], the instruction.
        props: float32 [5, 3], x, y, z of the drawn distractors (m).
        props_shown: bool [5].
        look: camera, light, surroundings.
    """

    variant: Variant
    layout: Layout
    joints: Array
    colours: Array
    text: Array
    props: Array
    props_shown: Array
    look: Look


def build_setting(task: Task, variant: Variant) -> Setting:
    """The constants of one world of `task`; `variant` is traced, int32 scalars."""
    keys = named_keys(base_key(variant), "layout", "choices")
    draws = perturbation_draws(variant)
    layout = _shifted(task.sample(keys["layout"]), variant, draws)
    choices = jax.random.uniform(keys["choices"], (3,))
    count = len(instructions.COLOURS)
    named = _choose(choices[0], count)
    other = (named + 1 + _choose(choices[1], count - 1)) % count
    props, shown = _props(layout, variant, draws)
    return Setting(
        variant=variant,
        layout=layout,
        joints=_start_joints(layout, variant, draws),
        colours=jnp.stack([named, other]),
        text=_text(task, named, _choose(choices[2], instructions.CLEAN_WORDINGS), variant, draws),
        props=props,
        props_shown=shown,
        look=build_look(variant, draws),
    )


def _choose(u: Array, count: int) -> Array:
    """0..count - 1 from u in [0, 1)."""
    return jnp.clip(jnp.floor(u * count).astype(jnp.int32), 0, count - 1)


def _text(task: Task, colour: Array, clean: Array, variant: Variant, draws: Array) -> Array:
    table = jnp.asarray(instructions.table()[TASK_NAMES.index(task.name)])
    level = jnp.clip(jnp.asarray(variant.severity) - 1, 0, SEVERITIES - 1)
    distracted, _ = perturbation(variant, draws, "language", "distraction")
    described, _ = perturbation(variant, draws, "language", "common_sense")
    wording = jnp.where(distracted, instructions.DISTRACTION_START + level, clean)
    wording = jnp.where(described, instructions.DESCRIPTION_START + level, wording)
    return table[colour, wording]


def _shifted(layout: Layout, variant: Variant, draws: Array) -> Layout:
    """All objects moved together, in the first of several directions that keeps them in reach."""
    active, amount = perturbation(variant, draws, "layout", "shift")
    angles = 2.0 * jnp.pi * draws[1 : 1 + SHIFT_TRIES]
    moves = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    places = jnp.concatenate([layout.cubes[:, :2], layout.spot[None]])
    # Judged at the largest shift, so that every severity goes the same way.
    moved = places[None] + 0.15 * moves[:, None]
    inside = (moved > jnp.array(SHIFT_LOW)) & (moved < jnp.array(SHIFT_HIGH))
    best = jnp.argmax(jnp.sum(inside, axis=(1, 2)))
    move = jnp.where(active, amount, 0.0) * moves[best]
    return layout.replace(  # pyright: ignore[reportAttributeAccessIssue]
        cubes=layout.cubes + jnp.pad(move, (0, 1)), spot=layout.spot + move
    )


def _start_joints(layout: Layout, variant: Variant, draws: Array) -> Array:
    """Inverse kinematics for the starting tip, then the offset of the robot axis."""
    target = kinematics.Pose(position=layout.tip, turn=jnp.array(DOWN))
    start = kinematics.solve(target, jnp.asarray(panda.READY, jnp.float32), START_ITERATIONS)
    active, amount = perturbation(variant, draws, "robot", "joint_offset")
    uniform = draws[1 : 1 + OFFSET_TRIES * panda.ARM_JOINTS]
    directions = ndtri(jnp.clip(uniform, 1e-3, 1 - 1e-3)).reshape(OFFSET_TRIES, panda.ARM_JOINTS)
    directions = directions / jnp.linalg.norm(directions, axis=1, keepdims=True)
    # Judged at the largest offset: the hand must stay clear of cubes and table and not fold back.
    tips = jax.vmap(kinematics.tip_pose)(start + 0.5 * directions).position
    clear = (tips[:, 2] > 0.11) & (tips[:, 2] < 0.45) & (tips[:, 0] > 0.3)
    direction = directions[jnp.argmax(clear)]
    return start + jnp.where(active, amount, 0.0) * direction


def _props(layout: Layout, variant: Variant, draws: Array) -> tuple[Array, Array]:
    """Places of the distractors beside the cubes, and which of them are on the table."""
    active, amount = perturbation(variant, draws, "layout", "distractors")
    count = len(PROPS)
    uniform = draws[1 : 1 + count * PROP_TRIES * 2].reshape(count, PROP_TRIES, 2)
    low, high = jnp.array([0.36, -0.24]), jnp.array([0.66, 0.24])
    candidates = low + uniform * (high - low)
    keep = jnp.concatenate([layout.cubes[:, :2], layout.spot[None]])
    gaps = jnp.linalg.norm(candidates[:, :, None] - keep, axis=-1).min(axis=-1)
    best = jnp.argmax(jnp.minimum(gaps, 0.1), axis=1)
    places = candidates[jnp.arange(count), best]
    shown = active & (jnp.arange(count) < jnp.round(amount))
    return jnp.concatenate([places, jnp.array(PROP_HEIGHTS)[:, None]], axis=1), shown
