"""reach: bring the tip to just above the cube that the instruction names."""

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Key
from wamjax.sim.tasks.record import (
    CUBE_TOP,
    Layout,
    Situation,
    Task,
    action_towards,
    first_valid,
    uniform_candidates,
)

ABOVE = 0.02
APART = 0.13


def _goal(situation: Situation) -> Array:
    return situation.cubes[0] + jnp.array([0.0, 0.0, CUBE_TOP / 2 + ABOVE])


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
    cubes = jnp.concatenate([jnp.stack([named, other]), yaw], axis=1)
    return Layout(cubes=cubes, spot=jnp.array([0.5, 0.0]), tip=tip)


def _distance(situation: Situation) -> Array:
    return jnp.linalg.norm(situation.tip.position - _goal(situation))


def _expert(situation: Situation) -> Array:
    return action_towards(situation, _goal(situation), 1.0)


REACH = Task(
    name="reach",
    horizon=18,
    wordings=("reach {cube}", "move the gripper to {cube}", "go to {cube}"),
    sample=_sample,
    distance=_distance,
    radius=0.035,
    hold=3,
    expert=_expert,
    noise=1.0,
    spot=False,
)
