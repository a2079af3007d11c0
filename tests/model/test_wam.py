"""Hidden tokens change nothing; cached equals uncached; every input matters."""

import dataclasses
import functools
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.model.sequences import FEATURES, LAYOUT, SEGMENTS, TABLE, toy
from tests.weights import drawn_weights
from wamjax.model.cache import blank_cache, older
from wamjax.model.couplings import Coupling
from wamjax.model.layout import Layout
from wamjax.model.tokens import Tokens, latents_from_tokens, tokens_from_latents
from wamjax.model.visibility import is_prefix, visibility_mask
from wamjax.model.wam import Wam

pytestmark = pytest.mark.usefixtures("quick_to_compile")

COUPLINGS = get_args(Coupling)


@functools.cache
def built(coupling):
    model, params, tokens, sigma = toy(coupling)
    run = jax.jit(
        lambda params, tokens, sigma: model.apply(params, LAYOUT, tokens, sigma, method="denoise")
    )
    return model, params, tokens, sigma, run


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_what_a_token_does_not_see_leaves_it_bit_equal(coupling):
    _, params, tokens, sigma, run = built(coupling)
    before = run(params, tokens, sigma)
    mask = visibility_mask(SEGMENTS, TABLE)
    starts = np.cumsum([0, *(s.count for s in SEGMENTS)])
    place = next(i for i, s in enumerate(SEGMENTS) if s.kind == "action/noisy")
    values = list(tokens.values)
    values[place] = values[place] + 1.0
    after = run(params, Tokens(tuple(values), tokens.real), sigma)
    assert not mask[starts[4] : starts[5], starts[5] : starts[6]].any()
    np.testing.assert_array_equal(before["video"], after["video"])
    assert jnp.abs(before["action"] - after["action"]).max() > 1e-3


def test_padding_leaves_the_rest_bit_equal():
    _, params, tokens, sigma, run = built("mot")
    values = list(tokens.values)
    values[0] = values[0].at[1, 2].add(5.0)
    after = run(params, Tokens(tuple(values), tokens.real), sigma)
    before = run(params, tokens, sigma)
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


def test_padding_takes_no_room_where_positions_count_tokens():
    """A sequence with padding in its middle, behind a cache, is the shorter one without."""
    model, params, tokens, sigma = toy("mot")
    ports = tuple(dataclasses.replace(p, positions="count") for p in model.config.ports)
    config = dataclasses.replace(model.config, ports=ports)
    counting = Wam(config, LAYOUT, model.features)
    real = jnp.ones_like(tokens.real).at[:, 2].set(False)
    short = (dataclasses.replace(SEGMENTS[0], frames=2), *SEGMENTS[1:])
    values = (tokens.values[0][:, :2], *tokens.values[1:])
    context = LAYOUT.context_count()
    seen = int(LAYOUT.starts()[context])

    @jax.jit
    def both(params):
        given = Tokens(tokens.values[:context], real[:, :seen])
        cache = counting.apply(params, LAYOUT.first(context), given, method="prefill")
        noisy = Tokens(tokens.values[context:], real[:, seen:])
        padded = counting.apply(params, LAYOUT, noisy, sigma, cache, method="denoise")
        whole = Tokens(values, jnp.delete(real, 2, axis=1))
        layout = Layout(short, TABLE)
        return padded, counting.apply(params, layout, whole, sigma, method="denoise")

    padded, whole = both(params)
    for stream in ("video", "action"):
        np.testing.assert_allclose(padded[stream], whole[stream], atol=2e-5)
    with pytest.raises(ValueError, match="positions that count tokens do not move"):
        older(config, blank_cache(2), 1.0, 1)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_a_token_s_level_is_its_own(coupling):
    """Equal levels for all tokens are one level for the segment; another one moves its token."""
    _, params, tokens, sigma, run = built(coupling)
    count = next(s.count for s in SEGMENTS if s.kind == "action/noisy")
    each = jnp.tile(sigma["action"][:, None], (1, count))
    one, many = run(params, tokens, sigma), run(params, tokens, sigma | {"action": each})
    for name in one:
        np.testing.assert_allclose(one[name], many[name], rtol=0, atol=1e-5)
    clean = run(params, tokens, sigma | {"action": each.at[:, 0].set(0.0)})
    change = jnp.abs(clean["action"] - many["action"]).max((0, 2))
    assert change[0] > 1e-3
    np.testing.assert_array_equal(clean["video"], many["video"])


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_cached_equals_uncached(coupling):
    model, params, tokens, sigma, run = built(coupling)
    count = LAYOUT.context_count()
    cut = sum(s.count for s in SEGMENTS[:count])
    context = Tokens(tokens.values[:count], tokens.real[:, :cut])
    rest = Tokens(tokens.values[count:], tokens.real[:, cut:])
    assert is_prefix(SEGMENTS, TABLE, count)

    @jax.jit
    def cached(params):
        cache = model.apply(params, LAYOUT.context(), context, method="prefill")
        return model.apply(params, LAYOUT, rest, sigma, cache, method="denoise")

    whole, parts = run(params, tokens, sigma), cached(params)
    for name in whole:
        np.testing.assert_allclose(whole[name], parts[name], rtol=0, atol=2e-5)


