"""The mixtures of the workshop: known sizes, a card for each data set, and how they are refused."""

import fractions
import pathlib

import pytest

from wamjax.core.errors import UserError
from wamjax.data import DataConfig, read_card
from wamjax.data.windows.members import members_of, read_mixtures

DATA = pathlib.Path(__file__).resolve().parents[3] / "data"
MIXTURES = read_mixtures(DATA / "mixtures.toml")


@pytest.mark.parametrize("name", MIXTURES)
def test_every_data_set_of_a_mixture_has_a_card(name):
    for member in MIXTURES[name]["weights"]:
        card = read_card(DATA / "cards" / f"{member}.toml")
        assert card.describes(member)
    assert MIXTURES[name]["source"]


def test_the_published_mixtures():
    soup, plus = (MIXTURES[f"oxe_magic_soup{name}"]["weights"] for name in ("", "_plus"))
    assert (len(soup), len(plus)) == (25, 27)
    assert soup["fractal20220817_data"] == fractions.Fraction(5409, 10000)
    assert {*plus} - {*soup} == {"bridge_orig", "fmb_dataset", "dobbe", "droid"}
    assert {*soup} - {*plus} == {"bridge_dataset", "nyu_door_opening_surprising_effectiveness"}
    assert {*plus} - {*MIXTURES["oxe_magic_soup_plus_minus"]["weights"]} == {"droid"}


def test_directories_are_found_by_name_suffix_and_version(tmp_path):
    name = "stanford_hydra_dataset"
    for version in ("0.1.0", "0.9.0", "0.10.0"):
        where = tmp_path / f"{name}_converted_externally_to_rlds" / version
        where.mkdir(parents=True)
        (where / "dataset_info.json").write_text("{}")
    (tmp_path / "m.toml").write_text(f"[x]\nweights = {{ {name} = 1 }}\n")
    config = DataConfig(
        mixture="x",
        mixtures=str(tmp_path / "m.toml"),
        root=str(tmp_path),
        cards=str(DATA / "cards"),
        cameras=("wrist", "primary", "secondary"),
    )
    (member,) = members_of(config)
    assert member.config.dir == str(where)
    # The wrist camera stands first among those asked for, the second is not there.
    assert member.config.cameras == ("wrist", "primary")
    assert member.views == (0, 1)


def test_the_version_that_a_card_asks_for_must_be_there(tmp_path):
    where = tmp_path / "bc_z" / "1.0.0"
    where.mkdir(parents=True)
    (where / "dataset_info.json").write_text("{}")
    (tmp_path / "m.toml").write_text("[x]\nweights = { bc_z = 1 }\n")
    config = DataConfig(
        mixture="x",
        mixtures=str(tmp_path / "m.toml"),
        root=str(tmp_path),
        cards=str(DATA / "cards"),
        cameras=("primary",),
    )
    with pytest.raises(UserError, match=r"bc_z has no version 0\.1\.0, which its card asks for"):
        members_of(config)
