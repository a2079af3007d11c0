"""The gymnasium adapter: gymnasium's contract, the same worlds, next-step autoreset."""

import importlib
import sys

import jax
import numpy as np
import pytest

from wamjax.core.errors import UserError
from wamjax.core.runtime import program_jit
from wamjax.core.text import decode_text
from wamjax.sim.env import TabletopEnv
from wamjax.sim.robots.registry import find_robot
from wamjax.sim.variants import clean_variant, make_variant

gymnasium = pytest.importorskip("gymnasium", reason="gymnasium comes with the extra `gym`")

from wamjax.sim.control import ACTION_FRAMES, action_size  # noqa: E402
from wamjax.sim.vector import TabletopVectorEnv, action_bounds  # noqa: E402

WORLDS = 4


@pytest.fixture(scope="module")
def env() -> TabletopVectorEnv:
    return TabletopVectorEnv(
        "reach", WORLDS, physics="c", image_size=24, seed=0, render_mode="rgb_array"
    )


def test_spaces_contain_what_comes(env: TabletopVectorEnv) -> None:
    assert isinstance(env, gymnasium.vector.VectorEnv)
    assert env.metadata["autoreset_mode"] == gymnasium.vector.AutoresetMode.NEXT_STEP
    assert env.observation_space == gymnasium.vector.utils.batch_space(
        env.single_observation_space, WORLDS
    )
    observation, info = env.reset(seed=3)
    assert observation in env.observation_space
    first = {name: rows[0] for name, rows in observation.items()}
    assert first in env.single_observation_space
    assert info["variant"]["seed"].tolist() == [3, 4, 5, 6]
    env.action_space.seed(0)
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    assert observation in env.observation_space
    assert reward.shape == terminated.shape == truncated.shape == (WORLDS,)
    assert terminated.dtype == truncated.dtype == bool
    for name in ("success", "distance", "diverged"):
        assert info[name].shape == (WORLDS,)
        assert info[f"_{name}"].all()
    pictures = env.render()
    assert len(pictures) == WORLDS
    assert pictures[0].shape[2] == 3


def test_gymnasiums_own_wrappers_accept_it(env: TabletopVectorEnv) -> None:
    """Statistics and reward wrappers read spaces, autoreset mode and done flags."""
    wrapped = gymnasium.wrappers.vector.RecordEpisodeStatistics(env)
    wrapped = gymnasium.wrappers.vector.ClipAction(wrapped)
    wrapped.reset(seed=0)
    lengths = []
    for _ in range(env.env.horizon + 1):
        *_, info = wrapped.step(np.zeros((WORLDS, 7), np.float32))
        if "episode" in info:
            lengths.extend(info["episode"]["l"][info["_episode"]].tolist())
    assert lengths == [env.env.horizon] * WORLDS


def test_the_same_seeds_are_the_same_worlds_as_everywhere(env: TabletopVectorEnv) -> None:
    observation, _ = env.reset(seed=7)
    again, _ = env.reset(seed=[7, 8, 9, 10])
    for name in observation:
        np.testing.assert_array_equal(observation[name], again[name])
    ours = TabletopEnv("reach", physics="c", image_size=24)
    program = program_jit(jax.vmap(lambda v: ours.observe(ours.reset_variant(v))))
    seen = program(clean_variant(np.arange(7, 11, dtype=np.int32)))
    np.testing.assert_array_equal(observation["frames"], np.asarray(seen.frames)[:, :, 0])
    np.testing.assert_array_equal(observation["instruction"], np.asarray(seen.text))
    assert "cube" in decode_text(observation["instruction"][0])
    rows = [
        make_variant("camera", None, 3, 7),
        *(make_variant(None, None, 0, s) for s in (8, 9, 10)),
    ]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *rows)
    turned, info = env.reset(options={"variants": stacked})
    assert info["variant"]["severity"].tolist() == [3, 0, 0, 0]
    assert np.abs(turned["frames"][0, 0].astype(int) - observation["frames"][0, 0]).mean() > 1
    np.testing.assert_array_equal(turned["frames"][1:], observation["frames"][1:])


def test_the_expert_solves_reach_through_it_and_worlds_start_anew(env: TabletopVectorEnv) -> None:
    env.reset(seed=0)
    over = np.zeros(WORLDS, bool)
    solved, started = np.zeros(WORLDS, bool), np.zeros(WORLDS, int)
    for _ in range(2 * env.env.horizon):
        _, reward, terminated, truncated, info = env.step(env.expert())
        # A world that was over has begun: no reward, no end, another seed.
        assert not reward[over].any()
        assert not (terminated | truncated)[over].any()
        assert not info["success"][over].any()
        started += over
        solved |= terminated & info["success"]
        over = terminated | truncated
    assert solved.all()
    assert started.min() >= 1
    assert len(set(info["variant"]["seed"].tolist()) & set(range(WORLDS))) == 0


def test_given_variants_start_again(env: TabletopVectorEnv) -> None:
    variants = clean_variant(np.arange(WORLDS, dtype=np.int32))
    first, _ = env.reset(options={"variants": variants})
    for _ in range(env.env.horizon):
        _, _, terminated, truncated, _ = env.step(np.zeros((WORLDS, 7), np.float32))
    assert truncated.all()
    assert not terminated.any()
    again, *_, info = env.step(np.zeros((WORLDS, 7), np.float32))
    np.testing.assert_array_equal(again["frames"], first["frames"])
    assert info["variant"]["seed"].tolist() == list(range(WORLDS))


def test_what_was_returned_is_never_written_again(env: TabletopVectorEnv) -> None:
    env.action_space.seed(0)
    calls = [env.reset(seed=0)]
    for _ in range(2):
        observation, *_, info = env.step(env.action_space.sample())
        calls.append((observation, info))
    for name in calls[0][0]:
        assert not np.shares_memory(calls[1][0][name], calls[2][0][name])
    assert not np.shares_memory(calls[1][1]["distance"], calls[2][1]["distance"])
    assert calls[1][0]["frames"].flags.writeable


def test_a_diverged_world_terminates(env: TabletopVectorEnv) -> None:
    env.reset(seed=0)
    actions = np.zeros((WORLDS, 7), np.float32)
    actions[2] = np.nan
    _, _, terminated, _, info = env.step(actions)
    assert terminated.tolist() == info["diverged"].tolist() == [False, False, True, False]


@pytest.mark.parametrize("frame", ACTION_FRAMES)
def test_action_bounds_have_the_actions_shape(frame) -> None:
    low, high = action_bounds(find_robot("panda"), frame)
    assert low.shape == high.shape == (action_size(find_robot("panda"), frame),)
    assert np.all(low < high)


def test_mistakes_are_told(env: TabletopVectorEnv) -> None:
    with pytest.raises(UserError, match="no option 'variant'"):
        env.reset(options={"variant": 1})
    with pytest.raises(UserError, match="as many seeds"):
        env.reset(seed=[1, 2])
    env.reset(seed=0)
    with pytest.raises(UserError, match="need shape"):
        env.step(np.zeros((WORLDS, 6), np.float32))
    with pytest.raises(UserError, match="before step"):
        TabletopVectorEnv("reach", 1, physics="c").step(np.zeros((1, 7), np.float32))


def test_without_gymnasium_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    monkeypatch.delitem(sys.modules, "wamjax.sim.vector")
    with pytest.raises(UserError, match=r"wamjax\[gym\]"):
        importlib.import_module("wamjax.sim.vector")
