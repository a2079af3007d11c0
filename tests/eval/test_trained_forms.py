"""A trained run is opened in the forms of its recipe that are trained alike."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from tests.recipes.test_learner import batch, weights
from wamjax.cli.sample import predictor
from wamjax.core.errors import UserError
from wamjax.data.config import DataConfig
from wamjax.eval.trained_run import TrainedRun
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.train.config import TrainConfig
from wamjax.train.run_config import RunConfig

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def opened(name: str) -> TrainedRun:
    system = RecipeConfig(recipe=name, solver_steps=1)
    data = DataConfig(
        dir="none",
        cameras=("image", "wrist_image"),
        image_size=system.image_size,
        history=system.history,
        future=system.future,
        frame_stride=system.frame_stride,
        chunk=system.chunk,
        value_discount=system.value_discount,
        text_length=system.text_length,
    )
    config = RunConfig(name=name, system=system, data=data, train=TrainConfig(steps=1))
    nothing: Any = None
    return TrainedRun(
        config=config,
        statistics=nothing,
        weights=weights(RecipeConfig(recipe=name)),
        step=1,
        final=None,
    )


def test_inverse_dynamics_is_shown_the_true_future():
    run = opened("motus").in_form("inverse_dynamics")
    data = batch(RecipeConfig(recipe="motus"))
    predict = predictor(run, draws=1)
    actions, frames = predict(data, jax.random.key(0))
    assert actions.shape == (2, 8, 7)
    assert frames is None
    future = data.frames.copy()
    future[:, :, 1:] = 255 - future[:, :, 1:]
    other, _ = predict(dataclasses.replace(data, frames=future), jax.random.key(0))
    assert (np.abs(other - actions).max((1, 2)) > 1e-5).all()


def test_a_run_acts_by_the_best_of_its_chunks():
    run = opened("cosmos_policy")
    chosen = run.choosing(2)
    assert chosen.choosing(None) is chosen
    assert chosen.choosing(1).config == run.config
    assert chosen.in_form("policy").config.system.candidates == 2
    assert chosen.in_form("value").config.system.candidates == 1
    with pytest.raises(UserError, match=r"--candidates 2: .* in form 'policy' alone"):
        run.in_form("value").choosing(2)
    with pytest.raises(UserError, match="--candidates 3: motus has no values to choose among 3"):
        opened("motus").choosing(3)


def test_a_form_that_cannot_do_what_is_asked_says_so():
    run = opened("motus")
    with pytest.raises(UserError, match="motus/video predicts no actions to measure"):
        predictor(run.in_form("video"), draws=1)
    for form in ("world_model", "inverse_dynamics"):
        with pytest.raises(UserError, match="does not act on an observation alone"):
            run.in_form(form).policy(("front", "wrist"))
    with pytest.raises(UserError, match="form 'sideways' does not exist"):
        run.in_form("sideways")
    with pytest.raises(UserError, match="is not trained as"):
        opened("fast_wam").in_form("idm")
