"""The cards of the workshop name what is really in the data."""

import pathlib
import tomllib

import pytest

from tests.data.synthetic import config
from wamjax.data.config import DataConfig
from wamjax.data.episodes import read_episodes

CARDS = pathlib.Path(__file__).resolve().parents[2] / "data" / "cards"


def _card(name: str, directory: pathlib.Path) -> DataConfig:
    values = tomllib.loads((CARDS / f"{name}.toml").read_text())["config"]
    values["cameras"] = tuple(values["cameras"])
    return config(directory, **values)


@pytest.mark.parametrize("card", [path.stem for path in sorted(CARDS.glob("*.toml"))])
def test_a_card_reads_its_data(
    card: str, tabletop: pathlib.Path, request: pytest.FixtureRequest
) -> None:
    known = {"tabletop": lambda: tabletop}
    known["bridge_dataset"] = lambda: request.getfixturevalue("bridge_directory")
    table = read_episodes(_card(card, known[card]()))
    assert table.camera_ok.all()
    assert table.actions.shape[1] == 7
    assert all(table.texts)


def test_copies_in_another_split_fall_on_the_same_side(bridge_directory: pathlib.Path) -> None:
    tables = {
        split: read_episodes(config(bridge_directory, split=split, cameras=("image_0",)))
        for split in ("train", "val")
    }
    assert tables["train"].contents != tables["val"].contents
    assert sorted(tables["train"].contents) == sorted(tables["val"].contents)
    assert len(set(tables["train"].contents)) == 25


def test_the_last_action_of_a_cut_episode_is_real(bridge_directory: pathlib.Path) -> None:
    table = read_episodes(config(bridge_directory, cameras=("image_0",)))
    assert table.action_ok.all()
    first, last = table.starts[:-1], table.starts[1:] - 1
    assert abs(table.actions[first, :6]).max() < 1e-6
    assert abs(table.actions[last, :6]).mean() > 1e-3
    # The zero first action is true: the arm does not move from step 0 to step 1 either.
    moved = abs(table.proprio[first + 1, :3] - table.proprio[first, :3]).mean()
    later = abs(table.proprio[first + 2, :3] - table.proprio[first + 1, :3]).mean()
    assert moved < later / 5
