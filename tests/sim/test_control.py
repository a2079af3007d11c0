"""The four action frames: one motion said in four ways, and limits that hold in all of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.sim.conftest import clean
from wamjax.core.errors import UserError
from wamjax.core.runtime import program_jit
from wamjax.sim import control, kinematics, rotations, scene
from wamjax.sim.control import ACTION_FRAMES, DOWN, LONGEST_STEP, Command, find_frame
from wamjax.sim.dynamics import LONGEST_DELAY
from wamjax.sim.env import TabletopEnv
from wamjax.sim.robots.panda import PANDA

TICKS, WORLDS = 12, 8
ARM = PANDA.arms[0]
LOW, HIGH = np.array(PANDA.workspace)


def moves(seed: int, size: float, turn: float) -> np.ndarray:
    """Wandering ee_delta actions [E, T, 7] of at most `size` m and `turn` rad per axis."""
    rng = np.random.default_rng(seed)
    limits = np.array([size] * 3 + [turn] * 3)
    numbers = rng.uniform(-1, 1, (WORLDS, TICKS, 6)) * limits
    grips = rng.uniform(0, 1, (WORLDS, TICKS, 1))
    return np.concatenate([numbers, grips], axis=-1).astype(np.float32)


@pytest.fixture(scope="module")
def said_in_four_ways():
    """Positions [E, T, q] and openings of the same motion in each frame."""
    envs = {name: TabletopEnv("reach", physics="c", action=name) for name in ACTION_FRAMES}

    def one(variant, actions):
        out, start = {}, envs["ee_delta"].reset_variant(variant)
        for name, env in envs.items():
            # The world is the same; without a delay no action that is pending counts.
            pending = jnp.zeros((LONGEST_DELAY, env.action_size))
            world = start.pipeline_state.replace(pending=pending)

            def tick(state, action, env=env):
                after = env.step(state, env.describe(state, action))
                body = after.pipeline_state.body
                return after, (body.position, body.command, env.proprio(after))

            out[name] = jax.lax.scan(tick, start.replace(pipeline_state=world), actions)[1]
        return out

    return program_jit(jax.vmap(one))


def test_the_same_motion_in_every_frame_is_the_same_trajectory(said_in_four_ways) -> None:
    """Measured: end-effector frames part by 2e-6 rad, joint frames by 2e-5 rad and 3 um.

    The joint frames hold while no joint is at its speed limit: they remember the joints, not where
    the hand was to go.
    """
    for kind, size, turn, atol in (("ee", 0.06, 0.25, 1e-5), ("joint", 0.02, 0.05, 1e-4)):
        out = said_in_four_ways(clean(range(WORLDS)), moves(0, size, turn))
        positions, commands, seen = out["ee_delta"]
        travelled = np.abs(np.asarray(positions[:, -1] - positions[:, 0]))[:, :7]
        assert travelled.max() > 0.1
        for name in (f"{kind}_absolute", f"{kind}_delta"):
            other, told, read = out[name]
            np.testing.assert_allclose(other, positions, atol=atol, err_msg=name)
            np.testing.assert_allclose(told.joints, commands.joints, atol=atol, err_msg=name)
            np.testing.assert_allclose(told.target.position, commands.target.position, atol=atol)
            np.testing.assert_allclose(read[..., :6], seen[..., :6], atol=atol, err_msg=name)


def test_gripper_one_is_open_and_beyond_is_cut(said_in_four_ways) -> None:
    """The last number is an opening in every frame: 2 is 1 and -1 is 0."""
    actions = np.zeros((WORLDS, TICKS, 7), np.float32)
    for number, opening in ((2.0, 1.0), (0.5, 0.5), (-1.0, 0.0)):
        actions[..., 6] = number
        out = said_in_four_ways(clean(range(WORLDS)), actions)
        for name in ACTION_FRAMES:
            read = out[name][2]
            np.testing.assert_allclose(read[:, -1, 6], opening, atol=0.02, err_msg=name)
            np.testing.assert_allclose(read[:, -1, :6], read[:, 0, :6], atol=2e-3, err_msg=name)


@pytest.fixture(scope="module")
def followed():
    """frame -> program: (commands [n], numbers [n, A]) -> (the next commands, their tips); the arm
    is where it was told to be."""

    def program(name):
        follow = find_frame(name).follow

        def one(command, numbers):
            after = follow(ARM, PANDA.workspace, command, command.joints, numbers)
            return after, kinematics.tip_pose(ARM, after.joints)

        return program_jit(jax.vmap(one))

    return {name: program(name) for name in ACTION_FRAMES}


def wild(name: str, count: int) -> tuple[Command, np.ndarray]:
    """Commands near the ready pose and numbers far beyond every limit."""
    rng = np.random.default_rng(5)
    joints = ARM.ready + rng.uniform(-0.15, 0.15, (count, 7))
    width = find_frame(name).width(7)
    joints = jnp.asarray(joints, jnp.float32)
    command = Command(target=jax.vmap(lambda q: kinematics.tip_pose(ARM, q))(joints), joints=joints)
    return command, rng.uniform(-2, 2, (count, width)).astype(np.float32)


def angle_between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """rad, of quaternions [n, 4]."""
    cosine = np.abs(np.sum(np.float64(one) * np.float64(other), axis=1))
    return 2 * np.arccos(np.minimum(cosine, 1.0))


@pytest.mark.parametrize("name", ACTION_FRAMES)
def test_limits_hold_for_any_numbers(followed, name) -> None:
    before, numbers = wild(name, 256)
    speed = ARM.speed / scene.CONTROL_HZ
    fastest, beyond, ends = 0.0, 0.0, np.zeros(3)
    measured = before.target
    # The same numbers over two seconds lead to the limits and do not pass them.
    for _ in range(20):
        before, (after, tip) = jax.device_get((before, followed[name](before, numbers)))
        step = np.abs(after.joints - before.joints)
        assert np.all(step <= speed + 1e-6)
        assert np.all((after.joints >= ARM.lower - 1e-6) & (after.joints <= ARM.upper + 1e-6))
        place = after.target.position
        assert np.all((place >= LOW - 1.5e-3) & (place <= HIGH + 1.5e-3))
        beyond = max(beyond, np.maximum(LOW - tip.position, tip.position - HIGH).max())
        if name.startswith("ee"):
            # Only the leash and the workspace pull a target back by more.
            inside = (place > LOW + 1e-4) & (place < HIGH - 1e-4)
            ahead = np.abs(place - measured.position)
            assert ahead[inside].max() <= control.LEASH + 1e-6
            move = np.abs(place - before.target.position)
            assert move[inside & (ahead < control.LEASH - 1e-4)].max() <= LONGEST_STEP + 1e-6
            assert angle_between(after.target.turn, measured.turn).max() < control.LEASH_TURN + 2e-3
        fastest = max(fastest, (step / speed).max())
        ends = np.maximum(
            ends, (tip.position > HIGH - 0.01).any(0) | (tip.position < LOW + 0.01).any(0)
        )
        before, measured = after, tip
    print(f"{name}: the commanded tip is {1000 * beyond:.1f} mm outside")
    # In end-effector frames turns that no joint can follow may carry the hand off its target.
    assert name.startswith("ee") or beyond < 1.5e-3
    assert fastest > 0.99
    assert ends[2] == 1.0


def test_ee_absolute_names_the_place_and_the_turn(followed) -> None:
    """Roll, pitch and yaw count from pointing straight down; small ones are reached in a tick."""
    command, _ = wild("ee_absolute", 16)
    tip = command.target
    turn = rotations.multiply(tip.turn, rotations.conjugate(jnp.tile(jnp.array(DOWN), (16, 1))))
    place = np.clip(tip.position + 0.01, LOW, HIGH)
    numbers = np.concatenate([place, rotations.to_roll_pitch_yaw(turn)], axis=1)
    after, reached = followed["ee_absolute"](command, numbers)
    np.testing.assert_allclose(after.target.position, place, atol=1e-6)
    np.testing.assert_allclose(reached.position, place, atol=1e-3)
    same = np.abs(np.sum(np.asarray(reached.turn) * np.asarray(tip.turn), axis=1))
    np.testing.assert_allclose(same, 1.0, atol=1e-4)


def test_a_blocked_arm_does_not_wind_up() -> None:
    """However long it is told to go on, the target stays within the leash of where the tip is."""
    joints = jnp.asarray(ARM.ready, jnp.float32)
    tip = kinematics.tip_pose(ARM, joints)
    target = tip
    for _ in range(10):
        move, turn = jnp.array([0.03, 0.0, -0.03]), jnp.array([0.0, 0.0, 0.2])
        target = control.next_target(PANDA.workspace, target, tip, move, turn)
    ahead = np.abs(np.asarray(target.position - tip.position))
    np.testing.assert_allclose(ahead, [control.LEASH, 0.0, control.LEASH], atol=1e-6)
    turned = rotations.multiply(target.turn, rotations.conjugate(tip.turn))
    angle = np.linalg.norm(rotations.to_vector(turned))
    np.testing.assert_allclose(angle, control.LEASH_TURN, atol=1e-3)


def test_sizes_and_shares_of_an_action() -> None:
    for name, size in zip(ACTION_FRAMES, (7, 7, 8, 8), strict=True):
        assert control.action_size(PANDA, name) == size
        assert TabletopEnv("reach", physics="c", action=name).action_size == size
        (numbers, grip), *rest = control.split(PANDA, name, jnp.arange(float(size)) / 4)
        assert not rest
        np.testing.assert_array_equal(numbers, np.arange(size - 1) / 4)
        assert float(grip) == 1.0


def test_an_unknown_frame_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="ee_delta, ee_absolute, joint_delta, joint_absolute"):
        TabletopEnv("reach", physics="c", action="polar")  # type: ignore[arg-type]
