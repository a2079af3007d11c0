"""What the axes layout and robot do to where things stand and how the robot starts.

Directions are judged at the largest amount that any severity has, so that a world goes the same
way at every severity: inside the reachable part of the table, and clear of the other things all
along the way.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

from wamjax.core.typing import Array
from wamjax.sim import kinematics
from wamjax.sim.axes import largest
from wamjax.sim.control import DOWN
from wamjax.sim.robots.record import Robot
from wamjax.sim.scene import PROP_HEIGHTS
from wamjax.sim.tasks.record import Layout
from wamjax.sim.variants import Variant, perturbation

APART = 0.10
TRIES, FAR_TRIES = 12, 192
ALONG = tuple(share / 12 for share in range(1, 13))
FIXTURE = 0.065
"""How much farther (m) things stay from a fixture, whose corner is 11.5 cm from its middle."""
START_ITERATIONS, OFFSET_TRIES, PROP_TRIES = 12, 16, 10
PROP_GAP, PROP_APART = 0.1, 0.08
PROP_MARGIN = ((0.01, -0.06), (0.02, 0.06))
"""What is added to the corners of the region where things may stand for distractors, m."""
Region = tuple[tuple[float, float], tuple[float, float]]


def places_of(layout: Layout) -> Array:
    """Blocks, marks and fixtures, float32 [n, 2], m."""
    return jnp.concatenate([layout.blocks[:, :2], layout.marks, layout.fixtures[:, :2]])


def with_places(layout: Layout, places: Array) -> Layout:
    """The inverse of `places_of`."""
    blocks, marks = layout.blocks.shape[0], layout.marks.shape[0]
    return Layout(
        blocks=jnp.concatenate([places[:blocks], layout.blocks[:, 2:]], axis=1),
        marks=places[blocks : blocks + marks],
        fixtures=jnp.concatenate([places[blocks + marks :], layout.fixtures[:, 2:]], axis=1),
        tips=layout.tips,
    )


def _directions(u: Array) -> Array:
    """Unit vectors [..., 2] from uniform numbers [...]."""
    return jnp.stack([jnp.cos(2 * jnp.pi * u), jnp.sin(2 * jnp.pi * u)], axis=-1)


def _widths(layout: Layout) -> Array:
    """What is taken off the gaps beside each of `places_of`, float32 [n], m."""
    small = layout.blocks.shape[0] + layout.marks.shape[0]
    return jnp.array([0.0] * small + [FIXTURE] * layout.fixtures.shape[0])


def _best(region: Region, place: Array, others: Array, widths: Array, moves: Array) -> Array:
    """The move (one of [n, 2], at the largest amount) that stays inside and clear of others."""
    low = jnp.minimum(jnp.array(region[0]), place)
    high = jnp.maximum(jnp.array(region[1]), place)
    outside = jnp.maximum(low - (place + moves), place + moves - high)
    way = place + moves[:, None] * jnp.array(ALONG)[None, :, None]
    gaps = jnp.linalg.norm(way[:, :, None] - others[None, None], axis=-1) - widths
    gap = jnp.min(gaps, axis=(1, 2), initial=APART)
    return moves[jnp.argmax(gap - 10.0 * jnp.sum(jnp.maximum(outside, 0.0), axis=1))]


def jittered(layout: Layout, region: Region, variant: Variant, draws: Array) -> Layout:
    """Every thing moved on its own."""
    active, amount = perturbation(variant, draws, "layout", "jitter")
    most = largest("layout", "jitter")
    places, widths = places_of(layout), _widths(layout)
    count = places.shape[0]
    uniform = draws[1 : 1 + count * (TRIES + 1)].reshape(count, TRIES + 1)
    ends = places
    shares = jnp.sqrt(0.1 + 0.9 * uniform[:, -1])
    for index in range(count):
        others = jnp.delete(ends, index, axis=0, assume_unique_indices=True)
        moves = most * shares[index] * _directions(uniform[index, :TRIES])
        wide = jnp.delete(widths, index, assume_unique_indices=True) + widths[index]
        ends = ends.at[index].add(_best(region, places[index], others, wide, moves))
    shift = (ends - places) * (jnp.where(active, amount, 0.0) / most)
    return with_places(layout, places + shift)


def moved(layout: Layout, region: Region, variant: Variant, draws: Array) -> Layout:
    """The first named thing moved far, the others not."""
    active, amount = perturbation(variant, draws, "layout", "moved")
    most = largest("layout", "moved")
    places = places_of(layout)
    moves = most * _directions(draws[1 : 1 + FAR_TRIES])
    widths = _widths(layout)
    move = _best(region, places[0], places[1:], widths[1:] + widths[0], moves)
    move = move * (jnp.where(active, amount, 0.0) / most)
    return with_places(layout, places.at[0].add(move))


def ground(variant: Variant, draws: Array) -> Array:
    """float32 [2], m: where the surroundings go when the robot's foot is moved the other way."""
    active, amount = perturbation(variant, draws, "robot", "base_offset")
    return jnp.where(active, amount, 0.0) * _directions(draws[1])


