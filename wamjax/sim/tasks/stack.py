"""stack and stack3: the named cube on another named cube, and a tower of three.

Solved as in RoboTwin 2.0 (stack_blocks_two): the upper cube's centre within 2.5 cm beside and
1.2 cm above or below its place on the lower one, gripper open.
"""

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Key
from wamjax.sim.kinematics import Pose
from wamjax.sim.scene import SceneSpec
from wamjax.sim.tasks.lift import CUBE, GRASPS, WIDTH, grasp_mode, start_tip
from wamjax.sim.tasks.moves import grasp_of, is_at, pick_and_place, side_of
from wamjax.sim.tasks.record import Layout, Situation, Task, scattered

ASIDE, LEVEL = 0.025, 0.012


def _sample(key: Key, count: int) -> Layout:
    keys = named_keys(key, "a", "b", "c", "yaw", "tip")
    places = scattered([keys[name] for name in "abc"[:count]], (0.40, -0.16), (0.58, 0.16), 0.11)
    yaw = jax.random.uniform(keys["yaw"], (3, 1), minval=-0.6, maxval=0.6)[:count]
    return Layout(
        blocks=jnp.concatenate([places, yaw], axis=1),
        marks=jnp.zeros((0, 2)),
        fixtures=jnp.zeros((0, 3)),
        tips=start_tip(keys["tip"]),
    )


def _top_of(block: Pose) -> Array:
    """Where the centre of a cube rests that stands on `block`."""
    return block.position + jnp.array([0.0, 0.0, WIDTH])


def _two_distance(situation: Situation) -> Array:
    gap = situation.blocks.position[0] - _top_of(situation.blocks.at(1))
    return jnp.linalg.norm(gap)


def _two_solved(situation: Situation) -> Array:
    there = is_at(situation.blocks.at(0), _top_of(situation.blocks.at(1)), ASIDE, LEVEL)
    return there & (situation.opening > 0.8)


def _two_expert(situation: Situation) -> Array:
    return pick_and_place(
        situation.tip,
        situation.opening,
        situation.blocks.at(0),
        _top_of(situation.blocks.at(1)),
        width=WIDTH,
        side=side_of(situation.taste[0]),
        high=0.16,
    )[0]


STACK = Task(
    name="stack",
    scene=SceneSpec(blocks=(CUBE, CUBE), grasping=True),
    horizon=60,
    palette=2,
    wordings=(("stack {a} on {b}", "put {a} on {b}", "place {a} on top of {b}"),),
    reasons=(
        (
            "{a} should stand on {b}",
            "I want {b} under {a}",
            "{b} carries {a}",
            "a tower, {a} its top",
            "build up, {a} is highest",
        ),
    ),
    noun="cube",
    sample=lambda key: _sample(key, 2),
    distance=_two_distance,
    solved=_two_solved,
    hold=3,
    expert=_two_expert,
    noise=0.4,
    modes=GRASPS,
    mode=grasp_mode,
)


def _on(situation: Situation, upper: int, lower: int) -> Array:
    return is_at(situation.blocks.at(upper), _top_of(situation.blocks.at(lower)), ASIDE, LEVEL)


def _three_distance(situation: Situation) -> Array:
    """Sum over both upper cubes: the lowest is c, then b, then a."""
    first = situation.blocks.position[1] - _top_of(situation.blocks.at(2))
    second = situation.blocks.position[0] - _top_of(situation.blocks.at(1))
    return jnp.linalg.norm(first) + jnp.linalg.norm(second)


def _three_solved(situation: Situation) -> Array:
    return _on(situation, 1, 2) & _on(situation, 0, 1) & (situation.opening > 0.8)


def _three_expert(situation: Situation) -> Array:
    def move(upper: int, lower: int, high: float) -> tuple[Array, Array]:
        return pick_and_place(
            situation.tip,
            situation.opening,
            situation.blocks.at(upper),
            _top_of(situation.blocks.at(lower)),
            width=WIDTH,
            side=side_of(situation.taste[0]),
            high=high,
        )

    first, done = move(1, 2, 0.16)
    second, _ = move(0, 1, 0.21)
    top, side = situation.blocks.at(0), jnp.array(0)
    held = grasp_of(situation.tip, situation.opening, top, WIDTH, side).held
    return jnp.where(done | (held & _on(situation, 1, 2)), second, first)


STACK3 = Task(
    name="stack3",
    scene=SceneSpec(blocks=(CUBE, CUBE, CUBE), grasping=True),
    horizon=120,
    palette=3,
    wordings=(("stack {a} on {b} on {c}", "pile {a} on {b} on {c}", "tower: {a} on {b} on {c}"),),
    reasons=(
        (
            "{a} over {b} over {c}",
            "{c} under {b} under {a}",
            "{b} between {a} and {c}",
            "tower, {c} low, {b}, {a} top",
            "tower, {a} top, {c} low",
        ),
    ),
    noun="cube",
    sample=lambda key: _sample(key, 3),
    distance=_three_distance,
    solved=_three_solved,
    hold=3,
    expert=_three_expert,
    noise=0.3,
    modes=GRASPS,
    mode=lambda situation: grasp_mode(situation, 1),
)
