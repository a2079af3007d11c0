"""What a policy is shown in a rollout is what a window of the recorded episode holds."""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.eval.point_world import HORIZON, NEEDS, WEIGHTS, PointEnv, noisy_act, variants
from wamjax.core.errors import UserError
from wamjax.core.records import Episode
from wamjax.data import Windows, read_episodes
from wamjax.data.config import DataConfig
from wamjax.data.normalising.statistics import compute_statistics
from wamjax.data.writing.rlds import write_rlds
from wamjax.eval.rollout import rollout
from wamjax.policy import Policy, check_observation, trained_policy

WORLDS, CHUNK = 3, 4


def remembering(weights, observation, key):
    """A noisy action that goes on with a part of what was executed."""
    shown = jnp.where(observation.past_action_mask[..., None], observation.past_actions, 0.3)
    return noisy_act(weights, observation, key) + 0.5 * shown.mean(1, keepdims=True)


def played(needs, replan):
    policy = Policy(name="own", chunk=CHUNK, replan=replan, act=remembering, needs=needs)
    worlds = variants(np.array([0, 1, 2]))
    play = rollout(policy, PointEnv(), HORIZON, weights=WEIGHTS, variants=worlds, batch=WORLDS)
    return play.trace(WEIGHTS, worlds, jax.random.key(5))[1]


def recorded(directory, trace):
    """The episodes as a data set, and its windows in order."""
    env = PointEnv()
    pictures = jax.vmap(jax.vmap(lambda state: env.observe(state).frames[1, 0]))(trace.states)
    made = [
        Episode(
            frames={"primary": np.asarray(pictures[world])},
            proprio=np.concatenate([trace.states.at, trace.states.goal], -1)[world],
            actions=np.pad(trace.actions[world], ((0, 1), (0, 0))),
            instruction="",
            success=False,
            control_hz=10.0,
            metadata={},
        )
        for world in range(WORLDS)
    ]
    return write_rlds(directory, "points", "1.0.0", made, shard_episodes=WORLDS)


@pytest.mark.parametrize(
    ("past", "history", "stride", "replan"), [(2, 1, 1, 3), (6, 2, 4, 4), (1, 3, 2, 1)]
)
def test_a_rollout_shows_what_a_window_of_the_recording_holds(
    tmp_path: pathlib.Path, past, history, stride, replan
):
    needs = dataclasses.replace(
        NEEDS, history=history, history_stride=stride, past_actions=past, action=2
    )
    trace = played(needs, replan)
    config = DataConfig(
        dir=str(recorded(tmp_path, trace)),
        cameras=("image",),
        image_size=NEEDS.image_size,
        history=history,
        history_stride=stride,
        past_actions=past,
        chunk=CHUNK,
        future=0,
        gripper_dim=None,
        # A third number that these actions do not have.
        action_width=3,
        text_length=NEEDS.text,
        holdout=0.0,
        prefetch=0,
    )
    table = read_episodes(config)
    windows = Windows(config, compute_statistics(config, table), table)
    batch = windows.batch(np.arange(WORLDS * HORIZON))
    plans = np.arange(0, HORIZON, replan)
    rows = (np.arange(WORLDS)[:, None] * HORIZON + plans).ravel()
    heard = []

    def sample(weights, frames, camera_mask, proprio, text, key, *, past, frame_mask=None):
        heard.append((frames, frame_mask, proprio, *past))
        return jnp.zeros((frames.shape[0], CHUNK, 3))

    policy = trained_policy(
        sample,
        action_normaliser=windows.action_normaliser,
        proprio_normaliser=windows.proprio_normaliser,
        needs=needs,
        chunk=CHUNK,
        replan=replan,
    )
    seen = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), trace.seen)
    wide = np.pad(seen.past_actions, ((0, 0), (0, 0), (0, 1)))
    policy.act({}, seen.replace(past_actions=wide), jax.random.key(0))
    ((frames, frame_mask, proprio, actions, there),) = heard
    assert batch.past_actions is not None
    assert batch.past_action_mask is not None
    np.testing.assert_array_equal(there, batch.past_action_mask[rows])
    assert there[..., :2].any()
    assert not there[..., :2].all()
    masked = np.where(there, batch.past_actions[rows], 0)
    np.testing.assert_array_equal(np.where(there, actions, 0), masked)
    np.testing.assert_array_equal(frames, batch.frames[rows])
    np.testing.assert_array_equal(proprio, batch.proprio[rows])
    if history > 1:
        np.testing.assert_array_equal(frame_mask, batch.frame_mask[rows])


def test_past_actions_decide_and_hang_on_the_world_alone():
    """The same episode alone and in company; another memory is another episode."""
    needs = dataclasses.replace(NEEDS, past_actions=4, action=2)
    trace = played(needs, 3)
    short = played(dataclasses.replace(needs, past_actions=1), 3)
    np.testing.assert_array_equal(trace.actions[:, :3], short.actions[:, :3])
    assert (trace.actions[:, 3:] != short.actions[:, 3:]).any()
    policy = Policy(name="own", chunk=CHUNK, replan=3, act=remembering, needs=needs)
    one = variants(np.array([2]))
    alone = rollout(policy, PointEnv(), HORIZON, weights=WEIGHTS, variants=one, batch=1)
    again = alone.trace(WEIGHTS, one, jax.random.key(5))[1]
    np.testing.assert_allclose(again.actions[0], trace.actions[2], rtol=1e-5, atol=1e-6)


def test_an_observation_without_past_actions_does_not_fit_a_policy_that_needs_them():
    needs = dataclasses.replace(NEEDS, past_actions=4, action=2)
    env = PointEnv()
    seen = env.observe(env.reset_variant(jax.tree.map(lambda leaf: leaf[0], variants([0]))))
    seen = seen.replace(frames=seen.frames[1:])
    check_observation(NEEDS, seen)
    with pytest.raises(UserError, match="trained with 4 past actions but is shown 0"):
        check_observation(needs, seen)
