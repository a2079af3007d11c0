"""bimanual_lift: both arms grip the named bar and raise it level."""

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Key
from wamjax.sim.scene import Block, SceneSpec
from wamjax.sim.tasks.handover import start_tips
from wamjax.sim.tasks.moves import HOVER, OPEN, SHUT, STEP, action_towards, side_of
from wamjax.sim.tasks.record import Layout, Situation, Task
from wamjax.sim.tasks.sticks import (
    LEFT,
    RIGHT,
    Hold,
    arm_of,
    block_of,
    direction,
    hold_of,
    pick_stick,
    point_on,
    stick_yaw,
)

BAR = Block(half=(0.13, 0.015, 0.015), mass=0.08)
HEIGHT = 0.12
TILT = np.sin(np.deg2rad(15.0))
SPANS = (0.06, 0.105)
"""Where the arms grip, m from the bar's middle: the expert's two ways."""


def _sample(key: Key) -> Layout:
    keys = named_keys(key, "place", "flip", "yaw", "tip")
    low, high = jnp.array([[-0.03, 0.07], [-0.03, -0.14]]), jnp.array([[0.03, 0.14], [0.03, -0.07]])
    places = jax.random.uniform(keys["place"], (2, 2), minval=low, maxval=high)
    places = jnp.where(jax.random.bernoulli(keys["flip"]), places[::-1], places)
    yaw = jax.random.uniform(keys["yaw"], (2, 1), minval=-0.3, maxval=0.3)
    return Layout(
        blocks=jnp.concatenate([places, yaw], axis=1),
        marks=jnp.zeros((0, 2)),
        fixtures=jnp.zeros((0, 3)),
        tips=start_tips(keys["tip"]),
    )


def _holds(situation: Situation) -> list[Hold]:
    bar = block_of(situation)
    return [hold_of(*arm_of(situation, arm), bar, BAR) for arm in (LEFT, RIGHT)]


def _distance(situation: Situation) -> Array:
    return jnp.maximum(0.0, HEIGHT - situation.blocks.position[0, 2])


def _solved(situation: Situation) -> Array:
    left, right = _holds(situation)
    level = jnp.abs(direction(block_of(situation))[2]) < TILT
    return left.held & right.held & level & (_distance(situation) <= 0.0)


def _expert(situation: Situation) -> Array:
    bar, holds = block_of(situation), _holds(situation)
    span = jnp.array(SPANS)[side_of(situation.taste[1])]
    first, yaw = side_of(situation.taste[0]), stick_yaw(bar)
    both = holds[LEFT].held & holds[RIGHT].held
    firm = holds[LEFT].firm & holds[RIGHT].firm
    both = both & (firm | (bar.position[2] > BAR.half[2] + 0.01))
    actions = []
    for arm, way in ((LEFT, -1.0), (RIGHT, 1.0)):
        tip, _ = arm_of(situation, arm)
        place = point_on(bar, way * span)
        above = place.position + jnp.array([0.0, 0.0, HOVER])
        wait = action_towards(tip, above, OPEN, yaw)
        turn = holds[1 - arm].held | (first == arm)
        grip = jnp.where(turn, pick_stick(tip, bar, way * span), wait)
        # One alone keeps the bar on the table; both aim at a height over its middle, so that the
        # lower end catches up.
        own = point_on(bar, holds[arm].along).position
        height = jnp.minimum(bar.position[2] + STEP, HEIGHT + 0.03)
        goal = jnp.append(own[:2], jnp.where(both, height, BAR.half[2]))
        raised = action_towards(tip, goal, SHUT, yaw)
        actions.append(jnp.where(holds[arm].held, raised, grip))
    return jnp.concatenate(actions)


def _mode(situation: Situation) -> Array:
    """Which arm holds the bar first, and how far out."""
    left, right = _holds(situation)
    along = jnp.where(left.held, left.along, right.along)
    wide = jnp.abs(along) > sum(SPANS) / 2
    way = 2 * wide.astype(jnp.int32) + right.held.astype(jnp.int32)
    return jnp.where(left.held ^ right.held, way, -1)


BIMANUAL_LIFT = Task(
    name="bimanual_lift",
    scene=SceneSpec(robot="aloha", blocks=(BAR, BAR), grasping=True),
    horizon=60,
    palette=2,
    wordings=(("lift {a} with both arms", "raise {a} with both hands", "both arms, pick up {a}"),),
    reasons=(
        (
            "{a} should float level",
            "I want {a} high and level",
            "no end of {a} may touch the table",
            "both ends of {a} should be in the air",
            "{a} is too long for one hand to hold up",
        ),
    ),
    noun="bar",
    sample=_sample,
    distance=_distance,
    solved=_solved,
    hold=3,
    expert=_expert,
    noise=0.3,
    modes=(
        "left arm first, near the middle",
        "right arm first, near the middle",
        "left arm first, at the ends",
        "right arm first, at the ends",
    ),
    mode=_mode,
)
