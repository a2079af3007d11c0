"""`wamjax recipes`: the list, one in full, and what it refuses."""

import json
import pathlib

import pytest

from wamjax.cli import recipes_page
from wamjax.cli.main import main
from wamjax.cli.recipes import NO_WEIGHTS, line, state
from wamjax.core.tree import leaves_by_path
from wamjax.pretrained.families import FAMILIES
from wamjax.recipes.chance import chance
from wamjax.recipes.learner import Learner
from wamjax.recipes.network import parameters
from wamjax.recipes.recipe_config import RecipeConfig
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


def test_a_plan_says_what_it_takes(capsys):
    assert main(["recipes", "cosmos_policy"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "3 futures of each, 5 values of each future: 32 passes, of up to 24 sequences" in said


@pytest.mark.parametrize("columns", [80, 120])
def test_the_list_fits_its_terminal(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    text = " ".join(" ".join(lines).split())
    for recipe in RECIPES.values():
        assert recipe.objective in text
        assert recipe.source in text
    assert text.count("state: trains tiny") == len(RECIPES)


def test_the_state_is_what_is_so():
    """Each word of it is held to what the code does, so that it cannot outlive it."""
    told = {name: set(state(recipe)) for name, recipe in RECIPES.items()}
    for name in RECIPES:
        learner = Learner(RecipeConfig(recipe=name))
        if "is rewarded in rollouts" in told[name]:
            chance(learner, 1.0)
        else:
            with pytest.raises(ValueError, match="no log-probability"):
                chance(learner, 1.0)
        if "plans" in told[name]:
            assert RecipeConfig(recipe=name, candidates=2).candidates == 2
        else:
            with pytest.raises(ValueError, match="has no values to choose among 2 candidates"):
                RecipeConfig(recipe=name, candidates=2)
        denoised = {s.kind for s in learner.blueprint.training.segments}
        assert ("shows video" in told[name]) == ("video/noisy" in denoised)

    # A family says whose whole tree it fills, and that it is the tree of the recipe at full size.
    policies = [family for family in FAMILIES.values() if family.recipe]
    filled = {family.recipe for family in policies}
    wams = {"cosmos_policy", "lingbot_va", "fast_wam", "dreamzero", "motus", "ge_act"}
    assert filled == {"pi0", "pi05"} | wams
    for name, words in told.items():
        assert (NO_WEIGHTS in words) == (name not in filled)
    for family in policies:
        recipe = RECIPES[family.recipe]
        of_form = f" in form {family.form}" if family.form else ""
        assert f"reads weights of {family.name}{of_form}" in told[family.recipe]
        assert f"reads weights of {family.name}" in state(recipe, family.form or None)
        blueprint = recipe.build("full", family.form) if family.form else recipe.build("full")
        target = leaves_by_path(family.target())
        assert sum(leaf.size for leaf in target.values()) == parameters(blueprint)
    assert NO_WEIGHTS in state(RECIPES["fast_wam"], "joint")


@pytest.mark.parametrize(
    ("name", "walk"),
    [
        ("cosmos_policy", "video 0.988 -> 0.8, then 0: 5 steps"),
        ("octo", "action 0.998 -> 0.0824, then 0: 20 steps"),
        ("fast_wam", "action 1 -> 0: 10 steps"),
    ],
)
def test_a_line_tells_of_the_grid_that_is_walked(name, walk):
    blueprint = RECIPES[name].build("full")
    assert line(blueprint, blueprint.program[-1]) == walk


def test_what_runs_beside_a_chunk_tells_of_its_imagination(capsys):
    """The phase that is told the actions under way comes first, and its passes are counted."""
    assert main(["recipes", "lingbot_va", "--form", "async"]) == 0
    said = capsys.readouterr().out
    first = said[said.index("samples    prefill") :].splitlines()[1]
    assert first.strip().startswith("given action/cond, video 1 -> 0: 25 steps")
    assert "155 passes a chunk" in said
    assert "samples while a chunk is executed" in said
    assert "coupling   trunk; of the usual form" in said


def test_what_is_outside_is_told_with_the_published_count(capsys):
    assert main(["recipes", "octo"]) == 0
    out = capsys.readouterr().out
    assert "outside    2,116,096: a convolutional stem for each camera" in out
    assert "published  93 M" in out
    assert "here 92.8 M with what is outside" in out


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
        (["vla_jepa", "--form", "x"], "forms of vla_jepa: none"),
        (["--form", "idm"], "needs the name"),
    ],
)
def test_what_does_not_exist_is_refused(words, sentence, capsys):
    assert main(["recipes", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_the_pages_are_what_the_recipes_say():
    docs = pathlib.Path(__file__).resolve().parents[2] / "docs"
    pages = recipes_page.pages()
    there = {f"recipes/{path.name}" for path in (docs / "recipes").iterdir()}
    assert {*pages} == {"recipes.md"} | there
    for path, text in pages.items():
        assert (docs / path).read_text(encoding="utf-8") == text, (
            "run python -m wamjax.cli.recipes_page docs"
        )
    sections = [
        line[3:] for text in pages.values() for line in text.splitlines() if line[:3] == "## "
    ]
    assert sorted(sections) == sorted(RECIPES)
