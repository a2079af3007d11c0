"""Policies that know the probability of their draws: flow and Laplace, under one set of laws."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes import systems
from wamjax.core.runtime import once_jit
from wamjax.recipes.chance import FlowChance, LaplaceChance, chance
from wamjax.recipes.learner import Learner
from wamjax.recipes.recipe_config import RecipeConfig

KEY = jax.random.key(4)
KINDS = ("joint", "laplace")


@functools.cache
def made(kind):
    """A system, its weights, and what it sees in two worlds."""
    if kind != "laplace":
        system = systems.small(kind)
        params = systems.weights(system)
    else:
        system = Learner(RecipeConfig(recipe="ript_vla", image_size=16))
        params = nn.unbox(once_jit(system.init)(KEY))
    c = system.config
    rng = np.random.default_rng(0)
    seen = (
        jnp.asarray(rng.integers(0, 256, (2, c.views, 1, 16, 16, 3), dtype=np.uint8)),
        jnp.ones((2, c.views), bool),
        jnp.asarray(rng.normal(size=(2, c.proprio_dim)), jnp.float32),
        jnp.asarray(rng.integers(97, 120, (2, c.text_length)), jnp.uint8),
    )
    return system, params, seen


@functools.cache
def drawn(kind, strength=0.5):
    system, params, seen = made(kind)
    return once_jit(chance(system, strength).draw)(params, seen, KEY)


@pytest.mark.parametrize("kind", KINDS)
def test_log_p_is_what_it_was_when_drawn(kind):
    system, params, seen = made(kind)
    actions, states, old = drawn(kind)
    law = chance(system, 0.5)
    new = once_jit(law.log_probs)(params, seen, KEY, states)
    assert old.shape == (2, *law.counts(1).shape)
    np.testing.assert_array_equal(states[:, -1], actions)
    np.testing.assert_allclose(new, old, atol=1e-3)
    assert np.abs(np.exp(new - old) - 1).max() < 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_almost_without_noise_it_is_the_policy_that_is_evaluated(kind):
    system, params, seen = made(kind)
    actions, _, _ = drawn(kind, 1e-5)
    sampled = once_jit(system.sample_actions)(params, *seen, KEY)
    np.testing.assert_allclose(actions, sampled, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_up_the_gradient_makes_the_draw_likelier(kind):
    system, params, seen = made(kind)
    _, states, _ = drawn(kind)
    law = chance(system, 0.5)

    @once_jit
    def slope(params):
        return jax.value_and_grad(lambda p: law.log_probs(p, seen, KEY, states).mean())(params)

    before, gradient = slope(params)
    size = sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(gradient))
    assert size > 0
    # So far that it should gain a hundredth, by the slope.
    step = 1e-2 / size
    after, _ = slope(jax.tree.map(lambda p, g: p + step * g, params, gradient))
    assert 0.5e-2 < after - before < 2e-2


def test_what_nobody_executes_does_not_count():
    flow = FlowChance(systems.small(), 0.5).counts(1)
    # The walk's earlier steps reach the executed action through the network.
    np.testing.assert_array_equal(flow, [[True] * 4, [True, False, False, False]])
    laplace = LaplaceChance(Learner(RecipeConfig(recipe="ript_vla")), 0.5).counts(3)
    assert laplace.shape[0] == 1
    np.testing.assert_array_equal(laplace[0], np.arange(laplace.shape[1]) < 3)


def test_actions_without_a_video_have_one_too():
    system, params, seen = made("direct")
    law = chance(system, 0.5)
    _, states, old = drawn("direct")
    np.testing.assert_allclose(once_jit(law.log_probs)(params, seen, KEY, states), old, atol=1e-3)


def test_systems_without_a_log_probability_are_named():
    with pytest.raises(ValueError, match="two phases"):
        chance(systems.small("two_stage"), 0.5)
    with pytest.raises(ValueError, match="fast_wam has no log-probability"):
        chance(Learner(RecipeConfig(recipe="fast_wam")), 0.5)
