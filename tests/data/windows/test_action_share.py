"""Episodes whose actions are hidden are video without actions, and nothing of them leaks."""

import numpy as np
import pytest

from tests.data.synthetic import config
from wamjax.core.errors import UserError
from wamjax.data import Loader, Windows, compute_statistics, read_episodes
from wamjax.data.normalising.statistics import data_fingerprint
from wamjax.data.split import members, shows_actions

HOLDOUT, SHARE = 0.2, 0.5


@pytest.fixture(scope="module")
def both(tabletop):
    given = [config(tabletop, holdout=HOLDOUT, action_share=share) for share in (1.0, SHARE)]
    return [(made, read_episodes(made)) for made in given]


def test_hidden_actions_are_in_no_window_and_no_statistic(both):
    (_, plain), (given, table) = both
    assert table.contents == plain.contents
    shown = np.array([shows_actions(content, HOLDOUT, SHARE) for content in table.contents])
    train = members(list(table.contents), HOLDOUT, "train")
    assert 0 < (shown & train).sum() < train.sum()

    episode = np.repeat(np.arange(len(shown)), table.lengths)
    np.testing.assert_array_equal(table.action_ok, plain.action_ok & shown[episode])
    rows = table.action_ok & train[episode]
    statistics = compute_statistics(given, table)
    np.testing.assert_allclose(statistics.action.mean, table.actions[rows].mean(0), atol=1e-6)

    windows = Windows(given, statistics, table)
    batch = windows.batch(np.arange(len(windows)))
    whose = windows.index.episode
    assert batch.has_action[shown[whose]].all()
    assert not batch.has_action[~shown[whose]].any()
    assert batch.frame_mask[:, 0].all()
    # Every hidden episode is seen, as far as there are frames after now.
    assert {*whose} == {*np.flatnonzero(train)}
    count, whole = len({*whose[batch.has_action]}), len({*whose})
    assert windows.told() == [
        f"{count} of {whole} episodes show their actions (data.action_share = 0.5)"
    ]


def test_a_run_s_state_and_statistics_tell_it(both):
    told = [data_fingerprint(table, given)["selection"] for given, table in both]
    assert "action_share" not in told[0]
    assert told[1]["action_share"] == SHARE
    loaders = [
        Loader(Windows(given, compute_statistics(given, table), table), 2, 0, 1)
        for given, table in both
    ]
    with pytest.raises(UserError, match=r"config\.action_share: absent there, 0\.5 here"):
        loaders[1].restore(loaders[0].state())


def test_a_share_of_nothing_is_refused(tabletop):
    with pytest.raises(ValueError, match=r"action_share must be in \(0, 1\], got 0"):
        config(tabletop, action_share=0.0)
