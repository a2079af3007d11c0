"""The splash kernel as a TPU's compiler takes it, without a TPU; numbers are in test_backends."""

import importlib.util
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from wamjax.core.typing import Array
from wamjax.eval.plan.chips import GIB, slice_of
from wamjax.eval.plan.compile import Compiled, compile_for, devices_of, mesh_of
from wamjax.model.attention import seen
from wamjax.model.backends import Ways, attend
from wamjax.model.config import Attention
from wamjax.parallel.activations import spread_over
from wamjax.parallel.mesh import MeshConfig
from wamjax.parallel.shardings import BATCH_AXES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("libtpu") is None,
        reason="libtpu is not installed (the tpu-plan extra)",
    ),
]
ROWS, TOKENS, HEADS, CALL = 4, 4100, 8, 'custom_call_target="tpu_custom_call"'


def gradient_for(config: MeshConfig, attention: Attention, head_dim: int) -> Compiled:
    """The gradient of attention over blocks of 100 tokens, compiled for four chips of v5e."""
    mesh = mesh_of(config, devices_of(slice_of("v5e-4")), 1)
    rows = NamedSharding(mesh, PartitionSpec(BATCH_AXES))
    block = np.arange(TOKENS) // 100
    table, own = block[:, None] >= block[None, :], np.eye(TOKENS, dtype=bool)

    def total(query: Array, key: Array, value: Array, real: Array) -> Array:
        with spread_over(mesh):
            out = attend(query, key, value, seen(table, real, own), Ways(attention))
        return jnp.square(out.astype(jnp.float32)).sum()

    shape = (ROWS, TOKENS, HEADS, head_dim)
    array: Any = jax.ShapeDtypeStruct(shape, jnp.bfloat16, sharding=rows)
    real = jax.ShapeDtypeStruct(shape[:2], jnp.bool_, sharding=rows)
    step = jax.jit(jax.grad(total, argnums=(0, 1, 2)), out_shardings=rows)
    made = compile_for(step, (array, array, array, real), 16 * GIB)
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


def test_over_the_sequence_axis_the_kernel_stands_between_exchanges():
    made = gradient_for(MeshConfig(data=1, tensor=2, sequence=2), "splash", 128)
    assert "all-to-all" in made.hlo
    assert made.hlo.count(CALL) == 3
