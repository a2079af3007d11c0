"""Layers with ReLU at the edges, a port's own clock, and given tokens that are told the noise level
of others."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.model.sequences import FEATURES, SEGMENTS, TABLE, toy
from tests.weights import drawn_weights
from wamjax.model.config import Clock, Port
from wamjax.model.layout import Layout
from wamjax.model.modulation import Noise
from wamjax.model.ports import PortIn, PortOut
from wamjax.model.tokens import Tokens
from wamjax.model.wam import Wam

pytestmark = pytest.mark.usefixtures("quick_to_compile")

OTHER = Clock(features=10, scale=7.0)
OWN = Clock(features=6, scale=1000.0, fastest=1.0, slowest=1e-4, closed=False, sines_first=True)
# The state belongs to the block of the actions.
STATE = next(place for place, s in enumerate(SEGMENTS) if s.stream == "proprio")
BLOCKS = tuple(dataclasses.replace(s, block=1) if s.stream == "proprio" else s for s in SEGMENTS)
LAYOUT = Layout(BLOCKS, TABLE)


def test_edges_with_relu_are_two_layers():
    port = Port(stream="proprio", into="trunk", embed="relu_mlp", head="relu_mlp", hidden=9)
    rng = np.random.default_rng(0)
    value = jnp.asarray(rng.normal(size=(2, 3, 5)), jnp.float32)
    expert = toy()[0].config.stacks[0].experts[0]
    level = Noise(jnp.zeros((2, 1, 4)), None, (3,))
    way_in = PortIn(port, 12, 5, "proprio", OTHER)
    way_out = PortOut(port, 7, expert)
    for module, told, width in (
        (way_in, (jnp.zeros((2, 1)), None), 12),
        (way_out, (level, None), 7),
    ):
        drawn = jax.eval_shape(module.init, jax.random.key(0), value, *told)
        params = drawn_weights(drawn)["params"]
        first, last = (params[name].get("one", params[name]) for name in ("in", "out"))
        assert first["kernel"].shape == (5, 9)
        assert last["kernel"].shape == (9, width)
        h = np.maximum(value @ first["kernel"] + first["bias"], 0)
        want = h @ last["kernel"] + last["bias"]
        got = module.apply({"params": params}, value, *told)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


@pytest.mark.parametrize("embed", ["timed", "timed_linear"])
def test_a_port_with_a_clock_of_its_own_does_not_read_the_experts(embed):
    port = Port(stream="action", into="trunk", embed=embed, clock=OWN)
    value, sigma = jnp.ones((2, 3, 5)), jnp.array([[0.2], [0.9]])
    mine = PortIn(port, 12, 5, "action", OTHER)
    theirs = PortIn(dataclasses.replace(port, clock=None), 12, 5, "action", OWN)
    drawn = drawn_weights(jax.eval_shape(mine.init, jax.random.key(0), value, sigma, None))
    np.testing.assert_array_equal(
        mine.apply(drawn, value, sigma, None), theirs.apply(drawn, value, sigma, None)
    )


@pytest.fixture(scope="module")
def led():
    """(the toy with its state at the level of the actions, the same without, params, tokens)."""
    plain, params, tokens, _ = toy("trunk")
    ports = tuple(
        dataclasses.replace(p, level_of="action" if p.stream == "proprio" else "")
        for p in plain.config.ports
    )
    model = Wam(dataclasses.replace(plain.config, ports=ports), LAYOUT, FEATURES)
    return model, Wam(plain.config, LAYOUT, FEATURES), params, tokens


def predicted(model, params, tokens, sigma):
    run = jax.jit(lambda p, s: model.apply(p, LAYOUT, tokens, s, method="denoise"))
    return run(params, sigma)


@pytest.mark.parametrize("by_token", [False, True])
def test_given_tokens_stand_at_the_first_level_of_the_stream_that_leads_them(led, by_token):
    model, plain, params, tokens = led
    action = jnp.array([0.6, 0.1])
    levels = {"video": jnp.array([0.3, 0.8]), "action": action}
    if by_token:
        levels["action"] = jnp.stack([action, action / 2, action / 3, action / 4], axis=1)
    got = predicted(model, params, tokens, levels)
    want = predicted(plain, params, tokens, levels | {"proprio/clean": action})
    still = predicted(plain, params, tokens, levels)
    for stream in ("video", "action"):
        np.testing.assert_array_equal(got[stream], want[stream])
        assert jnp.abs(got[stream] - still[stream]).max() > 1e-3
    # What is told goes before.
    told = levels | {"proprio/clean": jnp.zeros(2)}
    for stream, x in predicted(model, params, tokens, told).items():
        np.testing.assert_array_equal(x, still[stream])


def test_they_are_not_led_from_another_block_or_another_pass(led):
    model, _, params, tokens = led
    levels = {"video": jnp.zeros(2), "action": jnp.zeros(2)}
    with pytest.raises(AssertionError, match="proprio/clean must enter beside noisy action"):
        model.apply(params, Layout(SEGMENTS, TABLE), tokens, levels, method="denoise")
    first = LAYOUT.first(STATE + 1)
    given = Tokens(
        tokens.values[: STATE + 1], tokens.real[:, : sum(s.count for s in first.segments)]
    )
    with pytest.raises(AssertionError, match="must enter beside noisy action"):
        model.apply(params, first, given, method="prefill")
