"""Products in eight bits: close to those in float32, forward and backward, and trained alike."""

import dataclasses
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.model.sequences import LAYOUT, toy
from wamjax.core.errors import UserError
from wamjax.core.typing import Array
from wamjax.model.config import Quantize
from wamjax.model.layers import Linear
from wamjax.model.quantise import product

pytestmark = pytest.mark.usefixtures("quick_to_compile")
KINDS: tuple[Quantize, ...] = ("int8", "fp8")


def test_without_qwix_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "qwix", None)
    product.cache_clear()
    with pytest.raises(UserError, match=r"pip install 'wamjax\[quant\]'"):
        product("int8")


@pytest.mark.parametrize("kind", KINDS)
def test_a_linear_map_and_its_gradients_are_near(kind: Quantize):
    pytest.importorskip("qwix")
    rows = jax.random.normal(jax.random.key(0), (2, 50, 64))
    plain = Linear((4, 3, 8), ("embed", "heads", None, "head_dim"))
    params = jax.tree.map(lambda x: x, plain.init(jax.random.key(1), rows))
    params = jax.tree.map(lambda box: box.value, params, is_leaf=lambda x: hasattr(x, "value"))
    weight = jax.random.normal(jax.random.key(2), (2, 50, 4, 3, 8))

    def graded(module: Linear) -> Any:
        def total(params: Any, rows: Array) -> Array:
            return (module.apply(params, rows) * weight).sum()

        return jax.jit(jax.grad(total, argnums=(0, 1)))(params, rows)

    wanted, got = graded(plain), graded(plain.clone(quantize=kind))
    for ours, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        error = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
        assert error < {"int8": 0.02, "fp8": 0.1}[kind]
    near = plain.clone(quantize=kind).apply(params, rows) - plain.apply(params, rows)
    assert 0 < jnp.abs(near).max() < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_learns_as_fast_as_in_float32(kind: Quantize):
    pytest.importorskip("qwix")
    made, begun, tokens, sigma = toy("mot")
    optimizer = optax.adam(3e-3)

    def losses(quantize: Quantize) -> list[float]:
        model = made.clone(config=dataclasses.replace(made.config, quantize=quantize))

        def loss(params: Any) -> Array:
            out = model.apply(params, LAYOUT, tokens, sigma, method="denoise")
            return sum((jnp.square(x - 1).mean() for x in out.values()), jnp.zeros(()))

        def step(carry: Any, _: None) -> Any:
            params, state = carry
            value, gradient = jax.value_and_grad(loss)(params)
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(params, updates), state), value

        run = jax.jit(lambda params: jax.lax.scan(step, (params, optimizer.init(params)), None, 30))
        return run(begun)[1].tolist()

    plain, low = losses("none"), losses(kind)
    assert plain != low
    assert low[0] == pytest.approx(plain[0], rel=0.05)
    assert low[-1] < 0.3 * low[0]
    assert low[-1] == pytest.approx(plain[-1], rel=0.3)
