"""The frame of a goal: of which step, the same one whenever and wherever it is asked for."""

import dataclasses

import jax
import numpy as np
import pytest

from tests.data.real_mixture import place
from tests.data.synthetic import config
from wamjax.core.errors import UserError
from wamjax.data import Loader, Mixture, Windows, compute_statistics, read_episodes
from wamjax.data.normalising.statistics import MixedStatistics
from wamjax.data.windows.goals import goal_rows
from wamjax.data.windows.members import members_of
from wamjax.data.windows.mixture import read_members
from wamjax.data.windows.windows import WindowIndex


def opened(directory, table=None, **changes) -> Windows:
    settings = config(directory, part="all", **changes)
    table = read_episodes(settings) if table is None else table
    return Windows(settings, compute_statistics(settings, table), table)


def index_of(lengths: list[int]) -> WindowIndex:
    """A window at each step of episodes of these lengths."""
    ends = np.cumsum(lengths)
    episode = np.repeat(np.arange(len(lengths)), lengths)
    return WindowIndex(
        row=np.arange(ends[-1]), episode=episode, first=(ends - lengths)[episode],
        last=ends[episode] - 1, last_action=ends[episode] - 1,
    )  # fmt: skip


@pytest.mark.parametrize("goal", ["last", "uniform"])
def test_a_goal_lies_in_the_episode_behind_now(goal):
    index = index_of([*range(1, 21)])
    for seed in range(20):
        rows = goal_rows(index, np.arange(len(index)), goal, seed)
        for row, end, to in zip(index.row, index.last, rows, strict=True):
            steps = [end] if goal == "last" or row == end else range(row + 1, end + 1)
            assert to in steps


def test_uniform_goals_are_uniform_and_hang_on_seed_episode_and_step():
    index = index_of([9] * 4000)
    every = np.arange(len(index))
    rows = goal_rows(index, every, "uniform", 3).reshape(-1, 9) - index.first.reshape(-1, 9)
    for step in range(8):
        counts = np.bincount(rows[:, step], minlength=9)[step + 1 :]
        expected = 4000 / (8 - step)
        assert not np.bincount(rows[:, step], minlength=9)[: step + 1].any()
        # Five standard deviations.
        assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()
    # Neighbouring steps of an episode are drawn apart.
    assert abs(np.corrcoef(rows[:, 0], rows[:, 1])[0, 1]) < 0.1
    assert (goal_rows(index, every, "uniform", 4) != goal_rows(index, every, "uniform", 3)).any()
    some = every[::-7]
    np.testing.assert_array_equal(
        goal_rows(index, some, "uniform", 3), goal_rows(index, every, "uniform", 3)[some]
    )


@pytest.mark.parametrize("goal", ["last", "uniform"])
@pytest.mark.parametrize("cache", [2**30, 0])
def test_a_window_holds_the_frame_of_that_step(tabletop, goal, cache):
    plain = opened(tabletop)
    windows = opened(tabletop, plain.episodes, goal=goal, cache_bytes=cache)
    every = np.arange(len(windows))
    batch, without = windows.batch(every), plain.batch(every)
    assert without.goal is None
    for field in dataclasses.fields(without):
        value = getattr(without, field.name)
        if value is not None:
            np.testing.assert_array_equal(getattr(batch, field.name), value)
    rows = goal_rows(windows.index, every, goal, windows.config.seed)
    shown, _ = plain.frames.gather(rows[:, None], windows.index.episode)
    np.testing.assert_array_equal(batch.goal, shown[:, :, 0])
    assert batch.goal_mask.all()
    missing = windows.batch(np.array([0, -1]))
    assert missing.goal_mask.any(1).tolist() == [True, False]


def test_a_goal_that_cannot_be_seen_is_masked(tabletop):
    table = read_episodes(config(tabletop))
    seen = np.arange(2 * len(table)).reshape(-1, 2) % 3 > 0
    windows = opened(tabletop, dataclasses.replace(table, camera_ok=seen), goal="last")
    windows.frames.good[windows.index.last[0]] = False
    batch = windows.batch(np.arange(len(windows)))
    expected = seen[windows.index.episode]
    expected[windows.index.last == windows.index.last[0]] = False
    np.testing.assert_array_equal(batch.goal_mask, expected)


@pytest.mark.parametrize("hosts", [2, 4])
def test_goals_do_not_depend_on_hosts_or_on_where_a_run_was_stopped(tabletop, hosts):
    windows = opened(tabletop, goal="uniform")
    whole = Loader(windows, 8, 0, 1)
    shares = [Loader(windows, 8, host, hosts) for host in range(hosts)]
    for step in range(30):
        if step == 13:
            state = whole.state()
            whole = Loader(opened(tabletop, goal="uniform"), 8, 0, 1)
            for loader in (whole, *shares):
                loader.restore(state)
        expected = next(whole)
        parts = [next(share) for share in shares]
        for ours, theirs in zip(
            jax.tree.leaves(jax.tree.map(lambda *rows: np.concatenate(rows), *parts)),
            jax.tree.leaves(expected), strict=True,
        ):  # fmt: skip
            np.testing.assert_array_equal(ours, theirs)


def test_the_state_tells_a_goal_and_states_from_before_stay_valid(tabletop):
    plain, last = (opened(tabletop, goal=goal) for goal in ("none", "last"))
    told = last.fingerprint()["config"]
    assert told.pop("goal") == "last"
    assert told == plain.fingerprint()["config"]
    assert last.statistics.fingerprint == plain.statistics.fingerprint
    with pytest.raises(UserError, match=r"\(config\.goal: absent there, last here\)"):
        Loader(last, 2, 0, 1).restore(Loader(plain, 2, 0, 1).state())


def test_in_a_mixture_a_goal_stands_where_its_camera_does(shared_data, tmp_path):
    settings = dataclasses.replace(place(shared_data, tmp_path), goal="uniform")
    tables = read_members(settings)
    statistics = MixedStatistics(
        {m.name: compute_statistics(m.config, tables[m.name]) for m in members_of(settings)}
    )
    mixture = Mixture(settings, statistics, tables)
    batch = mixture.batch(mixture.starts[:-1])
    np.testing.assert_array_equal(batch.goal_mask, batch.camera_mask)
    assert not batch.goal[~batch.goal_mask].any()
    for number, own in enumerate(mixture.windows):
        alone = own.batch(np.array([0]))
        views = list(mixture.members[number].views)
        np.testing.assert_array_equal(batch.goal[number, views], alone.goal[0])
