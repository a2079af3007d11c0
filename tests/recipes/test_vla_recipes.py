"""The policies without video: published rules, caches, leaks and gradients."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from tests.recipes.conformance import (
    check_cache,
    check_gradients,
    check_leaks,
    check_own_visibility,
    check_visibility,
    denoise,
    filled,
    tiny,
    weights,
)
from wamjax.flow import laplace_log_prob
from wamjax.flow.laws import quantile
from wamjax.flow.losses import laplace_law
from wamjax.model.segments import Segment
from wamjax.recipes.network import network, parameters

pytestmark = pytest.mark.usefixtures("quick_to_compile")

NAMES = ["pi0", "pi05", "openvla_oft", "ript_vla", "univla", "x_vla", "octo"]
FORMS = [*((name, None) for name in NAMES), ("openvla_oft", "film")]


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


def univla(q: Segment, k: Segment, same: bool) -> bool:
    """In the language model, on whose line every token but the chunk's has its place."""
    if "action" in (q.stream, k.stream):
        return same
    return k.start <= q.start


def univla_pooling(stream: str):
    def rule(q: Segment, k: Segment, same: bool) -> bool:
        if q.stream == "action":
            return same or k.stream == stream
        return same and q.stream == stream

    return rule


RULES = {
    "univla": univla,
    "pi0": pi,
    "pi05": pi,
    "openvla_oft": everything,
    "ript_vla": everything,
    "x_vla": x_vla,
    "octo": octo,
}


@pytest.mark.law("a")
@pytest.mark.parametrize(("name", "form"), FORMS)
def test_visibility_is_the_published_rule(name, form):
    blueprint = tiny(name, form)
    check_visibility(blueprint, blueprint.training, RULES[name])


@pytest.mark.law("b")
@pytest.mark.parametrize(("name", "form"), FORMS)
def test_what_is_hidden_changes_nothing(name, form):
    check_leaks(name, form)


@pytest.mark.law("c")
@pytest.mark.parametrize(("name", "form"), FORMS)
def test_a_cache_changes_nothing(name, form):
    check_cache(name, form)


@pytest.mark.law("h")
@pytest.mark.parametrize(("name", "form"), FORMS)
def test_every_input_and_every_weight_matters(name, form):
    check_gradients(name, form)


def test_what_is_seen_is_scaled_and_shifted_by_what_is_told():
    """OpenVLA-OFT+. Without its weights it is the plain form, to the bit, and they alone differ."""
    plain, film = tiny("openvla_oft"), tiny("openvla_oft", "film")
    params, layout = weights("openvla_oft", "film"), film.training
    tokens, sigma = filled(film, layout)

    def read(params, tokens):
        return denoise(film)(params, layout, tokens, sigma)["action"]

    @jax.jit
    def made(key):
        fresh = network(film).init(key, layout, tokens, sigma, method="denoise")
        return nn.unbox(fresh["params"])["film_feature"]

    start = made(jax.random.key(0))
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(start))
    rest = {name: leaf for name, leaf in params.items() if name != "film_feature"}
    assert parameters(film) - parameters(plain) == sum(x.size for x in jax.tree.leaves(start))
    old = denoise(plain)(rest, layout, tokens, sigma)["action"]
    np.testing.assert_allclose(read({**rest, "film_feature": start}, tokens), old, atol=1e-6)
    assert jnp.abs(read(params, tokens) - old).max() > 1e-3

    # Written out: features moved by hand in the plain form's place give the same.
    words = next(i for i, s in enumerate(layout.segments) if s.stream == "word")
    starts = layout.starts()
    silent = tokens.real.at[0, starts[words] + 3 : starts[words + 1]].set(False)
    tokens = dataclasses.replace(tokens, real=silent)
    table = params["embed_word"]["table"]
    told = table[tokens.values[words][..., 0].astype(int)]
    mean = jnp.stack([told[0, :3].mean(0), told[1].mean(0)])
    weight = params["film_feature"]["modulation"]
    scale, shift = jnp.moveaxis(jnp.einsum("BE,EkD->BkD", mean, weight["kernel"]), 1, 0)
    scale, shift = scale + weight["bias"][0], shift + weight["bias"][1]
    out = params["embed_feature"]["out"]
    answers = []
    for row in range(2):
        moved = {
            "kernel": out["kernel"] * (1 + scale[row]),
            "bias": out["bias"] * (1 + scale[row]) + shift[row],
        }
        own = {**rest, "embed_feature": rest["embed_feature"] | {"out": moved}}
        answers.append(read({**own, "film_feature": start}, tokens)[row])
    np.testing.assert_allclose(read(params, tokens), jnp.stack(answers), atol=1e-5)


