"""Episodes that were not solved are left out of everything, if that is asked for."""

import dataclasses

import numpy as np
import pytest

from tests.data.synthetic import LENGTHS, config, episode, episodes
from wamjax.core.errors import UserError
from wamjax.data import Loader, Windows, compute_statistics, read_episodes, write_rlds
from wamjax.data.normalising.statistics import data_fingerprint

SOLVED = [number for number, made in enumerate(episodes()) if made.success]


def test_what_was_not_solved_is_in_no_window_and_no_statistic(tabletop):
    given = config(tabletop, only_solved=True, holdout=0.0)
    table = read_episodes(given)
    assert table.lengths.tolist() == [LENGTHS[number] for number in SOLVED]
    assert table.solved.all()
    statistics = compute_statistics(given, table)
    rows = np.concatenate([episode(n, LENGTHS[n]).actions[:-1] for n in SOLVED])
    np.testing.assert_allclose(statistics.action.mean, rows.mean(0), atol=1e-6)
    windows = Windows(given, statistics, table)
    shown = windows.batch(np.arange(len(windows))).frames[:, 0, 0, 0, 0, 0]
    # The first pixel tells the episode; JPEG moves it by little.
    assert {int(value) - 8 for value in shown} <= {
        number + step for number in SOLVED for step in range(-3, 4)
    }


def test_a_run_s_state_and_statistics_tell_it(tabletop):
    plain, solved = (config(tabletop, only_solved=flag, holdout=0.0) for flag in (False, True))
    tables = [read_episodes(given) for given in (plain, solved)]
    both = list(zip(tables, (plain, solved), strict=True))
    told = [data_fingerprint(table, given)["selection"] for table, given in both]
    assert "only_solved" not in told[0]
    assert told[1]["only_solved"] is True
    loaders = [
        Loader(Windows(given, compute_statistics(given, table), table), 2, 0, 1)
        for table, given in both
    ]
    with pytest.raises(UserError, match=r"run \(config\.only_solved: absent there, True here; "):
        loaders[1].restore(loaders[0].state())


def test_data_without_the_mark_are_kept_and_data_without_success_refused(
    bridge_directory, tmp_path
):
    given = config(bridge_directory, cameras=("image_0",), only_solved=True)
    assert len(read_episodes(given)) == 25
    failed = (dataclasses.replace(made, success=False) for made in episodes())
    nothing = config(write_rlds(tmp_path, "failed", "1.0.0", failed), only_solved=True)
    with pytest.raises(UserError, match=r"None of the 14 episodes of .* is said to be solved"):
        read_episodes(nothing)
