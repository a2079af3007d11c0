"""A card of other data is told before an episode is read; a copy by another name is read by it."""

import pathlib
import re
from typing import Any

import pytest

from tests.data.stores import make
from tests.data.synthetic import config, episodes
from wamjax.core.errors import UserError
from wamjax.data import read_episodes, stream_statistics, write_rlds
from wamjax.data.cards.card import read_card
from wamjax.data.cards.fitting import check_card
from wamjax.data.sources.kinds import open_source
from wamjax.data.sources.rlds import RldsSource
from wamjax.data.sources.store import StoreSource

CARDS = pathlib.Path(__file__).resolve().parents[3] / "data" / "cards"
TABLETOP = CARDS / "tabletop.toml"


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No episode may be read."""

    def never(*_: Any) -> None:
        raise AssertionError("an episode was read")

    for source in (RldsSource, StoreSource):
        monkeypatch.setattr(source, "scan", never)
        monkeypatch.setattr(source, "episode", never)


def with_lines(tmp_path: pathlib.Path, before: str, line: str) -> pathlib.Path:
    text = TABLETOP.read_text()
    assert before in text
    path = tmp_path / "changed.toml"
    path.write_text(text.replace(before, f"{line}\n{before}"))
    return path


def refused(directory: pathlib.Path, card: pathlib.Path, out: pathlib.Path) -> str:
    """The sentence, the same from all that read data by a card."""
    given = config(directory, card=str(card), cameras=("primary",))
    with pytest.raises(UserError) as caught:
        read_episodes(given)
    sentence = str(caught.value)
    with pytest.raises(UserError, match=re.escape(sentence)):
        stream_statistics([given])
    with pytest.raises(UserError, match=re.escape(sentence)):
        make(directory, out / "never", card=str(card))
    assert "\n" not in sentence
    assert str(card) in sentence
    assert str(directory) in sentence
    return sentence


def test_the_card_of_another_data_set_is_told_by_its_columns(tabletop, tmp_path, unread) -> None:
    assert re.search(
        r"^steps/action_dict/cartesian_velocity is missing in .*features\.json, and has 6 numbers "
        r"a step in the card .*droid\.toml, which describes droid, droid_100 and not tabletop: "
        r"give the card of these data, or correct it\.$",
        refused(tabletop, CARDS / "droid.toml", tmp_path),
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('"is_last" = 3', r"has 1 numbers a step in .*, and has 3 numbers a step in the card"),
        ('"is_last" = "packed"', "has 1 numbers a step in .*, and is packed in the card"),
        ('"observation/image" = "text"', "is image in .*, and is text in the card"),
        ('"observation/image" = 3', "is image in .*, and has 3 numbers a step in the card"),
        ('"action_dict" = "text"', "is missing in .*, and is text in the card"),
    ],
)
def test_a_column_of_another_kind_or_width_is_told(tabletop, tmp_path, unread, line, said) -> None:
    card = with_lines(tmp_path, '"observation/state" = 7', line)
    sentence = refused(tabletop, card, tmp_path)
    assert re.match(f"steps/{line.split(chr(34))[1]} {said}", sentence)
    assert "describes" not in sentence


def test_another_version_is_told_of_a_store_too(tabletop, tmp_path, request) -> None:
    store = make(tabletop, tmp_path / "store")
    request.getfixturevalue("unread")
    card = with_lines(tmp_path, "robot =", 'version = "2.0.0"')
    for directory in (tabletop, store):
        sentence = refused(directory, card, tmp_path)
        assert f"{directory} is version 1.0.0, and the card {card} is of version 2.0.0" in sentence


def test_a_copy_by_another_name_is_read(tmp_path) -> None:
    copy = write_rlds(tmp_path, "mine", "3.1.4", episodes())
    table = read_episodes(config(copy, card=str(TABLETOP), cameras=("primary",)))
    assert len(table) == len(list(episodes()))


def test_the_version_of_a_format_is_none_of_the_data_s(shared_data, tmp_path) -> None:
    g1 = shared_data / "g1_inspire_lerobot_v21"
    text = (CARDS / "g1_inspire.toml").read_text().replace("robot =", 'version = "1.0.0"\nrobot =')
    card = tmp_path / "g1.toml"
    card.write_text(text)
    check_card(read_card(card), str(card), open_source(g1, "train"))