def shifted(layout: Layout, move: Array) -> Layout:
    """Everything but the robot moved together."""
    return with_places(layout, places_of(layout) + move)


def start_opening(variant: Variant, draws: Array) -> Array:
    """How far the grippers are open at reset, 0..1."""
    active, share = perturbation(variant, draws, "robot", "gripper_opening")
    return 1.0 - jnp.where(active, share, 0.0)


def start_joints(robot: Robot, layout: Layout, variant: Variant, draws: Array) -> Array:
    """Inverse kinematics for the starting tips, then the offset of the robot axis, [R, J] rad."""
    active, amount = perturbation(variant, draws, "robot", "joint_offset")
    most = largest("robot", "joint_offset")
    out = []
    for index, arm in enumerate(robot.arms):
        target = kinematics.Pose(position=layout.tips[index], turn=jnp.array(DOWN))
        ready = jnp.asarray(arm.ready, jnp.float32)
        start = kinematics.solve(arm, target, ready, START_ITERATIONS)
        width = len(arm.joints)
        uniform = draws[1 : 1 + OFFSET_TRIES * width]
        directions = ndtri(jnp.clip(uniform, 1e-3, 1 - 1e-3)).reshape(OFFSET_TRIES, width)
        directions = directions / jnp.linalg.norm(directions, axis=1, keepdims=True)
        # The hand must stay clear of blocks and table and not fold back.
        tips = jax.vmap(lambda q, arm=arm: kinematics.tip_pose(arm, q))(start + most * directions)
        place = tips.position
        away = jnp.linalg.norm(place[:, :2] - jnp.asarray(arm.base[:2]), axis=1)
        clear = (place[:, 2] > 0.11) & (place[:, 2] < 0.45) & (away > 0.3)
        direction = directions[jnp.argmax(clear)]
        out.append(start + jnp.where(active, amount, 0.0) * direction)
    return jnp.stack(out)


def props(
    count: int, layout: Layout, region: Region, variant: Variant, draws: Array
) -> tuple[Array, Array]:
    """Places of the distractors [D, 3] beside everything else, and which of them are shown."""
    if count == 0:
        return jnp.zeros((0, 3)), jnp.zeros(0, bool)
    active, amount = perturbation(variant, draws, "layout", "distractors")
    uniform = draws[1 : 1 + count * PROP_TRIES * 2].reshape(count, PROP_TRIES, 2)
    low, high = jnp.array(region) + jnp.array(PROP_MARGIN)
    candidates = low + uniform * (high - low)
    keep = places_of(layout)
    gaps = jnp.linalg.norm(candidates[:, :, None] - keep, axis=-1).min(axis=-1)

    def put(placed: Array, number: Array) -> tuple[Array, None]:
        """One prop, clear of the task's things first and of the props before it second."""
        own = candidates[number]
        others = jnp.linalg.norm(own[:, None] - placed, axis=-1)
        before = jnp.where(jnp.arange(count) < number, others, PROP_APART).min(axis=1)
        score = jnp.minimum(gaps[number], PROP_GAP) + 0.5 * jnp.minimum(before, PROP_APART)
        return placed.at[number].set(own[jnp.argmax(score)]), None

    places, _ = jax.lax.scan(put, jnp.zeros((count, 2)), jnp.arange(count))
    shown = active & (jnp.arange(count) < amount)
    heights = jnp.asarray(PROP_HEIGHTS[:count])
    return jnp.concatenate([places, heights[:, None]], axis=1), shown
