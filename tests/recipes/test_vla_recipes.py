"""The policies without video: published rules, caches, leaks and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.conformance import (
    check_cache,
    check_gradients,
    check_leaks,
    check_visibility,
    filled,
    tiny,
    weights,
)
from wamjax.flow import laplace_log_prob
from wamjax.flow.losses import laplace_law
from wamjax.model.segments import Segment
from wamjax.recipes.network import network, parameters

NAMES = ["pi0", "pi05", "openvla_oft", "ript_vla", "x_vla", "octo"]


def pi(q: Segment, k: Segment, same: bool) -> bool:
    del same
    order = {"image": 0, "word": 0, "proprio": 1, "action": 2}
    return order[k.stream] <= order[q.stream]


def everything(q: Segment, k: Segment, same: bool) -> bool:
    del q, k, same
    return True


def x_vla(q: Segment, k: Segment, same: bool) -> bool:
    del q, k, same
    # The table serves both stacks; only its reader half exists in the reader.
    return True


def octo(q: Segment, k: Segment, same: bool) -> bool:
    if "action" in (q.stream, k.stream):
        return same
    if k.stream == "register":
        return same
    if q.stream == "text" or k.stream == "text":
        return k.stream == "text"
    return k.block <= q.block


RULES = {
    "pi0": pi,
    "pi05": pi,
    "openvla_oft": everything,
    "ript_vla": everything,
    "x_vla": x_vla,
    "octo": octo,
}


@pytest.mark.parametrize("name", NAMES)
def test_visibility_is_the_published_rule(name):
    blueprint = tiny(name)
    check_visibility(blueprint, blueprint.training, RULES[name])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_hidden_changes_nothing(name):
    check_leaks(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_cache_changes_nothing(name):
    check_cache(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_input_and_every_weight_matters(name):
    check_gradients(name)


def test_ript_vla_is_openvla_oft_with_a_second_head_of_its_own():
    """Without that head's weights the rest is the parent's, to the bit."""
    parent, own = tiny("openvla_oft"), tiny("ript_vla")
    params, layout = weights("ript_vla"), own.training
    inherited = {name: leaf for name, leaf in params.items() if name != "head_action_1"}
    tokens, sigma = filled(own, layout)
    read = network(own).apply({"params": params}, layout, tokens, sigma, method="denoise")
    old = network(parent).apply({"params": inherited}, layout, tokens, sigma, method="denoise")
    mean, log_scale = laplace_law(read["action"])
    np.testing.assert_array_equal(mean, old["action"])
    assert mean.shape == log_scale.shape == (2, 4, 3)
    assert log_scale.min() >= -2
    assert log_scale.max() <= 0.5
    count = sum(leaf.size for leaf in jax.tree.leaves(params["head_action_1"]))
    assert parameters(own) - parameters(parent) == count


def test_the_likelihood_of_an_action_reaches_both_heads():
    blueprint, params = tiny("ript_vla"), weights("ript_vla")
    tokens, sigma = filled(blueprint, blueprint.training)

    @jax.jit
    @jax.grad
    def slope(params):
        model, layout = network(blueprint), blueprint.training
        read = model.apply({"params": params}, layout, tokens, sigma, method="denoise")
        mean, log_scale = laplace_law(0.1 * read["action"])
        return laplace_log_prob(jnp.zeros_like(mean), mean, log_scale).sum()

    found = slope(params)
    for head in ("head_action", "head_action_1"):
        for leaf in jax.tree.leaves(found[head]):
            assert jnp.abs(leaf).max() > 0
