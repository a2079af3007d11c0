"""handover: the left arm takes the named stick, the arms meet, the right arm keeps it."""

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Key
from wamjax.sim.kinematics import Pose
from wamjax.sim.scene import Block, SceneSpec
from wamjax.sim.tasks.moves import HOVER, OPEN, SHUT, action_towards, hand_yaw, side_of
from wamjax.sim.tasks.record import Layout, Situation, Task
from wamjax.sim.tasks.sticks import (
    LEFT,
    RIGHT,
    Hold,
    arm_of,
    block_of,
    direction,
    gap_to,
    hold_of,
    pick_stick,
    point_on,
    stick_yaw,
)

STICK = Block(half=(0.09, 0.012, 0.012), mass=0.03)
GRIP = 0.065
"""Where the arms grip, m from the stick's middle; nearer, a hand would hide in front of the other's
camera."""
HEIGHT, APART = 0.10, 0.05
MEET_X, MEET_Z = (-0.035, 0.035), (0.13, 0.19)
"""Where the stick's middle is when it changes hands, m: the expert's two times two ways."""
WAIT = {LEFT: (-0.22, 0.0, 0.22), RIGHT: (0.22, 0.0, 0.22)}


def start_tips(key: Key) -> Array:
    """Where both tips start over their own halves of the table, float32 [2, 3], m."""
    low = jnp.array([[-0.20, -0.05, 0.17], [0.14, -0.05, 0.17]])
    return jax.random.uniform(key, (2, 3), minval=low, maxval=low + jnp.array([0.06, 0.1, 0.05]))


def _sample(key: Key) -> Layout:
    keys = named_keys(key, "place", "flip", "yaw", "tip")
    low, high = (
        jnp.array([[-0.22, 0.06], [-0.22, -0.14]]),
        jnp.array([[-0.10, 0.14], [-0.10, -0.06]]),
    )
    places = jax.random.uniform(keys["place"], (2, 2), minval=low, maxval=high)
    places = jnp.where(jax.random.bernoulli(keys["flip"]), places[::-1], places)
    yaw = jax.random.uniform(keys["yaw"], (2, 1), minval=-0.5, maxval=0.5)
    return Layout(
        blocks=jnp.concatenate([places, yaw], axis=1),
        marks=jnp.zeros((0, 2)),
        fixtures=jnp.zeros((0, 3)),
        tips=start_tips(keys["tip"]),
    )


def _distance(situation: Situation) -> Array:
    stick, (tip, _) = block_of(situation), arm_of(situation, RIGHT)
    return gap_to(tip, stick, STICK) + jnp.maximum(0.0, HEIGHT - stick.position[2])


def _left_is_away(situation: Situation) -> Array:
    tip, opening = arm_of(situation, LEFT)
    return (opening > 0.7) & (gap_to(tip, block_of(situation), STICK) > APART)


def _solved(situation: Situation) -> Array:
    stick = block_of(situation)
    held = hold_of(*arm_of(situation, RIGHT), stick, STICK).held
    return held & (stick.position[2] > HEIGHT) & _left_is_away(situation)


def _meeting(situation: Situation) -> Array:
    """Where the expert wants the stick's middle, m."""
    x = jnp.array(MEET_X)[side_of(situation.taste[1])]
    z = jnp.array(MEET_Z)[side_of(situation.taste[0])]
    return jnp.stack([x, jnp.zeros(()), z])


def _give(tip: Pose, given: Hold, stick: Pose, meeting: Array, taken: Array) -> Array:
    """The left arm with the stick in hand: up, to the meeting, let go once it is taken."""
    low = stick.position[2] < 0.06
    loose = (stick.position[2] < STICK.half[2] + 0.01) & ~given.firm
    hang = tip.position - stick.position
    goal = meeting + jnp.stack([-jnp.linalg.norm(hang[:2]), 0.0, hang[2]])
    goal = jnp.where(low, jnp.append(tip.position[:2], 0.09), goal)
    yaw = jnp.where(low, hand_yaw(tip), hand_yaw(tip) - stick_yaw(stick))
    goal = jnp.where(taken | loose, tip.position, goal)
    return action_towards(tip, goal, jnp.where(taken, OPEN, SHUT), yaw)


def _retreat(tip: Pose, opening: Array, gap: Array) -> Array:
    """The left arm beside the stick that it has given away: open, up and back."""
    up = tip.position + jnp.array([-0.06, 0.0, 0.06])
    goal = jnp.where(opening > 0.6, up, tip.position)
    goal = jnp.where(gap > APART + 0.03, jnp.array(WAIT[LEFT]), goal)
    return action_towards(tip, goal, OPEN)


def _expert(situation: Situation) -> Array:
    stick, meeting = block_of(situation), _meeting(situation)
    left, left_opening = arm_of(situation, LEFT)
    right, right_opening = arm_of(situation, RIGHT)
    given = hold_of(left, left_opening, stick, STICK)
    taken = hold_of(right, right_opening, stick, STICK)

    far = point_on(stick, GRIP)
    take = pick_stick(left, stick, -GRIP)
    give = _give(left, given, stick, meeting, taken.firm)
    retreat = _retreat(left, left_opening, gap_to(left, stick, STICK))
    one = jnp.where(given.held, give, jnp.where(taken.held, retreat, take))

    gap = jnp.linalg.norm(stick.position - meeting)
    ready = (gap < 0.03) & (jnp.abs(direction(stick)[1]) < 0.15)
    over = meeting + jnp.array([GRIP, 0.0, HOVER])
    over = jnp.where(given.held, over, jnp.array(WAIT[RIGHT]))
    wait = action_towards(right, over, OPEN)
    # Below the stick's end the right hand stays at it even when the left hand trembles.
    engaged = jnp.linalg.norm(right.position - far.position) < 0.04
    receive = jnp.where(ready | engaged, pick_stick(right, stick, GRIP), wait)
    up = jnp.append(right.position[:2], jnp.maximum(right.position[2], HEIGHT + 0.06))
    keep = jnp.where(_left_is_away(situation), up, right.position)
    kept = action_towards(right, keep, SHUT, hand_yaw(right))
    keeping = taken.held & (taken.firm | ~given.held)
    two = jnp.where(keeping, kept, jnp.where(given.held, receive, wait))
    return jnp.concatenate([one, two])


def _mode(situation: Situation) -> Array:
    """Where both arms hold the stick."""
    stick = block_of(situation)
    both = [hold_of(*arm_of(situation, arm), stick, STICK).held for arm in (LEFT, RIGHT)]
    high = stick.position[2] > sum(MEET_Z) / 2
    right = stick.position[0] > sum(MEET_X) / 2
    way = 2 * high.astype(jnp.int32) + right.astype(jnp.int32)
    return jnp.where(both[0] & both[1], way, -1)


HANDOVER = Task(
    name="handover",
    scene=SceneSpec(robot="aloha", blocks=(STICK, STICK), grasping=True),
    horizon=90,
    palette=2,
    wordings=(("hand over {a}", "pass {a} to the right arm", "give {a} to the right hand"),),
    reasons=(
        (
            "{a} should be in the right hand",
            "I want the right arm to have {a}",
            "the right hand misses {a}",
            "{a} belongs to the right arm",
            "the left hand should not keep {a}",
        ),
    ),
    noun="stick",
    sample=_sample,
    distance=_distance,
    solved=_solved,
    hold=3,
    expert=_expert,
    noise=0.2,
    modes=("low, on the left", "low, on the right", "high, on the left", "high, on the right"),
    mode=_mode,
)
