"""Demonstrations: successful, reproducible, the same in any batch, labelled by the expert."""

import numpy as np
import pytest

from wamjax.core.errors import UserError
from wamjax.core.records import Episode
from wamjax.sim.demonstrations import TRAINING_SEEDS, collect, program_of
from wamjax.sim.env import TabletopEnv

BATCH = 32


@pytest.fixture(scope="module")
def env() -> TabletopEnv:
    return TabletopEnv("push", image_size=24)


@pytest.fixture(scope="module")
def episodes(env: TabletopEnv) -> list[Episode]:
    return list(collect(env, 12, 0, batch=BATCH))


def test_episodes_are_whole(env: TabletopEnv, episodes: list[Episode]) -> None:
    assert len(episodes) == 12
    for episode in episodes:
        steps = len(episode.actions)
        assert 8 <= steps <= env.horizon
        assert set(episode.frames) == {"primary", "wrist"}
        for frames in episode.frames.values():
            assert frames.shape == (steps, 24, 24, 3)
            assert frames.dtype == np.uint8
        assert episode.proprio.shape == episode.actions.shape == (steps, 7)
        assert episode.proprio.dtype == episode.actions.dtype == np.float32
        np.testing.assert_array_equal(episode.actions[-1], 0.0)
        assert episode.success
        assert episode.control_hz == 10.0
        assert " cube" in episode.instruction
    seeds = [episode.metadata["seed"] for episode in episodes]
    assert len(set(seeds)) == 12
    assert min(seeds) >= TRAINING_SEEDS


def test_labels_are_the_experts_and_bounded(episodes: list[Episode]) -> None:
    for episode in episodes:
        moves = episode.actions[:-1, :3]
        assert np.linalg.norm(moves, axis=1).max() <= 0.03 + 1e-6
        np.testing.assert_array_equal(episode.actions[:, 6], 0.0)
    # Executed actions are noisy, so the hand does not move by exactly the label.
    moved = np.diff(episodes[0].proprio[:, :3], axis=0)
    assert np.abs(moved - episodes[0].actions[:-1, :3]).max() > 2e-3


def test_the_expert_solves_push_with_and_without_noise(env: TabletopEnv) -> None:
    """The cube is moved by contact alone; nothing else in the physics touches it."""
    seeds = np.arange(BATCH, dtype=np.int32)
    for noise, enough in ((0.0, 0.95), (env.task.noise, 0.85)):
        out = program_of(env)(seeds, np.float32(noise))
        assert float(out["done"].any(axis=1).mean()) >= enough
        assert not out["diverged"].any()
        # Nobody starts solved.
        assert not out["done"][:, 0].any()


def test_same_seed_same_episodes(env: TabletopEnv, episodes: list[Episode]) -> None:
    again = list(collect(env, 3, 0, batch=BATCH))
    for one, other in zip(episodes, again, strict=False):
        np.testing.assert_array_equal(one.actions, other.actions)
        np.testing.assert_array_equal(one.frames["wrist"], other.frames["wrist"])
        assert one.instruction == other.instruction
    different = next(collect(env, 1, 1, batch=BATCH))
    assert different.metadata["seed"] != episodes[0].metadata["seed"]


def test_counts_are_checked(env: TabletopEnv) -> None:
    with pytest.raises(UserError, match="at least 1"):
        next(collect(env, 0, 0))
