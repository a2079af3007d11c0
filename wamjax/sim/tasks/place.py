"""place: put the named cube on the white spot, or in the tray, as the instruction says."""

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Key
from wamjax.sim.scene import Mark, SceneSpec
from wamjax.sim.tasks.lift import CUBE, GRASPS, WIDTH, grasp_mode, start_tip
from wamjax.sim.tasks.moves import pick_and_place, side_of
from wamjax.sim.tasks.record import Layout, Situation, Task, scattered

HIGH = 0.14
NEAR = 0.04
TRAY_GAP = 0.12
"""m from the middle of the tray, along its sides: no corner of a cube stands on the rim."""
SPOT, TRAY = 0, 1


def _sample(key: Key) -> Layout:
    keys = named_keys(key, "named", "other", "yaw", "tip", "spot", "tray", "flip")
    tray = jax.random.uniform(
        keys["tray"], (2,), minval=jnp.array([0.54, 0.18]), maxval=jnp.array([0.60, 0.22])
    )
    spot = jax.random.uniform(
        keys["spot"], (2,), minval=jnp.array([0.54, -0.22]), maxval=jnp.array([0.60, -0.18])
    )
    flip = jnp.where(jax.random.bernoulli(keys["flip"]), 1.0, -1.0)
    sides = jnp.stack([jnp.ones(()), flip])

    def beside_tray(places: Array) -> Array:
        return jnp.max(jnp.abs(places - tray * sides), axis=1) > TRAY_GAP

    both = [keys["named"], keys["other"]]
    places = scattered(both, (0.38, -0.12), (0.50, 0.12), 0.10, beside_tray)
    yaw = jax.random.uniform(keys["yaw"], (2, 1), minval=-0.6, maxval=0.6)
    return Layout(
        blocks=jnp.concatenate([places, yaw], axis=1),
        marks=(spot * sides)[None],
        fixtures=jnp.append(tray * sides, 0.0)[None],
        tips=start_tip(keys["tip"]),
    )


def _goal(situation: Situation) -> Array:
    where = jnp.where(situation.option == TRAY, situation.fixtures[0, :2], situation.marks[0])
    return jnp.append(where, CUBE.half[2])


def _distance(situation: Situation) -> Array:
    return jnp.linalg.norm(situation.blocks.position[0] - _goal(situation))


def _solved(situation: Situation) -> Array:
    gap = situation.blocks.position[0] - _goal(situation)
    there = (jnp.linalg.norm(gap[:2]) < NEAR) & (jnp.abs(gap[2]) < 0.012)
    return there & (situation.opening > 0.8)


def _expert(situation: Situation) -> Array:
    return pick_and_place(
        situation.tip,
        situation.opening,
        situation.blocks.at(0),
        _goal(situation),
        width=WIDTH,
        side=side_of(situation.taste[0]),
        high=HIGH,
    )[0]


PLACE = Task(
    name="place",
    scene=SceneSpec(
        blocks=(CUBE, CUBE), grasping=True, marks=(Mark(name="spot"),), fixtures=("tray",)
    ),
    horizon=60,
    palette=2,
    wordings=(
        ("put {a} on the spot", "place {a} on the spot", "set {a} down on the spot"),
        ("put {a} in the tray", "place {a} in the tray", "set {a} down in the tray"),
    ),
    reasons=(
        (
            "{a} should stand on the spot",
            "I want {a} on the white spot",
            "{a} belongs on the spot",
            "the spot misses {a}",
            "see {a} cover the spot",
        ),
        (
            "{a} should stand in the tray",
            "I want {a} in the dark tray",
            "{a} belongs in the tray",
            "the tray misses {a}",
            "see {a} fill the tray",
        ),
    ),
    noun="cube",
    sample=_sample,
    distance=_distance,
    solved=_solved,
    hold=2,
    expert=_expert,
    noise=0.4,
    modes=GRASPS,
    mode=grasp_mode,
)
