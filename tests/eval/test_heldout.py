"""Held-out windows of real robot data: each once, with the action that came before it."""

import dataclasses

import jax
import numpy as np
import pytest

from wamjax.data.config import DataConfig
from wamjax.data.episodes import read_episodes
from wamjax.data.normalising.statistics import compute_statistics
from wamjax.data.windows.pipeline import Windows
from wamjax.eval.heldout import held_out, mean_action, samples, spread_windows
from wamjax.eval.openloop import PADDING, open_loop


@pytest.fixture(scope="module")
def bridge(bridge_directory):
    config = DataConfig(
        dir=str(bridge_directory),
        cameras=("image_0",),
        image_size=16,
        holdout=0.2,
        chunk=4,
        frame_stride=1,
        future=2,
    )
    episodes = read_episodes(config)
    statistics = compute_statistics(config, episodes)
    held = dataclasses.replace(config, part="heldout")
    return Windows(held, statistics, episodes), statistics


def test_each_window_comes_once_with_its_previous_action(bridge):
    windows, statistics = bridge
    batches = list(held_out(windows, 32))
    index = np.concatenate([held.batch.index for held in batches])
    assert sorted(index[index >= 0]) == list(range(len(windows)))
    for held in batches:
        assert ((held.episode == PADDING) == (held.batch.index < 0)).all()
        for row, number in enumerate(held.batch.index):
            if number < 0:
                continue
            start = windows.index.row[number] == windows.index.first[number]
            assert held.has_previous[row] == (not start)
            if held.has_previous[row]:
                at = windows.index.row[number] - 1
                raw = windows.episodes.actions[at]
                found = windows.action_normaliser.invert(held.previous[row])
                np.testing.assert_allclose(found, raw, atol=1e-5)
    mean = windows.action_normaliser.invert(mean_action(windows, statistics))
    np.testing.assert_allclose(mean, statistics.action.mean, atol=1e-5)


def test_the_truth_has_no_error_and_the_samples_show_it(bridge):
    windows, statistics = bridge

    def truth(batch, key):
        return batch.actions, batch.frames[:, :1, 1:]

    found = open_loop(
        truth,
        held_out(windows, 32),
        mean_action=mean_action(windows, statistics),
        history=1,
        key=jax.random.key(0),
    )
    assert found["action_error"] == found["frame_error"] == 0
    assert 0 < found["last_action_error"] < found["mean_action_error"]
    assert found["windows"] == len(windows)
    shown = samples(windows, truth, jax.random.key(0), count=5)
    assert len({sample.label for sample in shown}) == 5
    for sample in shown:
        np.testing.assert_array_equal(sample.actions, sample.logged)
        np.testing.assert_array_equal(sample.predicted, sample.truth)
        assert sample.instruction


def test_shown_windows_are_spread_over_episodes():
    episode = np.repeat([3, 5, 9], [10, 4, 20])
    chosen = spread_windows(episode, 3)
    assert episode[chosen].tolist() == [3, 5, 9]
    assert len(set(spread_windows(episode, 9))) == 9
    assert spread_windows(np.zeros(2, int), 6).tolist() == [0, 1]
