import dataclasses
import json
import pathlib

import numpy as np
import pytest

from tests.data.synthetic import config, copy, episodes
from wamjax.core.errors import UserError
from wamjax.data.episodes import read_episodes
from wamjax.data.normalising.statistics import (
    BINS,
    Statistics,
    compute_statistics,
    data_fingerprint,
    load_statistics,
    save_statistics,
    statistics_for,
    summarise,
)
from wamjax.data.split import members


@pytest.mark.parametrize("rows", [1, 2, 3, 99, 5000])
def test_moments_and_quantiles_are_numpys_within_the_bound(rows: int) -> None:
    draw = np.random.default_rng(rows)
    data = np.stack(
        [draw.normal(size=rows), draw.exponential(size=rows), np.arange(rows) % 2.0], axis=1
    )
    found = summarise(lambda: np.array_split(data, 7), 3)
    np.testing.assert_allclose(found.mean, data.mean(axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.std, data.std(axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(found.min, data.min(axis=0))
    np.testing.assert_array_equal(found.max, data.max(axis=0))
    bound = np.ptp(data, axis=0) / (2 * BINS) + 1e-12
    for ours, q in ((found.q01, 0.01), (found.q99, 0.99)):
        assert (np.abs(np.array(ours) - np.quantile(data, q, axis=0)) <= bound).all()
    assert found.count == rows


def test_only_recorded_actions_of_training_episodes_count(tabletop: pathlib.Path) -> None:
    settings = config(tabletop)
    table = read_episodes(settings)
    inside = members(list(table.contents), settings.holdout, "train")
    assert 0 < inside.sum() < len(inside)
    made = [episode for episode, keep in zip(episodes(), inside, strict=True) if keep]
    actions = np.concatenate([episode.actions[:-1] for episode in made])
    proprio = np.concatenate([episode.proprio for episode in made]).astype(np.float32)
    for part in ("train", "heldout", "all"):
        found = compute_statistics(dataclasses.replace(settings, part=part), table)
        assert (found.action.count, found.proprio.count) == (len(actions), len(proprio))
        np.testing.assert_allclose(found.action.mean, actions.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(found.proprio.std, proprio.std(axis=0), atol=1e-6)
        assert found.episodes == len(made)


def test_stored_beside_the_data_and_found_again(
    tabletop: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    settings = config(copy(tabletop, tmp_path / "data"))
    first = statistics_for(settings)
    stored = list((tmp_path / "data").glob("wamjax_statistics_*.json"))
    assert len(stored) == 1
    assert Statistics.from_json(json.loads(stored[0].read_text())) == first
    assert statistics_for(settings) == first
    statistics_for(dataclasses.replace(settings, holdout=0.5))
    assert len(list((tmp_path / "data").glob("wamjax_statistics_*.json"))) == 2


def test_a_read_only_data_set_is_left_alone(tabletop: pathlib.Path, tmp_path: pathlib.Path) -> None:
    where = copy(tabletop, tmp_path / "data")
    before = sorted(where.iterdir())
    where.chmod(0o555)
    found = statistics_for(config(where))
    assert sorted(where.iterdir()) == before
    assert statistics_for(config(where), directory=tmp_path / "run") == found
    assert sorted(where.iterdir()) == before
    assert len(list((tmp_path / "run").iterdir())) == 1
    where.chmod(0o755)


def test_statistics_of_other_data_are_refused(
    tabletop: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    settings = config(tabletop)
    table = read_episodes(settings)
    path = save_statistics(tmp_path / "s.json", compute_statistics(settings, table))
    expected = data_fingerprint(table, settings)
    load_statistics(path, expected)
    other = data_fingerprint(table, dataclasses.replace(settings, holdout=0.5))
    with pytest.raises(UserError, match=r"other data \(selection.holdout: 0.25 there, 0.5 here"):
        load_statistics(path, other)
    with pytest.raises(UserError, match="does not exist"):
        load_statistics(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(UserError, match="no statistics"):
        load_statistics(tmp_path / "bad.json")
