"""Attention and linear maps against plain sums, and over devices."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tests.model.sequences import LAYOUT, toy
from wamjax.model.attention import attention
from wamjax.model.layers import Linear
from wamjax.model.stacking import stacked, unstacked

# features, logical axes, inputs
MAPS = [
    ((24,), ("embed", "mlp"), 1),
    ((4, 3, 6), ("embed", "heads", None, "head_dim"), 1),
    ((3, 24), ("embed", None, "mlp"), 1),
    ((16,), ("heads", "head_dim", "embed"), 2),
]


@pytest.mark.parametrize("key_heads", [1, 2, 6])
def test_attention_is_the_weighted_mean_of_what_is_visible(key_heads):
    rng = np.random.default_rng(0)
    query = rng.normal(size=(2, 5, 6, 8)).astype(np.float32)
    key, value = rng.normal(size=(2, 2, 7, key_heads, 8)).astype(np.float32)
    visible = rng.random((2, 5, 7)) > 0.4
    visible[..., 0] = True
    found = jax.jit(attention)(query, key, value, visible)
    wanted = np.zeros_like(query)
    for b, n, head in np.ndindex(2, 5, 6):
        own = head // (6 // key_heads)
        seen = visible[b, n]
        weight = np.exp(key[b, seen, own] @ query[b, n, head] / np.sqrt(8))
        wanted[b, n, head] = weight @ value[b, seen, own] / weight.sum()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def mapped(features, axes, inputs):
    shape = (6, 4)[: inputs - 1] + ((4,) if inputs == 2 else (16,))
    x = np.random.default_rng(0).normal(size=(8, 5, *shape)).astype(np.float32)
    module = Linear(features, axes, inputs=inputs)
    params = jax.jit(module.init)(jax.random.key(0), x)
    raw = jax.tree.map(lambda leaf: leaf.value, params, is_leaf=lambda leaf: hasattr(leaf, "names"))
    return module, x, raw


@pytest.mark.parametrize(("features", "axes", "inputs"), MAPS)
def test_a_linear_map_and_its_gradients_are_plain_contractions(features, axes, inputs):
    module, x, params = mapped(features, axes, inputs)
    kernel = params["params"]["kernel"]
    y = np.tensordot(x, kernel, inputs)
    up = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)

    @jax.jit
    def everything(params, x, up):
        found, back = jax.vjp(module.apply, params, x)
        # Forward mode, which MeanFlow needs.
        _, moved = jax.jvp(lambda x: module.apply(params, x), (x,), (x,))
        return found, moved, *back(up)

    found, moved, slope, change = everything(params, x, up)
    ends = tuple(range(-len(features), 0))
    for one, wanted in (
        (found, y),
        (moved, y),
        (slope["params"]["kernel"], np.tensordot(x, up, ((0, 1), (0, 1)))),
        (change, np.tensordot(up, kernel, (ends, ends))),
    ):
        np.testing.assert_allclose(one, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("features", "axes", "inputs"), MAPS)
def test_a_split_weight_is_not_gathered(features, axes, inputs):
    module, x, params = mapped(features, axes, inputs)
    mesh = Mesh(np.array(jax.devices()[:4]).reshape(2, 2), ("data", "tensor"))
    split = {"mlp": "tensor", "heads": "tensor"}
    specs = {
        "kernel": PartitionSpec(*(split.get(axis or "") for axis in axes)),
        "bias": PartitionSpec(*(split.get(axis or "") for axis in axes[inputs:])),
    }
    placed = {"params": {name: NamedSharding(mesh, spec) for name, spec in specs.items()}}
    rows = NamedSharding(mesh, PartitionSpec("data", *([None] * (x.ndim - 2)), None))
    program = jax.jit(module.apply, in_shardings=(placed, rows)).lower(params, x).compile()
    text = program.as_text()
    assert text is not None
    assert "all-gather" not in text


@pytest.mark.slow
def test_layers_with_weights_of_their_own_are_the_loop_over_stacked_ones():
    model, params, tokens, sigma = toy("layer_cross")
    straight = model.clone(config=dataclasses.replace(model.config, scan_layers=False))
    args = {"layout": LAYOUT, "tokens": tokens, "sigma": sigma, "method": "denoise"}
    own = jax.jit(unstacked)(params)
    shapes = jax.eval_shape(lambda key: straight.init(key, **args), jax.random.key(0))
    assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, nn.unbox(shapes))
    jax.tree.map(np.testing.assert_array_equal, jax.jit(stacked)(own), params)
    wanted, found = (
        jax.jit(lambda p, m=m: m.apply(p, **args))(weights)
        for m, weights in ((model, params), (straight, own))
    )
    for name, one in found.items():
        np.testing.assert_allclose(one, wanted[name], rtol=1e-5, atol=1e-5)


def test_no_token_is_a_sequence_too():
    nothing = jnp.zeros((2, 0, 4, 8))
    assert attention(nothing, nothing, nothing, jnp.zeros((2, 0, 0), bool)).shape == nothing.shape
