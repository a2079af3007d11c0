"""Activations that wait in the host's memory: the same gradients, and a refusal without it."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.model.sequences import LAYOUT, toy
from wamjax.core.errors import UserError
from wamjax.model.config import Remat
from wamjax.model.remat import policy
from wamjax.parallel.activations import spread_over
from wamjax.parallel.mesh import MeshConfig, make_mesh

pytestmark = pytest.mark.usefixtures("quick_to_compile")


ONE = make_mesh(MeshConfig(data=1), jax.devices()[:1])


@functools.cache
def made_toy() -> Any:
    return toy("mot")


def traced(remat: Remat) -> tuple[Any, Any]:
    """The traced gradient of a toy's squared predictions, and its weights."""
    made, params, tokens, sigma = made_toy()
    model = made.clone(config=dataclasses.replace(made.config, remat=remat))

    def total(params: Any) -> jax.Array:
        with spread_over(ONE):
            out = model.apply(params, LAYOUT, tokens, sigma, method="denoise")
        return sum((jnp.square(x).sum() for x in out.values()), jnp.zeros(()))

    return jax.jit(jax.grad(total)).trace(params), params


@pytest.mark.parametrize(
    ("remat", "plain"),
    [("offload", "full"), pytest.param("offload_products", "products", marks=pytest.mark.slow)],
)
def test_what_waits_on_the_host_is_what_was_put_there(
    remat: Remat, plain: Remat, monkeypatch: pytest.MonkeyPatch
):
    # Without shardings a CPU drops the copies.
    monkeypatch.setattr("wamjax.model.remat.reaches_host", lambda: True)
    program, params = traced(remat)
    other = traced(plain)[0]
    assert "Host" in str(program.jaxpr)
    assert "Host" not in str(other.jaxpr)
    wanted = other.lower().compile()(params)
    got = program.lower().compile()(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), got, wanted)


def test_cpus_are_refused_in_a_sentence():
    with (
        spread_over(ONE),
        pytest.raises(UserError, match="programs for cpu cannot: set remat to 'full'"),
    ):
        policy("offload")
    # To sample it is no hindrance.
    assert policy("offload") is policy("full")
