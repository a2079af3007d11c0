"""Every recipe has its published size, counted without making a weight."""

import dataclasses
import math

import jax
import pytest

from wamjax.recipes.network import parameters, shapes
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


def test_lingbot_vas_real_robot_has_the_published_chunk():
    """Three cameras of 224 x 320 in a row, four latent frames of 20 actions, 5 and 10 steps."""
    recipe = RECIPES["lingbot_va"]
    real, simulated = (recipe.build("full", form) for form in ("real_robot", "release"))
    video, action = real.program
    assert [s.count for s in video.segments] == [210] * 4
    assert [s.count for s in action.segments] == [20] * 4
    assert (video.steps, action.steps) == (5, 10)
    assert [s.count for s in simulated.program[0].segments] == [120] * 2
    assert shapes(real) == shapes(simulated)


def test_vla_jepas_language_model_has_qwens_count():
    """Qwen3-VL 2B stands on the layers of Qwen3 1.7B: 1.4 B without words (its card)."""
    tree = shapes(RECIPES["vla_jepa"].build("full"))
    layers = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree["stack_language"]))
    words = math.prod(tree["embed_text"]["table"].shape)
    last_norm = 2048
    assert layers == 1_409_408_000
    assert layers + words + last_norm == 1_720_574_976


def test_univlas_action_decoder_has_the_published_count():
    """About 12 M: two pooling layers of width 512 over hidden states of 4096."""
    tree = shapes(RECIPES["univla"].build("full"))
    names = ("stack_look", "stack_act", "head_action", "embed_action")
    parts = [tree[name] for name in names] + [tree[n] for n in tree if n.startswith("take_")]
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(parts))
    print(f"action decoder: {count / 1e6:.2f} M")
    assert 12e6 < count < 13e6
