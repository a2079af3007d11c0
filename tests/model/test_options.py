"""Norms without weights and with an epsilon of their own, attention without biases, places that are
not learned, three layers with SiLU: each is what it says, of a model that has the rest."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.model.sequences import FEATURES, LAYOUT, SEGMENTS, toy
from tests.weights import drawn_weights
from wamjax.model.block import modulated
from wamjax.model.config import Clock, Expert, Norm, Port, WamConfig
from wamjax.model.entrance import fixed_places
from wamjax.model.ports import PortIn
from wamjax.model.segments import Segment
from wamjax.model.wam import Wam

pytestmark = pytest.mark.usefixtures("quick_to_compile")


@pytest.fixture(scope="module")
def plain():
    """(model, params, tokens, sigma) of a trunk."""
    return toy("trunk")


def predicted(config: WamConfig, weights, tokens, sigma) -> dict[str, jax.Array]:
    model = Wam(config, LAYOUT, FEATURES)
    run = jax.jit(lambda p: model.apply({"params": p}, LAYOUT, tokens, sigma, method="denoise"))
    return run(weights)


def with_expert(config: WamConfig, **changes) -> WamConfig:
    """The same with another setting of all its experts."""
    stacks = tuple(
        dataclasses.replace(
            stack, experts=tuple(dataclasses.replace(e, **changes) for e in stack.experts)
        )
        for stack in config.stacks
    )
    return dataclasses.replace(config, stacks=stacks)


def shapes(config: WamConfig, tokens, sigma) -> dict[str, tuple[int, ...]]:
    model = Wam(config, LAYOUT, FEATURES)
    made = jax.eval_shape(
        lambda key: nn.unbox(model.init(key, LAYOUT, tokens, sigma, method="denoise")),
        jax.random.key(0),
    )
    return {jax.tree_util.keystr(k): x.shape for k, x in jax.tree.leaves_with_path(made)}


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_a_norm_without_weights_is_the_plain_one_at_its_epsilon(norm: Norm):
    expert = Expert(name="e", width=6, mlp=8, norm=norm, norm_weights=False, eps=0.5)
    x = np.random.default_rng(0).normal(size=(2, 3, 6)).astype(np.float32)
    centred = x - x.mean(-1, keepdims=True) if norm == "layer" else x
    want = centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + 0.5)
    np.testing.assert_allclose(modulated(jnp.asarray(x), expert, [], "n"), want, atol=1e-6)
    moved = modulated(jnp.asarray(x), expert, [jnp.float32(2.0), jnp.float32(1.0)], "n")
    np.testing.assert_allclose(moved, 2 + 2 * want, atol=1e-5)


def test_norms_without_weights_have_none(plain):
    model, _, tokens, sigma = plain
    config = with_expert(model.config, modulation="none")
    bare = shapes(with_expert(config, norm_weights=False), tokens, sigma)
    gone = {*shapes(config, tokens, sigma)} - {*bare}
    assert gone
    assert all("norm" in path and ("scale" in path or "bias" in path) for path in gone)
    assert not any("_norm']" in path or "'norm']" in path for path in bare if "layers" in path)


def test_attention_without_biases_is_that_with_zeros(plain):
    model, params, tokens, sigma = plain
    config = with_expert(model.config, attention_bias=False)
    kept = {*shapes(config, tokens, sigma)}
    gone = {*shapes(model.config, tokens, sigma)} - kept
    assert gone
    assert all(any(part in path for part in ("qkv", "'out'")) for path in gone)
    assert any("mlp" in path and "bias" in path for path in kept)

    def zeroed(path, leaf):
        return 0 * leaf if jax.tree_util.keystr(path) in gone else leaf

    def without(tree, path=""):
        return {
            key: without(x, f"{path}['{key}']") if isinstance(x, dict) else x
            for key, x in tree.items()
            if f"{path}['{key}']" not in gone
        }

    still = jax.tree_util.tree_map_with_path(zeroed, params)
    want = predicted(model.config, still["params"], tokens, sigma)
    got = predicted(config, without(params)["params"], tokens, sigma)
    for stream, x in want.items():
        np.testing.assert_allclose(got[stream], x, rtol=0, atol=1e-5)


def test_fixed_places_are_sines_and_cosines_of_the_time():
    segment = Segment(stream="action", frames=3, start=2.0, stride=0.5)
    places = fixed_places(segment, 8)
    assert places.shape == (3, 8)
    for row, time in zip(places, (2.0, 2.5, 3.0), strict=True):
        angle = time * np.array([1.0, 0.1, 0.01, 0.001])
        np.testing.assert_allclose(row, [*np.sin(angle), *np.cos(angle)], atol=1e-7)


def test_fixed_places_are_learned_ones_of_those_values(plain):
    model, params, tokens, sigma = plain

    def told(**changes):
        ports = tuple(
            dataclasses.replace(p, **changes) if p.stream == "action" else p
            for p in model.config.ports
        )
        return dataclasses.replace(model.config, ports=ports)

    segment = next(s for s in SEGMENTS if s.stream == "action")
    width = model.config.stacks[0].experts[0].width
    learned = params["params"] | {"place_action": jnp.asarray(fixed_places(segment, width))}
    want = predicted(told(place=True), learned, tokens, sigma)
    got = predicted(told(place=False, fixed_place=True), params["params"], tokens, sigma)
    plainly = predicted(told(place=False), params["params"], tokens, sigma)
    for stream, x in want.items():
        np.testing.assert_allclose(got[stream], x, rtol=0, atol=1e-5)
    assert jnp.abs(got["action"] - plainly["action"]).max() > 1e-2


def test_silu_mlp_is_three_layers():
    port = Port(stream="proprio", into="trunk", embed="silu_mlp")
    value = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 5)), jnp.float32)
    module, told = PortIn(port, 12, 5, "proprio", Clock()), (jnp.zeros((2, 1)), None)
    drawn = drawn_weights(jax.eval_shape(module.init, jax.random.key(0), value, *told))
    params = drawn["params"]
    one, two, three = params["in"]["one"], params["mix"], params["out"]
    h = jax.nn.silu(value @ one["kernel"] + one["bias"])
    h = jax.nn.silu(h @ two["kernel"] + two["bias"])
    want = h @ three["kernel"] + three["bias"]
    np.testing.assert_allclose(module.apply(drawn, value, *told), want, rtol=0, atol=1e-5)
