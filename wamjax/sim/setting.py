"""What stays fixed during an episode, derived from a variant inside the compiled program.

The base (layout, colours, option, wording) depends on the seed alone; each axis then changes its
own part (`layouts` moves things, `perturbations` changes the look).
"""

import flax.struct
import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array
from wamjax.sim import instructions, layouts
from wamjax.sim.axes import SEVERITIES
from wamjax.sim.dynamics import Dynamics, build_dynamics
from wamjax.sim.perturbations import Look, build_look
from wamjax.sim.robots.registry import find_robot
from wamjax.sim.tasks.record import Layout, Task
from wamjax.sim.variants import Variant, base_key, perturbation, perturbation_draws


@flax.struct.dataclass
class Setting:
    """One world's constants.

    Attributes:
        variant: what it was derived from.
        layout: starting places, after the axes layout and robot.
        joints: float32 [R, J], rad, at reset, after the robot axis.
        opening: float32 [], of the grippers at reset, 0..1.
        ground: float32 [2], m, how far the surroundings stand from where they stand in the clean
            world, since the robot's foot is the origin.
        palette: int32 [P], index into instructions.COLOURS of each named thing.
        option: int32 [], what the instruction asks for.
        taste: float32 [2], see Situation.
        text: uint8 [X], the instruction.
        props: float32 [D, 3], x, y, z of the drawn distractors (m).
        props_shown: bool [D].
        look: camera, light, surroundings, sensor noise.
        dynamics: what differs in the physics.
    """

    variant: Variant
    layout: Layout
    joints: Array
    opening: Array
    ground: Array
    palette: Array
    option: Array
    taste: Array
    text: Array
    props: Array
    props_shown: Array
    look: Look
    dynamics: Dynamics


def build_setting(task: Task, variant: Variant, text_length: int) -> Setting:
    """The constants of one world of `task`; `variant` is traced, int32 scalars."""
    keys = named_keys(base_key(variant), "layout", "choices", "taste")
    draws = perturbation_draws(variant)
    robot = find_robot(task.scene.robot)
    base = task.sample(keys["layout"])
    layout = layouts.jittered(base, robot.region, variant, draws)
    layout = layouts.moved(layout, robot.region, variant, draws)
    ground = layouts.ground(variant, draws)
    layout = layouts.shifted(layout, ground)
    choices = jax.random.uniform(keys["choices"], (3,))
    tastes = jax.random.uniform(keys["taste"], (4,))
    palette = _palette(task.palette, choices, tastes)
    option = _choose(tastes[2], len(task.wordings))
    wording = _choose(choices[2], instructions.CLEAN_WORDINGS)
    props, shown = layouts.props(task.scene.props, layout, robot.region, variant, draws)
    look = build_look(variant, draws, robot.view)
    return Setting(
        variant=variant,
        layout=layout,
        joints=layouts.start_joints(robot, base, variant, draws),
        opening=layouts.start_opening(variant, draws),
        ground=ground,
        palette=palette,
        option=option,
        taste=tastes[:2],
        text=_text(task, text_length, palette, option, wording, variant, draws),
        props=props,
        props_shown=shown,
        look=standing_on(look, ground),
        dynamics=build_dynamics(variant, draws),
    )


def standing_on(look: Look, ground: Array) -> Look:
    """The look with its camera moved along with the ground."""
    camera = look.camera
    place = camera.position + jnp.append(ground, 0.0)
    return look.replace(camera=camera.replace(position=place))  # pyright: ignore


def _choose(u: Array, count: int) -> Array:
    """0..count - 1 from u in [0, 1)."""
    return jnp.clip(jnp.floor(u * count).astype(jnp.int32), 0, count - 1)


def _palette(size: int, choices: Array, tastes: Array) -> Array:
    """Different colours for the named things, int32 [size], at most three."""
    count = len(instructions.COLOURS)
    first = _choose(choices[0], count)
    second = (first + 1 + _choose(choices[1], count - 1)) % count
    # The colours that are left, in order; the third thing takes one of them.
    numbers = jnp.arange(count)
    left = (numbers != first) & (numbers != second)
    wanted = _choose(tastes[3], count - 2)
    third = jnp.argmax(left & (jnp.cumsum(left) == wanted + 1)).astype(jnp.int32)
    return jnp.stack([first, second, third])[:size]


def _text(
    task: Task,
    length: int,
    palette: Array,
    option: Array,
    clean: Array,
    variant: Variant,
    draws: Array,
) -> Array:
    table = jnp.asarray(instructions.table(task, length))
    level = jnp.clip(jnp.asarray(variant.severity) - 1, 0, SEVERITIES - 1)
    wording = clean
    for sub_axis, start in instructions.STARTS.items():
        active, _ = perturbation(variant, draws, "language", sub_axis)
        wording = jnp.where(active, start + level, wording)
    places = len(instructions.COLOURS) ** jnp.arange(task.palette)
    return table[option, jnp.sum(palette * places), wording]
