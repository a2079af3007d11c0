"""drawer: pull out the drawer whose front has the named colour, pinching its bar or hooking it."""

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Key
from wamjax.sim.fixtures import CABINET_HALF, DRAWER_SPACING, HANDLE_GAP, HANDLE_HEIGHT
from wamjax.sim.kinematics import Pose
from wamjax.sim.scene import SceneSpec
from wamjax.sim.tasks.lift import start_tip
from wamjax.sim.tasks.moves import OPEN, SHUT, action_towards, hand_yaw, side_of, wrapped
from wamjax.sim.tasks.record import Layout, Situation, Task

OUT = 0.10
PULL = 0.03
CLEAR = 0.15
PINCH, HOOK = 0, 1
HOOK_DEPTH = 0.014
"""The closed fingers go down this far (m) behind the bar's axis."""


def _sample(key: Key) -> Layout:
    keys = named_keys(key, "cabinet", "tip")
    low, high = jnp.array([0.66, -0.05]), jnp.array([0.71, 0.05])
    place = jax.random.uniform(keys["cabinet"], (2,), minval=low, maxval=high)
    tip = start_tip(keys["tip"]) - jnp.array([0.04, 0.0, 0.0])
    return Layout(
        blocks=jnp.zeros((0, 3)),
        marks=jnp.zeros((0, 2)),
        fixtures=jnp.append(place, 0.0)[None],
        tips=tip,
    )


def _distance(situation: Situation) -> Array:
    return jnp.maximum(0.0, OUT - situation.slides[_named(situation)])


def _named(situation: Situation) -> Array:
    return situation.option


def _solved(situation: Situation) -> Array:
    return situation.slides[_named(situation)] > OUT


def _bar(situation: Situation) -> Array:
    """Middle of the named drawer's bar, m."""
    index = _named(situation)
    front = situation.fixtures[0, 0] - CABINET_HALF[0] - HANDLE_GAP - situation.slides[index]
    side = jnp.where(index == 0, 0.5, -0.5) * DRAWER_SPACING
    return jnp.stack([front, situation.fixtures[0, 1] + side, jnp.array(HANDLE_HEIGHT)])


def _expert(situation: Situation) -> Array:
    tip, bar = situation.tip, _bar(situation)
    return jnp.where(
        side_of(situation.taste[0]) > 0,
        _hook(tip, bar),
        _pinch(tip, situation.opening, bar),
    )


def _pinch(tip: Pose, opening: Array, bar: Array) -> Array:
    """One finger before and one behind the bar, close, pull."""
    yaw = jnp.where(hand_yaw(tip) < 0, -jnp.pi / 2, jnp.pi / 2)
    offset = tip.position - bar
    aside = jnp.abs(offset[1]) < 0.03
    over = (jnp.abs(offset[0]) < 0.018) & aside
    askew = jnp.abs(wrapped(hand_yaw(tip) - yaw, jnp.pi)) < 0.15
    down = jnp.abs(offset[2]) < 0.012
    gripped = down & (jnp.abs(offset[0]) < 0.025) & aside & (opening < 0.3)
    closing = over & down & askew
    goal = jnp.append(bar[:2], CLEAR)
    low = (offset[2] < 0.06) & ~over
    goal = jnp.where(low, jnp.append(tip.position[:2], CLEAR), goal)
    goal = jnp.where(over & askew, bar, goal)
    goal = jnp.where(closing, tip.position, goal)
    goal = jnp.where(gripped, tip.position - jnp.array([PULL, 0.0, 0.0]), goal)
    goal = jnp.where(gripped, goal.at[2].set(bar[2]), goal)
    return action_towards(tip, goal, jnp.where(closing | gripped, SHUT, OPEN), yaw)


def _hook(tip: Pose, bar: Array) -> Array:
    """Closed fingers between the bar and the front, pull."""
    behind = bar + jnp.array([0.022, 0.0, 0.0])
    offset = tip.position - behind
    aside = jnp.abs(offset[1]) < 0.03
    over = (jnp.abs(offset[0]) < 0.008) & aside
    down = tip.position[2] < bar[2] - 0.002
    hooked = down & aside & (offset[0] > -0.02) & (offset[0] < 0.02)
    goal = jnp.append(behind[:2], CLEAR)
    low = (offset[2] < 0.06) & ~over
    goal = jnp.where(low, jnp.append(tip.position[:2], CLEAR), goal)
    goal = jnp.where(over, behind - jnp.array([0.0, 0.0, HOOK_DEPTH]), goal)
    goal = jnp.where(
        hooked, jnp.stack([tip.position[0] - PULL, tip.position[1], bar[2] - HOOK_DEPTH]), goal
    )
    return action_towards(tip, goal, SHUT, 0.0)


def _mode(situation: Situation) -> Array:
    """Pinched or hooked, once the drawer moves."""
    hooking = jnp.abs(wrapped(hand_yaw(situation.tip), jnp.pi)) < jnp.pi / 4
    moved = situation.slides[_named(situation)] > 0.02
    return jnp.where(moved, hooking.astype(jnp.int32), -1)


DRAWER = Task(
    name="drawer",
    scene=SceneSpec(grasping=True, fixtures=("cabinet",)),
    horizon=50,
    palette=2,
    wordings=(
        ("open {a}", "pull {a} out", "pull {a} open"),
        ("open {b}", "pull {b} out", "pull {b} open"),
    ),
    reasons=(
        (
            "{a} should be out",
            "I want to look into {a}",
            "{a} must not stay shut",
            "show me what is in {a}",
            "something for me is in {a}",
        ),
        (
            "{b} should be out",
            "I want to look into {b}",
            "{b} must not stay shut",
            "show me what is in {b}",
            "something for me is in {b}",
        ),
    ),
    noun="drawer",
    sample=_sample,
    distance=_distance,
    solved=_solved,
    hold=2,
    expert=_expert,
    noise=0.3,
    modes=("bar pinched", "bar hooked"),
    mode=_mode,
)
