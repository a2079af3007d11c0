"""A model card's front matter: the licence of what went into a run."""

import pytest

from wamjax.pretrained.licences import LICENCES
from wamjax.train.card import HUB_NAMES, front_matter, inherited, model_card

TOLD = {"training": {"fingerprint": {"config": "c"}, "seconds": 1.0, "flops": 2.0, "versions": {}}}


def config(codec: str, text: str) -> dict:
    system = {"training": "joint", "codec": {"kind": codec}, "text": {"kind": text}}
    return {"name": "a", "system": system, "train": {"batch": 8}}


@pytest.mark.parametrize(
    ("codec", "text", "of"),
    [
        ("patch", "bytes", []),
        ("wan22", "bytes", ["codec (wan22)"]),
        ("wan21", "minilm", ["codec (wan21)", "text (minilm)"]),
    ],
)
def test_pretrained_parts_bring_their_licence(codec: str, text: str, of: list[str]):
    settings = config(codec, text)
    found = inherited(settings)
    assert [*found] == of
    assert front_matter(settings, found)["license"] == ("apache-2.0" if of else "unknown")
    card = model_card(
        config=settings,
        statistics={"members": {"one": {}, "two": {}}},
        final=None,
        start=None,
        whose={"run": "a", "step": 7, "weights_sha256": "0"},
        parameters=1234,
        **TOLD,
    )
    for name in of:
        assert f"| {name} | Apache-2.0, https://" in card
    assert ("there is no licence to inherit" in card) == (not of)
    assert "The run was not finished." in card
    assert "| parameters | 1,234 |" in card
    assert "### one" in card
    assert "### two" in card


def test_several_licences_and_those_without_a_name_at_hubs_are_told_with_their_page():
    wan, ltx = LICENCES["wan"], LICENCES["ltx"]
    told = front_matter({"name": "a"}, {"codec": ltx})
    assert (told["license"], told["license_name"]) == ("other", ltx.name)
    assert told["license_link"] == ltx.page
    told = front_matter({"name": "a"}, {"codec": ltx, "model": wan})
    assert told["license_name"] == "Apache-2.0 and LTX-Video Open Weights License"


def test_the_names_of_hubs_are_those_of_our_licences():
    assert {*HUB_NAMES} <= {licence.name for licence in LICENCES.values()}
