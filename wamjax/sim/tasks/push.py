"""push: move the named cube onto the marked spot with the closed gripper.

With u the unit vector from the cube to the spot, the expert goes to the point behind the cube
(cube - BEHIND u) from above, descends, and pushes along u while it corrects its sideways offset
from the line; a pushed cube that turns away is followed because u is taken anew at every tick. Off
the line it backs out and comes in again; beside or in front of the cube it rises first.
"""

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Key
from wamjax.sim.scene import Block, Mark, SceneSpec
from wamjax.sim.tasks.moves import action_towards
from wamjax.sim.tasks.record import Layout, Situation, Task, first_valid, uniform_candidates

BEHIND = 0.068
HOVER = 0.105
LOW = 0.028
APART = 0.13
REACH_DISTANCE = (0.10, 0.15)
ANGLE = 0.5
NEAR = 0.045


def _segment_distance(points: Array, start: Array, end: Array) -> Array:
    along = end - start
    t = jnp.clip((points - start) @ along / jnp.sum(along**2), 0.0, 1.0)
    return jnp.linalg.norm(points - start - t[:, None] * along, axis=1)


def _sample(key: Key) -> Layout:
    keys = named_keys(key, "named", "other", "yaw", "tip", "angle", "distance")
    named = uniform_candidates(keys["named"], (0.41, -0.10), (0.48, 0.10))[0]
    angle = jax.random.uniform(keys["angle"], (), minval=-ANGLE, maxval=ANGLE)
    low, high = REACH_DISTANCE
    distance = jax.random.uniform(keys["distance"], (), minval=low, maxval=high)
    spot = named + distance * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
    others = uniform_candidates(keys["other"], (0.40, -0.22), (0.62, 0.22))
    other = first_valid(others, _segment_distance(others, named, spot) > APART)
    yaw = jax.random.uniform(keys["yaw"], (2, 1), minval=-0.25, maxval=0.25)
    tip = jax.random.uniform(
        keys["tip"],
        (3,),
        minval=jnp.array([0.34, -0.05, 0.14]),
        maxval=jnp.array([0.39, 0.05, 0.17]),
    )
    return Layout(
        blocks=jnp.concatenate([jnp.stack([named, other]), yaw], axis=1),
        marks=spot[None],
        fixtures=jnp.zeros((0, 3)),
        tips=tip[None],
    )


def _distance(situation: Situation) -> Array:
    return jnp.linalg.norm(situation.blocks.position[0, :2] - situation.marks[0])


def _solved(situation: Situation) -> Array:
    return _distance(situation) < NEAR


def _expert(situation: Situation) -> Array:
    tip, cube = situation.tip.position, situation.blocks.position[0, :2]
    gap = situation.marks[0] - cube
    distance = jnp.sqrt(jnp.sum(gap**2) + 1e-12)
    u = gap / distance
    offset = tip[:2] - cube
    along = jnp.dot(offset, u)
    sideways = offset - along * u
    aside = jnp.sqrt(jnp.sum(sideways**2) + 1e-12)

    start = cube - BEHIND * u
    onward = tip[:2] + jnp.minimum(0.025, 0.5 * distance) * u - 0.4 * sideways
    above = jnp.append(start, HOVER)
    rise = jnp.append(tip[:2], HOVER + 0.01)
    beside = jnp.append(start, LOW)
    push = jnp.append(onward, LOW)
    retreat = jnp.append(tip[:2] - 0.03 * u, LOW)
    stay = jnp.append(tip[:2], LOW)

    low = tip[2] < LOW + 0.022
    clear = along < -0.052
    over_start = (along < -0.05) & (along > -0.1) & (aside < 0.018)
    must_rise = (tip[2] < HOVER - 0.025) & (jnp.linalg.norm(offset) < 0.085)
    goal = jnp.where(must_rise, rise, above)
    goal = jnp.where(over_start & ~low, beside, goal)
    goal = jnp.where(low & (along < -0.02) & (aside < 0.045), retreat, goal)
    goal = jnp.where(low & clear & (along > -0.12) & (aside < 0.045), beside, goal)
    goal = jnp.where(low & (along < -0.02) & (aside < 0.02), push, goal)
    goal = jnp.where((distance < 0.02) & low, stay, goal)
    return action_towards(situation.tip, goal, 0.0)


def _mode(situation: Situation) -> Array:
    """Which way round the cube: the side of the line of push on which the tip comes down."""
    tip, cube = situation.tip.position, situation.blocks.position[0, :2]
    gap, offset = situation.marks[0] - cube, tip[:2] - cube
    left = gap[0] * offset[1] - gap[1] * offset[0] > 0
    low = (tip[2] < HOVER) & (jnp.linalg.norm(offset) < 0.12)
    return jnp.where(low, left.astype(jnp.int32), -1)


PUSH = Task(
    name="push",
    scene=SceneSpec(blocks=(Block(), Block()), marks=(Mark(name="spot"),)),
    horizon=32,
    palette=2,
    wordings=(("push {a} to the spot", "move {a} to the spot", "slide {a} onto the spot"),),
    reasons=(
        (
            "{a} should be on the spot",
            "I want {a} on the white spot",
            "{a} belongs on the spot",
            "the spot misses {a}",
            "see {a} cover the spot",
        ),
    ),
    noun="cube",
    sample=_sample,
    distance=_distance,
    solved=_solved,
    hold=2,
    expert=_expert,
    noise=0.6,
    modes=("behind it from the right", "behind it from the left"),
    mode=_mode,
)