@pytest.mark.parametrize("name", ["pi0", "pi05"])
def test_pis_levels_are_beta_of_one_and_a_half(name):
    """openpi: 0.999 Beta(1.5, 1) + 0.001, whose quantile is 0.999 u^(2/3) + 0.001."""
    u = np.linspace(0.01, 0.99, 50)
    law = tiny(name).learning.levels.action
    drawn = quantile(law, jnp.asarray(u, jnp.float32))
    np.testing.assert_allclose(drawn, 0.999 * u ** (2 / 3) + 0.001, atol=1e-5)
    np.testing.assert_allclose(drawn, 0.999 * stats.beta.ppf(u, 1.5, 1.0) + 0.001, atol=1e-5)


def test_ript_vla_is_openvla_oft_with_a_second_head_of_its_own():
    """Without that head's weights the rest is the parent's, to the bit."""
    parent, own = tiny("openvla_oft"), tiny("ript_vla")
    params, layout = weights("ript_vla"), own.training
    inherited = {name: leaf for name, leaf in params.items() if name != "head_action_1"}
    tokens, sigma = filled(own, layout)
    read = denoise(own)(params, layout, tokens, sigma)
    old = denoise(parent)(inherited, layout, tokens, sigma)
    mean, log_scale = laplace_law(read["action"])
    np.testing.assert_array_equal(mean, old["action"])
    assert mean.shape == log_scale.shape == (2, own.shape.chunk, own.shape.action)
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


@pytest.mark.law("a", "univla")
@pytest.mark.parametrize(("stack", "stream"), [("look", "feature"), ("act", "word")])
def test_univlas_decoder_pools_one_kind_at_a_time(stack, stream):
    check_own_visibility(tiny("univla"), stack, univla_pooling(stream))


@pytest.mark.law("b", "univla")
def test_univlas_words_are_predicted_from_those_before_and_all_reach_the_actions():
    """So one pass for each word is exact: the words to come may be anything meanwhile."""
    blueprint, params = tiny("univla"), weights("univla")
    layout = blueprint.training
    tokens, sigma = filled(blueprint, layout)
    place = next(i for i, s in enumerate(layout.segments) if s.stream == "word")

    def read(values):
        given = dataclasses.replace(tokens, values=values)
        return denoise(blueprint)(params, layout, given, sigma)

    before = read(tokens.values)
    assert before["word"].shape == (2, 3, 5)
    assert before["action"].shape == (2, 1, 56)
    for word in range(3):
        values = list(tokens.values)
        values[place] = values[place].at[:, word].set((values[place][:, word] + 1) % 6)
        after = read(tuple(values))
        moved = np.any(np.asarray(before["word"] != after["word"]), axis=(0, 2))
        np.testing.assert_array_equal(moved, np.arange(3) >= word)
        assert jnp.abs(before["action"] - after["action"]).max() > 1e-4


def test_without_actions_wanted_univlas_decoder_does_not_run():
    blueprint, params = tiny("univla"), weights("univla")
    tokens, sigma = filled(blueprint, blueprint.training)
    names = ("stack_look", "stack_act")
    broken = params | {name: jax.tree.map(lambda x: x * jnp.nan, params[name]) for name in names}
    out = denoise(blueprint)(broken, blueprint.training, tokens, sigma, ("word",))
    assert set(out) == {"word"}
    assert np.all(np.isfinite(out["word"]))
