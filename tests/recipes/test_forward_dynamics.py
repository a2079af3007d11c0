"""LingBot-VA, paper: half of the examples learn the video given the actions that lead to it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.test_learner import ROWS, batch, weights
from wamjax.core.keys import named_keys
from wamjax.eval.chunk_cost import passes
from wamjax.eval.chunk_time import inputs
from wamjax.model.layout import Layout
from wamjax.recipes.blueprint import Role
from wamjax.recipes.forms import Known, conditions
from wamjax.recipes.learner import Learner
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.recipes.registry import RECIPES

pytestmark = pytest.mark.usefixtures("quick_to_compile")

PAPER = RecipeConfig(recipe="lingbot_va", form="paper", delay=0)


def changed(**change) -> Learner:
    """The paper form with other values in its blueprint."""
    config = dataclasses.replace(PAPER)
    config.__dict__["blueprint"] = dataclasses.replace(config.blueprint, **change)
    return Learner(config)


def drawn(key, rows: int) -> np.ndarray:
    """Which of the examples are told the executed actions: those of all frames, or none."""
    told = np.asarray(Learner(PAPER).scoring.told(key, rows))
    assert (told == told[:, :1]).all()
    return told[:, 0]


def key_of(roles: list[int]):
    """A key with which the examples draw these roles."""
    for seed in range(100):
        key = jax.random.key(seed)
        if drawn(named_keys(key, "role")["role"], ROWS).tolist() == roles:
            return key
    raise AssertionError(f"no key draws {roles}")


def test_the_future_is_learned_given_the_actions_in_the_examples_that_draw_it():
    learner, data, params = Learner(PAPER), batch(PAPER), weights(PAPER)

    @jax.jit
    def slopes(actions, key):
        def video(actions):
            return learner.loss(params, data.replace(actions=actions), key, "all")[1]["loss/video"]

        return jax.grad(video)(actions)

    for roles in ([0, 1], [1, 0], [0, 0]):
        found = np.asarray(slopes(jnp.asarray(data.actions), key_of(roles)))
        # Every action of the chunk leads to the video that is learned.
        np.testing.assert_array_equal(
            np.abs(found).max(2) > 0, np.array(roles)[:, None] == [[1] * 8]
        )


def test_both_roles_are_drawn_as_often():
    assert 0.45 < drawn(jax.random.key(3), 2000).mean() < 0.55


@pytest.mark.slow
def test_without_the_executed_actions_it_is_the_loss_of_video_and_inverse_dynamics():
    """Sequences that have no place for them give the same; with them the actions' loss stays."""
    data, params, key = batch(PAPER), weights(PAPER), jax.random.key(1)
    learning, layout = PAPER.learning, PAPER.blueprint.training

    def with_shares(*shares: float) -> Learner:
        roles = zip(shares, learning.roles, strict=True)
        told = tuple(Role(share=share, given=role.given) for share, role in roles)
        return changed(learning=dataclasses.replace(learning, roles=told))

    bare = Layout(
        tuple(s for s in layout.segments if s.copy != "cond"),
        tuple(row for row in layout.table if "action/cond" not in row),
        layout.window,
    )
    learners = (
        changed(training=bare, learning=dataclasses.replace(learning, roles=())),
        with_shares(1.0, 0.0),
        with_shares(0.0, 1.0),
    )
    without, dynamics, forward = jax.jit(
        lambda: tuple(learner.loss(params, data, key, "all")[1] for learner in learners)
    )()
    for name, value in without.items():
        np.testing.assert_allclose(dynamics[name], value, rtol=1e-5)
    np.testing.assert_allclose(forward["loss/action"], without["loss/action"], rtol=1e-5)
    assert abs(forward["loss/video"] - without["loss/video"]) > 1e-4 * without["loss/video"]


@pytest.mark.slow
def test_the_world_model_shows_what_known_actions_lead_to():
    trained = Learner(dataclasses.replace(PAPER, solver_steps=1))
    model, data = trained.in_form("world_model"), batch(PAPER)
    seen = (data.frames[:, :, : PAPER.history], data.camera_mask, data.proprio, data.text)
    frames, cameras, state, text = map(jnp.asarray, seen)
    params, key = weights(PAPER), jax.random.key(0)

    @jax.jit
    def show(actions):
        known = Known(actions=actions)
        out = model.sample(params, frames, cameras, state, text, key, video=True, known=known)
        return out["frames"]

    one, other = (np.asarray(show(x * jnp.asarray(data.actions)), np.int32) for x in (1.0, -1.0))
    assert one.shape == (ROWS, 1, PAPER.future, 48, 48, 3)
    assert np.abs(one - other).max((1, 2, 3, 4, 5)).min() > 0


def test_the_world_model_is_told_actions_and_shows_frames():
    model = Learner(PAPER).in_form("world_model")
    assert (model.predicts, conditions(model.blueprint)) == (("frames",), ("actions",))


def test_what_runs_beside_a_chunk_is_walked_and_not_trained():
    with pytest.raises(ValueError, match="behind the one under way: train another form"):
        RecipeConfig(recipe="lingbot_va", form="async")
    blueprint = RECIPES["lingbot_va"].build("tiny", "async")
    assert sum(one.count for one in passes(blueprint)) == blueprint.passes == 155
    standing, _ = inputs(blueprint, ROWS)
    # The actions under way are shown, and written once they are executed.
    under_way = {(s.kind, s.block) for s in standing if s.stream == "action" and s.block > 1}
    assert under_way == {("action/cond", 2), ("action/clean", 3)}
