"""Policies: the loader's maps inverted, baselines inside their limits."""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.core.errors import UserError
from wamjax.core.records import Observation
from wamjax.policy import Needs, random_policy, still_policy, trained_policy, views_for

NEEDS = Needs(cameras=("primary",), history=1, image_size=4, proprio=3, text=4)


@flax.struct.dataclass
class Affine:
    shift: np.ndarray
    scale: np.ndarray

    def apply(self, x):
        return (x - self.shift) * self.scale

    def invert(self, y):
        return y / self.scale + self.shift


PROPRIO = Affine(np.array([1.0, 2.0, 3.0], np.float32), np.array([2.0, 4.0, 8.0], np.float32))
ACTION = Affine(np.array([0.5, -0.5], np.float32), np.array([10.0, 0.1], np.float32))
SEEN = Observation(
    frames=np.zeros((5, 1, 1, 4, 4, 3), np.uint8),
    camera_mask=np.ones((5, 1), bool),
    proprio=np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32),
    text=np.zeros((5, 4), np.uint8),
)


def echo(weights, frames, camera_mask, proprio, text, key):
    """Normalised actions that are the first two normalised proprio numbers, beyond any limit."""
    return weights * jnp.repeat(proprio[:, None, :2], 6, axis=1)


def trained(**change):
    settings = {"action_normaliser": ACTION, "proprio_normaliser": PROPRIO, **change}
    return trained_policy(echo, needs=NEEDS, chunk=6, replan=3, **settings)


def test_the_trained_policy_sees_normalised_and_speaks_raw():
    actions = jax.jit(trained().act)(jnp.float32(100.0), SEEN, jax.random.key(0))
    expected = 100 * PROPRIO.apply(SEEN.proprio)[:, None, :2] / ACTION.scale + ACTION.shift
    np.testing.assert_allclose(actions, np.repeat(expected, 6, axis=1), rtol=1e-5)
    np.testing.assert_allclose(
        ACTION.apply(np.asarray(actions)) / 100,
        np.repeat(PROPRIO.apply(SEEN.proprio)[:, None, :2], 6, axis=1),
        rtol=1e-3,
        atol=1e-4,
    )


def test_imagination_returns_raw_actions_and_untouched_frames():
    def both(weights, frames, *rest):
        return echo(weights, frames, *rest), frames + 7

    policy = trained(sample_future=both)
    assert trained().imagine is None
    assert policy.imagine is not None
    actions, frames = policy.imagine(1.0, SEEN, jax.random.key(0))
    np.testing.assert_array_equal(actions, policy.act(1.0, SEEN, jax.random.key(0)))
    np.testing.assert_array_equal(frames, SEEN.frames + 7)


@pytest.mark.parametrize("missing", ["action", "proprio"])
def test_missing_statistics_are_refused(missing):
    with pytest.raises(UserError, match=f"no {missing} statistics"):
        trained(**{f"{missing}_normaliser": None})


def test_cameras_are_found_by_name():
    needs = Needs(cameras=("b", "a"), history=1, image_size=4, proprio=3, text=4)
    assert views_for(needs, ("a", "x", "b")) == (2, 0)
    with pytest.raises(UserError, match=r"'b'.*it has a, x"):
        views_for(needs, ("a", "x"))


def test_random_actions_fill_their_limits_and_nothing_else():
    lower, upper = np.array([-2.0, 0.0], np.float32), np.array([-1.0, 1.0], np.float32)
    policy, weights = random_policy(lower, upper, chunk=400, replan=1)
    actions = np.asarray(policy.act(weights, SEEN, jax.random.key(0)))
    assert actions.shape == (5, 400, 2)
    assert (actions >= lower).all()
    assert (actions <= upper).all()
    np.testing.assert_allclose(actions.mean((0, 1)), (lower + upper) / 2, atol=0.03)
    np.testing.assert_allclose(actions.std((0, 1)), 1 / np.sqrt(12), atol=0.02)


def test_still_means_no_motion_and_an_open_gripper():
    policy, weights = still_policy(width=7, gripper_dim=6, chunk=3, replan=3)
    actions = np.asarray(policy.act(weights, SEEN, jax.random.key(0)))
    np.testing.assert_array_equal(actions, np.broadcast_to([0, 0, 0, 0, 0, 0, 1], (5, 3, 7)))


@pytest.mark.parametrize(
    ("lower", "upper", "word"), [(1.0, 0.0, "exceeds"), (np.nan, 1.0, "finite")]
)
def test_impossible_limits_are_refused(lower, upper, word):
    with pytest.raises(UserError, match=word):
        random_policy(np.float32([lower]), np.float32([upper]), chunk=1, replan=1)


def test_a_policy_with_a_history_is_told_which_frames_there_were():
    def sample(weights, frames, camera_mask, proprio, text, key, frame_mask=None):
        del weights, camera_mask, text, key
        assert frame_mask is not None
        assert frames.shape[2] == frame_mask.shape[1]
        return jnp.where(frame_mask.all(1), 1.0, 0.0)[:, None, None] * jnp.ones((1, 2, 7))

    identity = Affine(np.float32(0), np.float32(1))
    needs = Needs(cameras=("a",), history=3, image_size=4, proprio=7, text=8, history_stride=5)
    assert needs.offsets.tolist() == [-10, -5, 0]
    policy = trained_policy(
        sample,
        action_normaliser=identity,
        proprio_normaliser=identity,
        needs=needs,
        chunk=2,
        replan=1,
    )
    seen = Observation(
        frames=np.zeros((2, 1, 3, 4, 4, 3), np.uint8),
        camera_mask=np.ones((2, 1), bool),
        proprio=np.zeros((2, 7), np.float32),
        text=np.zeros((2, 8), np.uint8),
        frame_mask=np.array([[True] * 3, [False, True, True]]),
    )
    out = policy.act({}, seen, jax.random.key(0))
    np.testing.assert_array_equal(out[:, 0, 0], [1.0, 0.0])
