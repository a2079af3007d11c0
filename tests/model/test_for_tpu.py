"""Kernels and offloading as a TPU's compiler takes them, without a TPU.

Their numbers are in test_backends and test_remat.
"""

import importlib.util
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name
from jax.sharding import NamedSharding, PartitionSpec

from wamjax.core.runtime import without_compile_cache
from wamjax.core.typing import Array
from wamjax.eval.plan.chips import GIB, slice_of
from wamjax.eval.plan.compile import Compiled, compile_for, devices_of, mesh_of
from wamjax.model.attention import seen
from wamjax.model.backends import attend
from wamjax.model.config import Attention, Remat, Ways
from wamjax.model.remat import ENTERS, policy
from wamjax.parallel.activations import spread_over
from wamjax.parallel.mesh import MeshConfig
from wamjax.parallel.shardings import BATCH_AXES, replicated

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("libtpu") is None,
        reason="libtpu is not installed (the tpu-plan extra)",
    ),
]


@pytest.fixture(autouse=True)
def _compiled_anew():
    """What was compiled for devices that are not here cannot be read from the cache."""
    with without_compile_cache():
        yield


TOKENS, HEADS, CALL = 4100, 8, 'custom_call_target="tpu_custom_call"'


def gradient_for(
    config: MeshConfig, attention: Attention, head_dim: int, chips: str = "v5e-4"
) -> Compiled:
    """The gradient of attention over blocks of 100 tokens, compiled for four or eight devices."""
    mesh = mesh_of(config, devices_of(slice_of(chips)), 1)
    rows = NamedSharding(mesh, PartitionSpec(BATCH_AXES))
    block = np.arange(TOKENS) // 100
    table, own = block[:, None] >= block[None, :], np.eye(TOKENS, dtype=bool)

    def total(query: Array, key: Array, value: Array, real: Array) -> Array:
        with spread_over(mesh):
            out = attend(query, key, value, seen(table, real, own), Ways(attention))
        return jnp.square(out.astype(jnp.float32)).sum()

    shape = (mesh.size, TOKENS, HEADS, head_dim)
    array: Any = jax.ShapeDtypeStruct(shape, jnp.bfloat16, sharding=rows)
    real = jax.ShapeDtypeStruct(shape[:2], jnp.bool_, sharding=rows)
    step = jax.jit(jax.grad(total, argnums=(0, 1, 2)), out_shardings=rows)
    made = compile_for(step.lower(array, array, array, real), 16 * GIB)
    assert isinstance(made, Compiled)
    return made


@pytest.mark.parametrize("head_dim", [64, 128])
def test_auto_takes_the_kernel_and_less_memory(head_dim: int):
    mesh = MeshConfig(data=1, fsdp=4)
    plain, kernel = (gradient_for(mesh, way, head_dim) for way in ("xla", "auto"))
    assert CALL not in plain.hlo
    # Forward, and the gradients of queries and of keys.
    assert kernel.hlo.count(CALL) == 3
    assert kernel.memory.temporary < 0.5 * plain.memory.temporary


@pytest.mark.parametrize("chips", ["v5p:2x2x1", "v6e-4", "tpu7x:2x2x1"])
def test_other_chips_take_the_kernel(chips: str):
    devices = slice_of(chips).devices
    made = gradient_for(MeshConfig(data=1, fsdp=devices), "auto", 128, chips)
    assert made.hlo.count(CALL) == 3


def test_over_the_sequence_axis_the_kernel_stands_between_exchanges():
    made = gradient_for(MeshConfig(data=1, tensor=2, sequence=2), "splash", 128)
    assert "all-to-all" in made.hlo
    assert made.hlo.count(CALL) == 3


@pytest.mark.parametrize(
    ("remat", "plain"), [("offload", "full"), ("offload_products", "products")]
)
def test_activations_wait_on_the_host(remat: Remat, plain: Remat):
    mesh = mesh_of(MeshConfig(data=1, fsdp=4), devices_of(slice_of("v5e-4")), 1)
    rows = NamedSharding(mesh, PartitionSpec(BATCH_AXES))

    def made(remat: Remat) -> Compiled:
        def layer(x: Array, weight: Array) -> tuple[Array, None]:
            x = checkpoint_name(x, ENTERS)
            return jnp.tanh(jnp.sin(x @ weight)), None

        def total(weights: Array, x: Array) -> Array:
            with spread_over(mesh):
                once = jax.checkpoint(layer, policy=policy(remat), prevent_cse=False)
            return jax.lax.scan(once, x, weights)[0].sum()

        weights: Any = jax.ShapeDtypeStruct((12, 512, 512), jnp.float32, sharding=replicated(mesh))
        x: Any = jax.ShapeDtypeStruct((64 * 1024, 512), jnp.float32, sharding=rows)
        step = jax.jit(jax.grad(total), out_shardings=replicated(mesh))
        found = compile_for(step.lower(weights, x), 16 * GIB)
        assert isinstance(found, Compiled)
        return found

    here, there = made(plain), made(remat)
    # Memory space 5 is the host's.
    assert "S(5)" not in here.hlo
    assert "S(5)" in there.hlo
    assert there.memory.temporary < 0.6 * here.memory.temporary
