"""Actions through a recipe and back: normalised, laid out as tokens or frames, read, raw again."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.test_learner import ROWS, batch, scene
from wamjax.data.normalising.normalise import fit
from wamjax.data.normalising.statistics import summarise
from wamjax.model.segments import Segment
from wamjax.recipes.answers import chunk_of, painted_answer
from wamjax.recipes.learner import Learner
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.recipes.registry import RECIPES

# A role or mode that is told the actions answers none.
FORMS = [
    (name, form)
    for name, recipe in RECIPES.items()
    for form in recipe.forms or ("",)
    if not recipe.forms or form == recipe.forms[0] or "action" in recipe.build("tiny", form).answers
    # What samples beside a chunk is not read off a window.
    if (name, form) != ("lingbot_va", "async")
]
WIDTH = 5
"""Of the robot's actions; the recipe has room for seven."""


def noisy_segments(learner: Learner) -> list[Segment]:
    """What is denoised."""
    return [s for p in learner.blueprint.program for s in p.segments if s.copy == "noisy"]


def laid_out(learner: Learner, there) -> jnp.ndarray:
    """What the network is asked for at the tokens of a chunk."""
    noisy = noisy_segments(learner)
    tokens = [learner.reader.actions(there, s)[0] for s in noisy if s.stream == "action"]
    # What is read in one pass, without noise, is held against the chunk as it is.
    return jnp.concatenate(tokens, axis=1) if tokens else there.actions


@pytest.mark.law("g")
@pytest.mark.parametrize(("name", "form"), FORMS)
def test_a_chunk_comes_back_and_what_is_masked_is_zero(name, form):
    config = RecipeConfig(recipe=name, form=form)
    learner = Learner(config)
    raw = np.random.default_rng(1).normal(2, 3, (ROWS, config.chunk, WIDTH)).astype(np.float32)
    statistics = summarise(lambda: [raw.reshape(-1, WIDTH)], WIDTH)
    normaliser = fit(statistics, "quantile", width=7)
    padded = np.pad(raw, ((0, 0), (0, 0), (0, 7 - WIDTH)), constant_values=np.nan)
    mask = np.broadcast_to(normaliser.mask, padded.shape)
    actions = np.where(mask, normaliser.apply(np.where(mask, padded, 0)), 0).astype(np.float32)
    data = dataclasses.replace(batch(config), actions=actions, action_mask=mask)
    there = scene(config, data)
    if learner.learning.painted:
        places = {round(s.start): learner.reader.change(there, s) for s in noisy_segments(learner)}
        chunk = painted_answer(learner.reader, there, places)["action"]
    else:
        chunk = chunk_of(learner.blueprint, laid_out(learner, there))
    back = np.asarray(normaliser.invert(np.asarray(chunk)))
    assert back.shape == padded.shape
    np.testing.assert_allclose(back[..., :WIDTH], raw, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(back[..., WIDTH:], 0)