def test_every_input_has_a_gradient():
    model, params, tokens, sigma, _ = built("mot")

    @jax.jit
    @jax.grad
    def slope(values):
        out = model.apply(params, LAYOUT, Tokens(values, tokens.real), sigma, method="denoise")
        return sum(jnp.square(x).sum() for x in out.values())

    for segment, gradient in zip(SEGMENTS, slope(tokens.values), strict=True):
        assert jnp.abs(gradient).max() > 0, segment.kind


@pytest.mark.slow
def test_what_is_made_anew_backward_changes_no_gradient():
    _, params, tokens, sigma, _ = built("mot")

    def slopes_and_kept(remat):
        model = toy("mot", remat=remat)[0]

        def total(params):
            out = model.apply(params, LAYOUT, tokens, sigma, method="denoise")
            return sum(jnp.square(x).sum() for x in out.values())

        kept = jax.eval_shape(lambda params: jax.vjp(total, params)[1], params)
        return jax.jit(jax.grad(total))(params), sum(leaf.size for leaf in jax.tree.leaves(kept))

    wanted, everything = slopes_and_kept("none")
    counts = [everything]
    for remat in ("dots", "products", "full"):
        slopes, kept = slopes_and_kept(remat)
        counts.append(kept)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), slopes, wanted
        )
    assert counts == sorted(counts, reverse=True)
    assert len({*counts}) == 4


def test_tokens_and_latents_are_inverse():
    latents = jax.random.normal(jax.random.key(0), (2, 3, 4, 6, 5))
    tokens = tokens_from_latents(latents, 2)
    assert tokens.shape == (2, 18, 20)
    np.testing.assert_array_equal(latents_from_tokens(tokens, (3, 2, 3), 2), latents)


def test_the_trunk_coupling_has_no_expert_of_its_own():
    _, mot, *_ = built("mot")
    _, trunk, *_ = built("trunk")
    names = set(mot["params"]["stack_main"]["layers"])
    assert names == {"trunk_in", "trunk_out", "action_in", "action_out"}
    assert set(trunk["params"]["stack_main"]["layers"]) == {"trunk_in", "trunk_out"}


def test_what_enters_through_another_stream_is_a_value_of_it():
    """Proprio that is mapped to a word of the text enters as that word does."""
    toys, _, tokens, sigma = toy("mot")
    ports = tuple(
        dataclasses.replace(p, kind=False, through="text" if p.stream == "proprio" else "")
        for p in toys.config.ports
    )
    model = Wam(dataclasses.replace(toys.config, ports=ports), LAYOUT, FEATURES)
    drawn = jax.eval_shape(
        lambda key: model.init(key, LAYOUT, tokens, sigma, method="denoise"), jax.random.key(0)
    )
    params = drawn_weights(drawn)["params"]
    assert "embed_proprio" not in params
    own = params["embed_proprio_as_text"]["one"]
    assert own["kernel"].shape == (5, 8)
    place = next(i for i, s in enumerate(SEGMENTS) if s.stream == "proprio")
    word = tokens.values[place] @ own["kernel"] + own["bias"]
    widths = tuple(("proprio", 8) if name == "proprio" else (name, n) for name, n in FEATURES)
    ports = tuple(dataclasses.replace(p, through="") for p in ports)
    plain = Wam(dataclasses.replace(model.config, ports=ports), LAYOUT, widths)
    values = (*tokens.values[:place], word, *tokens.values[place + 1 :])
    rest = {name: x for name, x in params.items() if name != "embed_proprio_as_text"}

    @jax.jit
    def both(params):
        one = model.apply({"params": params}, LAYOUT, tokens, sigma, method="denoise")
        given = {"params": rest | {"embed_proprio": rest["embed_text"]}}
        two = plain.apply(given, LAYOUT, Tokens(values, tokens.real), sigma, method="denoise")
        return one, two

    one, two = both(params)
    for stream in ("video", "action"):
        assert jnp.abs(one[stream]).max() > 1e-2
        np.testing.assert_allclose(one[stream], two[stream], rtol=1e-5, atol=1e-5)


def test_a_linear_head_has_no_norm_and_no_level():
    model, params, tokens, sigma, _ = built("mot")

    def told(head):
        ports = tuple(
            dataclasses.replace(p, head=head) if p.stream == "action" else p
            for p in model.config.ports
        )
        return Wam(dataclasses.replace(model.config, ports=ports), LAYOUT, model.features)

    weights = params["params"]
    own = {"out": weights["head_action"]["out"]}

    @jax.jit
    def both(weights):
        given = {"params": weights | {"head_action": own}}
        out = told("linear").apply(given, LAYOUT, tokens, sigma, method="denoise")
        bare = told("none").apply(given, LAYOUT, tokens, sigma, method="denoise")
        return out["action"], bare["action"]

    out, bare = both(weights)
    edge = own["out"]["one"]
    np.testing.assert_allclose(out, bare @ edge["kernel"] + edge["bias"], rtol=0, atol=1e-5)
