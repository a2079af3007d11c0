"""What stays fixed during an episode, derived from a variant inside the compiled program.

The base (layout, colours, wording) depends on the seed alone; each axis then changes its own part.
"""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Key
from wamjax.sim import instructions, kinematics, panda
from wamjax.sim.scene import PROPS
from wamjax.sim.tasks.record import DOWN, Layout, Task
from wamjax.sim.tasks.registry import TASKS
from wamjax.sim.variants import SEVERITIES, Variant, base_key, perturbation

START_ITERATIONS = 12
TRIES = 16
SHIFT_LOW, SHIFT_HIGH = (0.33, -0.30), (0.72, 0.30)


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
    """

    variant: Variant
    layout: Layout
    joints: Array
    colours: Array
    text: Array
    props: Array
    props_shown: Array


def build_setting(task: Task, variant: Variant) -> Setting:
    """The constants of one world of `task`; `variant` is traced, int32 scalars."""
    keys = named_keys(base_key(variant), "layout", "colours", "wording")
    layout = _shifted(task.sample(keys["layout"]), variant)
    first = jax.random.permutation(keys["colours"], len(instructions.COLOURS))
    props, shown = _props(layout, variant)
    return Setting(
        variant=variant,
        layout=layout,
        joints=_start_joints(layout, variant),
        colours=first[:2].astype(jnp.int32),
        text=_text(task, first[0], keys["wording"], variant),
        props=props,
        props_shown=shown,
    )


def _text(task: Task, colour: Array, key: Key, variant: Variant) -> Array:
    table = jnp.asarray(instructions.table()[TASKS.index(task)])
    clean = jax.random.randint(key, (), 0, instructions.CLEAN_WORDINGS)
    level = jnp.clip(jnp.asarray(variant.severity) - 1, 0, SEVERITIES - 1)
    distracted, _, _ = perturbation(variant, "language", "distraction")
    described, _, _ = perturbation(variant, "language", "common_sense")
    wording = jnp.where(distracted, instructions.DISTRACTION_START + level, clean)
    wording = jnp.where(described, instructions.DESCRIPTION_START + level, wording)
    return table[colour, wording]


def _shifted(layout: Layout, variant: Variant) -> Layout:
    """All objects moved together, in the first of TRIES directions that keeps them in reach."""
    active, amount, key = perturbation(variant, "layout", "shift")
    angles = jax.random.uniform(key, (TRIES,), maxval=2 * jnp.pi)
    moves = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    places = jnp.concatenate([layout.cubes[:, :2], layout.spot[None]])
    # Judged at the largest shift, so that every severity goes the same way.
    moved = places[None] + 0.15 * moves[:, None]
    inside = (moved > jnp.array(SHIFT_LOW)) & (moved < jnp.array(SHIFT_HIGH))
    best = jnp.argmax(jnp.sum(inside, axis=(1, 2)))
    move = jnp.where(active, amount, 0.0) * moves[best]
    return layout.replace(cubes=layout.cubes + jnp.pad(move, (0, 1)), spot=layout.spot + move)


def _start_joints(layout: Layout, variant: Variant) -> Array:
    """Inverse kinematics for the starting tip, then the offset of the robot axis."""
    target = kinematics.Pose(position=layout.tip, turn=jnp.array(DOWN))
    start = kinematics.solve(target, jnp.asarray(panda.READY, jnp.float32), START_ITERATIONS)
    active, amount, key = perturbation(variant, "robot", "joint_offset")
    directions = jax.random.normal(key, (TRIES, panda.ARM_JOINTS))
    directions = directions / jnp.linalg.norm(directions, axis=1, keepdims=True)
    # Judged at the largest offset: the hand must stay clear of cubes and table and not fold back.
    tips = jax.vmap(lambda direction: kinematics.tip_pose(start + 0.5 * direction).position)(
        directions
    )
    clear = (tips[:, 2] > 0.11) & (tips[:, 0] > 0.3) & (tips[:, 2] < 0.45)
    direction = directions[jnp.argmax(clear)]
    return start + jnp.where(active, amount, 0.0) * direction


def _props(layout: Layout, variant: Variant) -> tuple[Array, Array]:
    """Places of the distractors beside the cubes and which of them are on the table."""
    active, amount, key = perturbation(variant, "layout", "distractors")
    count = len(PROPS)
    candidates = jax.random.uniform(
        key,
        (count, TRIES, 2),
        minval=jnp.array([0.36, -0.28]),
        maxval=jnp.array([0.70, 0.28]),
    )
    keep = jnp.concatenate([layout.cubes[:, :2], layout.spot[None]])
    gaps = jnp.linalg.norm(candidates[:, :, None] - keep, axis=-1).min(axis=-1)
    best = jnp.argmax(jnp.minimum(gaps, 0.1), axis=1)
    places = candidates[jnp.arange(count), best]
    heights = jnp.array(PROP_HEIGHTS)[:, None]
    shown = active & (jnp.arange(count) < jnp.round(amount))
    return jnp.concatenate([places, heights], axis=1), shown


PROP_HEIGHTS = np.array([0.03, 0.04, 0.05, 0.015, 0.022], np.float32)
"""Centres of the props when they stand on the table (m), in the order of scene.PROPS."""
