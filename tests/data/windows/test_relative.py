"""Actions relative to the state: what a window holds, whose statistics it is normalised by."""

import dataclasses
import json
import pathlib

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.data.real_mixture import place
from tests.data.stores import make
from tests.data.synthetic import config
from wamjax.cli.main import main
from wamjax.core.errors import UserError
from wamjax.data import Loader, Mixture, Windows, compute_statistics, read_episodes
from wamjax.data.normalising.statistics import BINS, MixedStatistics, Statistics, statistics_for
from wamjax.data.normalising.streamed import stream_statistics
from wamjax.data.windows.members import members_of
from wamjax.data.windows.mixture import read_members
from wamjax.policy.relative import FromState

CARDS = pathlib.Path(__file__).resolve().parents[3] / "data" / "cards"
CARD, CHANGES = (str(CARDS / f"{name}.toml") for name in ("tabletop_ee_absolute", "tabletop"))
TURN = slice(3, 6)


def given(directory, **changes):
    values = {"card": CARD, "cameras": ("primary", "wrist"), "relative": True, "holdout": 0.0}
    return config(directory, **(values | changes))


def opened(settings) -> Windows:
    table = read_episodes(settings)
    return Windows(settings, compute_statistics(settings, table), table)


def matrices(values: np.ndarray) -> np.ndarray:
    return Rotation.from_euler("xyz", values[..., TURN].reshape(-1, 3)).as_matrix()


def raw(windows: Windows, values: np.ndarray) -> np.ndarray:
    return np.asarray(windows.action_normaliser.invert(values))


def by_definition(action: np.ndarray, state: np.ndarray) -> np.ndarray:
    """One action told from one state: positions apart, the rotation in the tool's axes."""
    turn = matrices(state)[0].T @ matrices(action)[0]
    angles = Rotation.from_matrix(turn).as_euler("xyz")
    return np.concatenate([action[:3] - state[:3], angles, action[6:]])


@pytest.mark.parametrize("changes", [{}, {"every": 2}, {"chunk": 1}, {"chunk": 40}])
def test_a_window_tells_its_chunk_and_its_past_from_its_own_state(tabletop, changes):
    windows = opened(given(tabletop, past_actions=3, **changes))
    table, chunk = windows.episodes, windows.config.chunk
    batch = windows.batch(np.arange(len(windows)))
    seen = 0
    for place_, now in enumerate(windows.index.row):
        state = table.proprio[now]
        offsets = [*range(chunk), *range(-3, 0)]
        pairs = [(batch.actions, batch.action_mask)] * chunk
        pairs += [(batch.past_actions, batch.past_action_mask)] * 3
        for number, (ahead, (values, mask)) in enumerate(zip(offsets, pairs, strict=True)):
            slot = number if number < chunk else number - chunk
            if not mask[place_, slot].any():
                continue
            expected = by_definition(table.actions[now + ahead], state)
            found = raw(windows, values[place_, slot])
            np.testing.assert_allclose(found, expected, atol=2e-5)
            seen += 1
    assert seen > len(windows)


def test_the_loader_and_its_inverses_give_back_what_was_recorded(tabletop):
    """On the host, and as a policy does it."""
    windows = opened(given(tabletop, action_width=9))
    numbers = np.arange(len(windows))
    batch = windows.batch(numbers)
    mask = batch.action_mask[..., 0]
    rows = windows.index.row[:, None] + np.arange(windows.config.chunk)
    recorded = windows.episodes.actions[rows[mask]]
    assert windows.relative is not None
    back = FromState(windows.relative)
    raws = windows.action_normaliser.invert(batch.actions)
    for found in (
        windows.recorded_actions(numbers, batch.actions),
        np.asarray(jax.jit(back.restore)(raws, windows.episodes.proprio[windows.index.row])),
    ):
        assert found.shape[-1] == 9
        ours = found[mask]
        np.testing.assert_allclose(ours[:, :3], recorded[:, :3], atol=1e-5)
        np.testing.assert_allclose(ours[:, 6], recorded[:, 6], atol=1e-6)
        np.testing.assert_allclose(matrices(ours), matrices(recorded), atol=1e-4)
        assert not ours[:, 7:].any()


