"""`wamjax recipes`: the list, one in full, and what it refuses."""

import json
import pathlib

import pytest

from wamjax.cli import recipes_page
from wamjax.cli.main import main
from wamjax.recipes.registry import RECIPES


def test_the_list_has_every_recipe(capsys):
    assert main(["recipes", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(RECIPES)
    for row in rows:
        assert row["parameters"] > row["tiny_parameters"] > 0
        assert row["source"]
        assert row["deviations"]
        assert row["passes"] > 0


def test_one_in_full_draws_its_visibility(capsys):
    assert main(["recipes", "fast_wam", "--form", "idm"]) == 0
    out = capsys.readouterr().out
    assert "then write video/cond" in out
    assert "22 passes a chunk" in out
    rows = [line.split()[-1] for line in out.splitlines() if line.startswith("  action/noisy")]
    # text, proprio, first frame, noisy video (hidden), its second copy, the actions themselves
    assert rows == ["###.##"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["pi9"], "known recipes"),
        (["fast_wam", "--form", "x"], "forms of fast_wam"),
        (["ge_act", "--form", "x"], "forms of ge_act: none"),
        (["--form", "idm"], "needs the name"),
    ],
)
def test_what_does_not_exist_is_refused(words, sentence, capsys):
    assert main(["recipes", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_the_page_is_what_the_recipes_say():
    page = pathlib.Path(__file__).resolve().parents[2] / "docs" / "recipes.md"
    assert page.read_text(encoding="utf-8") == recipes_page.page(), (
        "run python -m wamjax.cli.recipes_page > docs/recipes.md"
    )
