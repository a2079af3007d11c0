"""Every recipe has its published size, counted without making a weight."""

import dataclasses

import pytest

from wamjax.recipes.network import parameters
from wamjax.recipes.registry import RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_the_full_size_has_the_published_count(name):
    recipe = RECIPES[name]
    count = parameters(recipe.build("full"))
    print(f"{name}: {count / 1e9:.3f} B, published {recipe.published}")
    assert recipe.agrees(count)
    assert parameters(recipe.build("tiny")) < 2_000_000


def test_lingbot_vas_paper_form_has_the_papers_count():
    recipe = dataclasses.replace(RECIPES["lingbot_va"], published="5.3 B")
    assert recipe.agrees(parameters(recipe.build("full", "paper")))
    assert not recipe.agrees(parameters(recipe.build("full", "release")))
