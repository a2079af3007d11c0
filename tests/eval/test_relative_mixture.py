"""A policy of one data set of a mixture whose actions are told relative to states.

what training shows    the mixture's rows, goals and past actions with them
loader, then policy    the actions that were recorded
"""

import dataclasses
import json
import pathlib
import types
from typing import Any, cast

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.data.synthetic import episodes
from wamjax.cli.recipe_run import recipe_run
from wamjax.core.records import Observation
from wamjax.data import DataConfig, Mixture, compute_statistics, write_rlds
from wamjax.data.normalising.statistics import MixedStatistics, from_json
from wamjax.data.windows.members import members_of
from wamjax.data.windows.mixture import read_members
from wamjax.data.windows.seats import cards_in, seating
from wamjax.eval.heldout import samples
from wamjax.eval.trained_run import TrainedRun

CARDS = pathlib.Path(__file__).resolve().parents[2] / "data" / "cards"
TURN = slice(3, 6)
PAST = 8
# Name in the mixture -> whose card; changes first, so that what is relative stands behind them.
NAMES = {"changes": "tabletop", "places": "tabletop_ee_absolute"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    """Two data sets of the made-up episodes: changes, and absolute ones with a wrist alone."""
    root = tmp_path_factory.mktemp("desk")
    (root / "cards").mkdir()
    for name, card in NAMES.items():
        write_rlds(root / name, "tabletop", "1.0.0", episodes(), shard_episodes=4)
        text = (CARDS / f"{card}.toml").read_text().replace(f'name = "{card}"', f'name = "{name}"')
        if name == "places":
            text = text.replace('primary = "observation/image"\n', "")
        (root / "cards" / f"{name}.toml").write_text(text)
    (root / "mixtures.toml").write_text(
        '[desk]\nsource = "here"\nweights = { changes = 1, places = 1 }\n'
        'dirs = { changes = "changes/tabletop", places = "places/tabletop" }\n'
    )
    system = recipe_run("lingbot_va").system
    same = ("history", "future", "frame_stride", "history_stride", "chunk", "text_length")
    return DataConfig(
        mixture="desk", mixtures=str(root / "mixtures.toml"), root=str(root),
        cards=str(root / "cards"), cameras=("primary", "wrist"), image_size=16, holdout=0.4,
        prefetch=0, relative=True, goal="uniform", idle=0.25, past_actions=PAST, action_width=16,
        **{name: getattr(system, name) for name in same},
    )  # fmt: skip


@pytest.fixture(scope="module")
def mixture(data) -> Mixture:
    """The held-out part, with statistics as they come back from a checkpoint."""
    tables = read_members(data)
    own = {m.name: compute_statistics(m.config, tables[m.name]) for m in members_of(data)}
    saved = from_json(json.loads(json.dumps(MixedStatistics(own).to_json())))
    assert isinstance(saved, MixedStatistics)
    return Mixture(dataclasses.replace(data, part="heldout"), saved, tables)


def opened(data: DataConfig, mixture: Mixture, name: str) -> TrainedRun:
    system = dataclasses.replace(cast(Any, recipe_run("lingbot_va").system), past_actions=PAST)
    run: Any = types.SimpleNamespace(name="desk", data=data, system=system)
    seat = seating(data, cards_in(mixture.statistics)).of(name)
    own = mixture.statistics.of(name)
    return TrainedRun(config=run, statistics=own, weights={}, step=0, final=None, seat=seat)


def matrices(values: np.ndarray) -> np.ndarray:
    return Rotation.from_euler("xyz", values[..., TURN].reshape(-1, 3)).as_matrix()


def check_same(ours: np.ndarray, recorded: np.ndarray, euler: bool) -> None:
    """Actions [N, 7] that are the same; euler angles by the rotation that they are."""
    assert ours.shape == recorded.shape
    np.testing.assert_allclose(ours[:, :3], recorded[:, :3], atol=1e-5)
    np.testing.assert_allclose(ours[:, 6], recorded[:, 6], atol=1e-5)
    if euler:
        np.testing.assert_allclose(matrices(ours), matrices(recorded), atol=1e-4)
    else:
        np.testing.assert_allclose(ours, recorded, atol=1e-5)


def test_what_is_relative_has_places_of_its_own_which_a_checkpoint_gives_again(data, mixture):
    assert seating(data, cards_in(mixture.statistics)).seats == mixture.seating.seats
    changes, places = mixture.seating.seats
    assert set(changes.action.at) & set(places.action.at) == {6}  # the gripper
    modes = [mixture.action.layout[at].mode for at in places.action.at]
    assert modes == ["relative"] * 6 + ["absolute"]
    # Absolute, they stand elsewhere.
    plain = seating(dataclasses.replace(data, relative=False), cards_in(mixture.statistics))
    modes = [plain.action.layout[at].mode for at in plain.of("places").action.at]
    assert modes == ["absolute"] * 7


@pytest.mark.parametrize("name", NAMES)
def test_held_out_windows_are_the_mixtures_rows(data, mixture, name):
    windows, number = opened(data, mixture, name).held_out(), [*NAMES].index(name)
    assert len(windows) == len(mixture.windows[number])
    chosen = np.arange(len(windows))
    ours, theirs = windows.batch(chosen), mixture.batch(chosen + mixture.starts[number])
    for field in ("actions", "past_actions", "goal", "goal_mask"):
        assert np.asarray(getattr(theirs, field)).any(), field
    np.testing.assert_array_equal(theirs.goal_mask, theirs.camera_mask)
    for field in dataclasses.fields(theirs):
        if field.name != "index" and getattr(theirs, field.name) is not None:
            np.testing.assert_array_equal(
                getattr(ours, field.name), getattr(theirs, field.name), field.name
            )


@pytest.mark.parametrize("name", NAMES)
def test_loader_and_policy_give_back_what_was_recorded(data, mixture, name, monkeypatch):
    """A system that samples the loader's own chunk does what was done, and is shown what was."""
    run = opened(data, mixture, name)
    windows, seat, heard = run.held_out(), run.seat, []
    assert seat is not None
    chosen = np.arange(len(windows))
    batch, table = windows.batch(chosen), windows.episodes

    def sample_actions(weights, frames, camera_mask, proprio, text, key, past=None):
        heard.append((frames, camera_mask, proprio, past))
        return batch.actions

    system = types.SimpleNamespace(sample_actions=sample_actions, predicts_video=False)
    monkeypatch.setattr(TrainedRun, "system", property(lambda self: system))
    now = windows.index.row[chosen]
    before = now[:, None] + np.arange(-PAST, 0)
    there = before >= windows.index.first[chosen][:, None]
    shown = np.asarray(batch.frames)[:, list(seat.views), : data.history]
    seen = Observation(
        frames=shown,
        camera_mask=np.asarray(batch.camera_mask)[:, list(seat.views)],
        proprio=table.proprio[now],
        text=np.asarray(batch.text),
        past_actions=table.actions[np.maximum(before, 0)],
        past_action_mask=there & table.action_ok[np.maximum(before, 0)],
    )
    found = np.asarray(run.policy(("primary", "wrist")).act({}, seen, jax.random.key(0)))

    mask = np.asarray(batch.action_mask)[..., seat.action.at[0]]
    rows = now[:, None] + np.arange(data.chunk)
    euler = name == "places"
    check_same(found[mask], table.actions[rows[mask]], euler)
    check_same(windows.recorded_actions(chosen, batch.actions)[mask], found[mask], euler)
    ((frames, cameras, proprio, (past, past_mask)),) = heard
    np.testing.assert_array_equal(frames, np.asarray(batch.frames)[:, :, : data.history])
    np.testing.assert_array_equal(cameras, batch.camera_mask)
    np.testing.assert_allclose(proprio, batch.proprio, atol=1e-5)
    np.testing.assert_array_equal(past_mask, batch.past_action_mask)
    wanted = np.asarray(batch.past_actions)
    np.testing.assert_allclose(np.where(past_mask, past, 0), wanted * past_mask, atol=1e-4)

    def truth(batch, key):
        return batch.actions, None

    for page in samples(windows, truth, jax.random.key(0), count=4):
        assert page.logged.shape == page.mask.shape == (data.chunk, 7)
        np.testing.assert_array_equal(page.logged, page.actions)
        own = [np.isclose(table.actions[:, :3], row[:3], atol=1e-5).all(1).any()
               for row, real in zip(page.logged, page.mask, strict=True) if real.all()]  # fmt: skip
        assert all(own)
