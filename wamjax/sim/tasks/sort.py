"""sort: each cube to the zone of its own colour, or of the other's, as the instruction says."""

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Key
from wamjax.sim.scene import Mark, SceneSpec
from wamjax.sim.tasks.lift import CUBE, WIDTH, start_tip
from wamjax.sim.tasks.moves import grasp_of, pick_and_place, side_of
from wamjax.sim.tasks.record import Layout, Situation, Task, scattered

HIGH = 0.13
NEAR = 0.045
MATCH, SWAP = 0, 1


def _sample(key: Key) -> Layout:
    keys = named_keys(key, "a", "b", "yaw", "tip", "zones", "flip")
    jitter = jax.random.uniform(keys["zones"], (2, 2), minval=-0.02, maxval=0.02)
    sides = jnp.where(jax.random.bernoulli(keys["flip"]), 1.0, -1.0) * jnp.array([1.0, -1.0])
    zones = jnp.stack([jnp.full(2, 0.60), 0.15 * sides], axis=1) + jitter
    places = scattered([keys["a"], keys["b"]], (0.38, -0.16), (0.48, 0.16), 0.11)
    yaw = jax.random.uniform(keys["yaw"], (2, 1), minval=-0.6, maxval=0.6)
    return Layout(
        blocks=jnp.concatenate([places, yaw], axis=1),
        marks=zones,
        fixtures=jnp.zeros((0, 3)),
        tips=start_tip(keys["tip"]),
    )


def _goals(situation: Situation) -> Array:
    zones = jnp.where(situation.option == SWAP, situation.marks[::-1], situation.marks)
    return jnp.concatenate([zones, jnp.full((2, 1), CUBE.half[2])], axis=1)


def _distance(situation: Situation) -> Array:
    return jnp.sum(jnp.linalg.norm(situation.blocks.position - _goals(situation), axis=1))


def _solved(situation: Situation) -> Array:
    gaps = situation.blocks.position - _goals(situation)
    there = (jnp.linalg.norm(gaps[:, :2], axis=1) < NEAR) & (jnp.abs(gaps[:, 2]) < 0.012)
    return jnp.all(there) & (situation.opening > 0.8)


def _held(situation: Situation, index: int) -> Array:
    tip, zero = situation.tip, jnp.array(0)
    return grasp_of(tip, situation.opening, situation.blocks.at(index), WIDTH, zero).held


def _expert(situation: Situation) -> Array:
    goals, side = _goals(situation), side_of(situation.taste[0])
    first = (situation.taste[1] > 0.5).astype(jnp.int32)

    def move(index: Array) -> tuple[Array, Array]:
        return pick_and_place(
            situation.tip,
            situation.opening,
            situation.blocks.at(index),
            goals[index],
            width=WIDTH,
            side=side,
            high=HIGH,
        )

    one, done = move(first)
    two, _ = move(1 - first)
    held = jnp.where(first == 0, _held(situation, 1), _held(situation, 0))
    return jnp.where(done | held, two, one)


def _mode(situation: Situation) -> Array:
    """Which cube is held first."""
    mode = jnp.where(_held(situation, 1), 1, -1)
    return jnp.where(_held(situation, 0), 0, mode)


SORT = Task(
    name="sort",
    scene=SceneSpec(
        blocks=(CUBE, CUBE),
        grasping=True,
        marks=(
            Mark(name="zone_a", kind="box", palette=0),
            Mark(name="zone_b", kind="box", palette=1),
        ),
    ),
    horizon=110,
    palette=2,
    wordings=(
        (
            "put {a} and {b} on their own colours",
            "sort {a} and {b} by colour",
            "bring {a} and {b} to zones like them",
        ),
        (
            "put {a} and {b} on each other's colours",
            "cross {a} and {b} by colour",
            "bring {a} and {b} to zones unlike them",
        ),
    ),
    reasons=(
        (
            "{a} and {b} should hide their own colours",
            "neither {a} nor {b} on a strange colour",
            "{a} wants to be on its like, so does {b}",
            "order by colour, {a} and {b}",
            "like to like: {a}, then {b}",
        ),
        (
            "{a} and {b} should hide each other's colours",
            "neither {a} nor {b} on its own colour",
            "{a} wants to be on its opposite, so does {b}",
            "contrast of colours, {a} and {b}",
            "unlike to unlike: {a}, then {b}",
        ),
    ),
    noun="cube",
    sample=_sample,
    distance=_distance,
    solved=_solved,
    hold=3,
    expert=_expert,
    noise=0.3,
    modes=("the first colour first", "the second colour first"),
    mode=_mode,
)
