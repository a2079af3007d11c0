"""lift: take the named cube by two opposite faces and raise it."""

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Key
from wamjax.sim.scene import Block, SceneSpec
from wamjax.sim.tasks.moves import (
    SHUT,
    action_towards,
    grasp_of,
    hand_yaw,
    pick,
    side_of,
    wrapped,
    yaw_of,
)
from wamjax.sim.tasks.record import Layout, Situation, Task, scattered

CUBE = Block(half=(0.025, 0.025, 0.025))
WIDTH = 2 * CUBE.half[0]
HEIGHT = 0.12
LOW, HIGH = (0.40, -0.18), (0.60, 0.18)


def start_tip(key: Key) -> Array:
    """Where the tip starts over the middle of the table, float32 [1, 3], m."""
    low, high = jnp.array([0.42, -0.06, 0.19]), jnp.array([0.5, 0.06, 0.23])
    return jax.random.uniform(key, (3,), minval=low, maxval=high)[None]


def _sample(key: Key) -> Layout:
    keys = named_keys(key, "named", "other", "yaw", "tip")
    yaw = jax.random.uniform(keys["yaw"], (2, 1), minval=-0.6, maxval=0.6)
    places = scattered([keys["named"], keys["other"]], LOW, HIGH, 0.12)
    return Layout(
        blocks=jnp.concatenate([places, yaw], axis=1),
        marks=jnp.zeros((0, 2)),
        fixtures=jnp.zeros((0, 3)),
        tips=start_tip(keys["tip"]),
    )


def _distance(situation: Situation) -> Array:
    return jnp.maximum(0.0, HEIGHT - situation.blocks.position[0, 2])


def _solved(situation: Situation) -> Array:
    near = jnp.linalg.norm(situation.tip.position - situation.blocks.position[0]) < 0.05
    return (_distance(situation) <= 0.0) & near


def _expert(situation: Situation) -> Array:
    tip, block = situation.tip, situation.blocks.at(0)
    grasp = grasp_of(tip, situation.opening, block, WIDTH, side_of(situation.taste[0]))
    up = jnp.append(tip.position[:2], HEIGHT + 0.05)
    raised = action_towards(tip, up, SHUT, hand_yaw(tip))
    return jnp.where(grasp.held, raised, pick(tip, block, grasp))


def grasp_mode(situation: Situation, index: int = 0) -> Array:
    """By which pair of faces block `index` is held; -1 while it is not."""
    block = situation.blocks.at(index)
    grasp = grasp_of(situation.tip, situation.opening, block, WIDTH, jnp.array(0))
    turned = jnp.abs(wrapped(hand_yaw(situation.tip) - yaw_of(block.turn), jnp.pi))
    first = jnp.abs(wrapped(yaw_of(block.turn), jnp.pi / 2) - yaw_of(block.turn)) < jnp.pi / 4
    across = (turned > jnp.pi / 4) == first
    return jnp.where(grasp.held, across.astype(jnp.int32), -1)


GRASPS = ("left and right faces", "front and back faces")

LIFT = Task(
    name="lift",
    scene=SceneSpec(blocks=(CUBE, CUBE), grasping=True),
    horizon=40,
    palette=2,
    wordings=(("lift {a}", "pick up {a}", "raise {a}"),),
    reasons=(
        (
            "{a} should be in the air",
            "I want {a} off the table",
            "{a} must not touch the table",
            "the table without {a}, please",
            "show me the table under {a}",
        ),
    ),
    noun="cube",
    sample=_sample,
    distance=_distance,
    solved=_solved,
    hold=3,
    expert=_expert,
    noise=0.5,
    modes=GRASPS,
    mode=grasp_mode,
)
