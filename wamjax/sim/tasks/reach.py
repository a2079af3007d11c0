"""reach: bring the tip to just above the cube that the instruction names."""

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Key
from wamjax.sim.scene import Block, SceneSpec
from wamjax.sim.tasks.moves import action_towards
from wamjax.sim.tasks.record import Layout, Situation, Task, first_valid, uniform_candidates

ABOVE = 0.02
APART = 0.13
NEAR = 0.035
CUBE = Block()


def _goal(situation: Situation) -> Array:
    return situation.blocks.position[0] + jnp.array([0.0, 0.0, CUBE.half[2] + ABOVE])


def _sample(key: Key) -> Layout:
    keys = named_keys(key, "named", "other", "yaw", "tip")
    low, high = (0.39, -0.18), (0.60, 0.18)
    named = uniform_candidates(keys["named"], low, high)[0]
    others = uniform_candidates(keys["other"], low, high)
    other = first_valid(others, jnp.sum((others - named) ** 2, axis=1) > APART**2)
    yaw = jax.random.uniform(keys["yaw"], (2, 1), minval=-0.6, maxval=0.6)
    tip = jax.random.uniform(
        keys["tip"],
        (3,),
        minval=jnp.array([0.42, -0.06, 0.19]),
        maxval=jnp.array([0.5, 0.06, 0.23]),
    )
    return Layout(
        blocks=jnp.concatenate([jnp.stack([named, other]), yaw], axis=1),
        marks=jnp.zeros((0, 2)),
        fixtures=jnp.zeros((0, 3)),
        tips=tip[None],
    )


def _distance(situation: Situation) -> Array:
    return jnp.linalg.norm(situation.tip.position - _goal(situation))


def _solved(situation: Situation) -> Array:
    return _distance(situation) < NEAR


def _expert(situation: Situation) -> Array:
    return action_towards(situation.tip, _goal(situation), 1.0)


def _mode(situation: Situation) -> Array:
    """From which side the tip comes down, seen from the base."""
    side = situation.tip.position[1] > situation.blocks.position[0, 1]
    return jnp.where(_distance(situation) < 0.1, side.astype(jnp.int32), -1)


REACH = Task(
    name="reach",
    scene=SceneSpec(blocks=(CUBE, CUBE)),
    horizon=18,
    palette=2,
    wordings=(("reach {a}", "move the gripper to {a}", "go to {a}"),),
    reasons=(
        (
            "the gripper should be at {a}",
            "I want to see the hand over {a}",
            "{a} waits for the hand",
            "the hand is missing at {a}",
            "what is {a} without a hand",
        ),
    ),
    noun="cube",
    sample=_sample,
    distance=_distance,
    solved=_solved,
    hold=3,
    expert=_expert,
    noise=1.0,
    modes=("from the right", "from the left"),
    mode=_mode,
)