@pytest.mark.parametrize("chunk", [1, 3, 40])
def test_statistics_are_those_of_what_is_trained_on(tabletop, chunk):
    """Every number that no mask hides, as often as it stands in a window of the training part."""
    windows = opened(given(tabletop, chunk=chunk, holdout=0.25))
    batch = windows.batch(np.arange(len(windows)))
    rows = windows.index.row[:, None] + np.arange(chunk)
    mask = batch.action_mask[..., 0]
    now = np.broadcast_to(windows.index.row[:, None], rows.shape)[mask]
    table = windows.episodes
    told = np.stack(
        [
            by_definition(table.actions[row], table.proprio[at])
            for row, at in zip(rows[mask], now, strict=True)
        ]
    )
    found = windows.statistics.action
    assert found.count == len(told)
    np.testing.assert_allclose(found.mean, told.mean(0), atol=1e-6)
    np.testing.assert_allclose(found.std, told.std(0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.min, told.min(0), atol=1e-5)
    np.testing.assert_allclose(found.max, told.max(0), atol=1e-5)
    bound = np.ptp(told, axis=0) / (2 * BINS) + 1e-5
    for ours, q in ((found.q01, 0.01), (found.q99, 0.99)):
        assert (np.abs(np.array(ours) - np.quantile(told, q, axis=0)) <= bound).all()
    plain = compute_statistics(dataclasses.replace(windows.config, relative=False), table)
    assert windows.statistics.recorded == plain.action == plain.executed
    assert windows.statistics.proprio == plain.proprio
    assert windows.statistics.executed == plain.action


def test_one_pass_over_files_gives_the_same_of_a_store_and_of_several(tabletop, tmp_path):
    settings = given(tabletop, chunk=5)
    whole = compute_statistics(settings)
    assert stream_statistics([settings]) == whole
    assert Statistics.from_json(json.loads(json.dumps(whole.to_json()))) == whole
    store = given(make(tabletop, tmp_path / "store"), chunk=5)
    mine = stream_statistics([store])
    assert dataclasses.replace(mine, fingerprint=whole.fingerprint) == whole
    assert mine.layouts is not None
    assert mine.layouts["action"][0] == "right position m base relative [0]"
    assert mine.layouts["action"][3] == "right rotation rad tool relative euler [0]"
    assert mine.layouts["action"][6] == "right gripper 1 absolute [0]"
    both = stream_statistics([settings, settings])
    assert (both.action.count, both.recorded.count) == (  # pyright: ignore
        2 * whole.action.count, 2 * whole.recorded.count,  # pyright: ignore
    )  # fmt: skip
    np.testing.assert_allclose(both.action.mean, whole.action.mean, atol=1e-12)
    np.testing.assert_allclose(both.action.std, whole.action.std, rtol=1e-12)


def test_the_last_action_is_told_from_the_window_s_own_state(tabletop):
    windows = opened(given(tabletop))
    numbers = np.arange(len(windows))
    previous, there = windows.previous_actions(numbers)
    table = windows.episodes
    for number in np.flatnonzero(there):
        now = windows.index.row[number]
        expected = by_definition(table.actions[now - 1], table.proprio[now])
        np.testing.assert_allclose(raw(windows, previous[number]), expected, atol=2e-5)
    assert there.sum() == len(windows) - len(set(windows.index.episode.tolist()))


def test_statistics_of_another_manner_are_refused_in_words(tabletop):
    relative, absolute = given(tabletop), given(tabletop, relative=False)
    other = given(tabletop, chunk=3)
    table = read_episodes(relative)
    made = {id(c): compute_statistics(c, table) for c in (relative, absolute, other)}
    for mine, theirs, words in (
        (relative, absolute, "are of actions as they were recorded, and asked for are actions "
         "relative to the state before each chunk of 8"),
        (absolute, relative, "relative to the state before each chunk of 8, and asked for are "
         "actions as they were recorded"),
        (relative, other, r"each chunk of 3, and asked for are .* chunk of 8 \(data.relative, "
         r"data.chunk\): compute them anew"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=words):
            Windows(mine, made[id(theirs)], table)


def test_a_state_tells_the_setting_and_those_from_before_stay_valid(tabletop, tmp_path):
    plain, relative = (opened(given(tabletop, relative=flag)) for flag in (False, True))
    assert "relative" not in plain.fingerprint()["config"]
    assert "relative" not in plain.statistics.fingerprint["selection"]
    told = relative.fingerprint()["config"]
    assert told.pop("relative") is True
    assert told == plain.fingerprint()["config"]
    with pytest.raises(UserError, match=r"\(config\.relative: absent there, True here"):
        Loader(relative, 2, 0, 1).restore(Loader(plain, 2, 0, 1).state())
    old = plain.statistics.to_json()
    assert not {"relative", "recorded"} & {*old}
    assert Statistics.from_json(old) == plain.statistics
    for windows in (plain, relative, plain, relative):
        found = statistics_for(windows.config, windows.episodes, tmp_path)
        assert found == windows.statistics
    assert len(list(tmp_path.iterdir())) == 2


def test_what_cannot_be_told_is_refused(tabletop, capsys):
    with pytest.raises(UserError, match="has no number of an action that is absolute and that the"):
        read_episodes(given(tabletop, card=CHANGES))
    with pytest.raises(ValueError, match="relative needs to know what the numbers mean: give a"):
        given(tabletop, card="")
    stats = ["data", "stats", str(tabletop)]
    assert main([*stats, "--relative", "4"]) == 2
    assert "--relative needs to know what the numbers mean: give --card." in capsys.readouterr().err
    assert main([*stats, "--relative", "0", "--card", CARD]) == 2
    assert main([*stats, "--relative", "4", "--card", CHANGES]) == 2
    capsys.readouterr()
    assert main([*stats, "--relative", "5", "--card", CARD, "--json"]) == 0
    found = Statistics.from_json(json.loads(capsys.readouterr().out))
    assert found.action == compute_statistics(given(tabletop, chunk=5)).action


def test_in_a_mixture_those_that_can_be_told_are(shared_data, tmp_path):
    """A humanoid's joints from its state; two arms whose actions are changes stay as they are."""
    settings = dataclasses.replace(place(shared_data, tmp_path), relative=True)
    members = members_of(settings)
    assert [member.name for member in members if member.config.relative] == ["g1"]
    tables = read_members(settings)
    statistics = {m.name: compute_statistics(m.config, tables[m.name]) for m in members}
    mixture = Mixture(settings, MixedStatistics(statistics), tables)
    own = mixture.windows[2]
    numbers = np.arange(0, len(own), 7)
    batch = mixture.batch(mixture.starts[2] + numbers)
    values = batch.actions[..., mixture.action.places[2]]
    mask = batch.action_mask[..., mixture.action.places[2]][..., 0]
    rows = own.index.row[numbers][:, None] + np.arange(settings.chunk)
    table = tables["g1"]
    expected = table.actions[rows[mask]] - np.repeat(
        table.proprio[own.index.row[numbers]], mask.sum(1), axis=0
    )
    np.testing.assert_allclose(raw(own, values)[mask], expected, atol=1e-5)
    modes = [mixture.action.layout[n].mode for n in mixture.action.places[2]]
    assert set(modes) == {"relative"}
    # What is not told so keeps its statistics, and its place.
    plain = dataclasses.replace(settings, relative=False)
    bridge = members_of(plain)[0].config
    assert statistics["bridge"] == compute_statistics(bridge, tables["bridge"])
    alone = tmp_path / "alone.toml"
    alone.write_text("[alone]\nweights = { bridge = 1, clip = 1 }\ndirs = { clip = 'clips' }\n")
    with pytest.raises(UserError, match="No data set of alone has a number of an action that is"):
        members_of(dataclasses.replace(settings, mixture="alone", mixtures=str(alone)))
