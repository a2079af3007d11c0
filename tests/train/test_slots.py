"""Every slot of every optimizer lies where it was declared: as its weight, split for split."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from tests.parallel.test_every_mesh import ROWS, drawn, system
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.parallel.shardings import batch_sharding, replicated, slot_sharding
from wamjax.recipes.on_values import OnValues
from wamjax.recipes.registry import RECIPES
from wamjax.train.config import TrainConfig
from wamjax.train.stages import Stage
from wamjax.train.state import init_state, plan_stage
from wamjax.train.step import make_step

OPTIMIZERS = [
    TrainConfig(batch=ROWS),
    TrainConfig(batch=ROWS, mu_dtype="bfloat16"),
    TrainConfig(batch=ROWS, optimizer="adafactor", mu_dtype="bfloat16", accumulate=2),
]


@pytest.mark.parametrize(
    "config",
    [pytest.param(c, marks=pytest.mark.slow) for c in OPTIMIZERS],
    ids=["adamw", "adamw-bfloat16", "adafactor-parts"],
)
def test_every_weight_slot_and_output_lies_where_it_was_declared(config: TrainConfig):
    one = system("fast_wam")
    mesh = make_mesh(MeshConfig(data=1, fsdp=2, tensor=2, sequence=2))
    lesson = one.blueprint.learning.lessons[-1]
    stage = Stage(name=lesson.name, start=0, end=10, objective=lesson.name, train=lesson.train)
    plan = plan_stage(stage, jax.eval_shape(one.init, jax.random.key(0)), config, mesh)
    state = init_state(one, plan, jax.random.key(0))
    rows = batch_sharding(mesh, ROWS, config.parts)
    step = make_step(one, plan, config.ema, rows, config.augment, parts=config.parts)
    batch = jax.device_put(drawn("fast_wam")[1], rows)
    key = jax.device_put(jax.random.key(3), replicated(mesh))
    for _ in range(2):
        for declared, there in zip(
            jax.tree.leaves(plan.abstract), jax.tree.leaves(state), strict=True
        ):
            assert there.sharding.is_equivalent_to(declared.sharding, there.ndim)
            assert there.dtype == declared.dtype
        before, (state, metrics) = state, step(state, batch, key)
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before.params))
    assert all(value.sharding.is_fully_replicated for value in metrics.values())
    split = [
        leaf for leaf in jax.tree.leaves(state.params) if not leaf.sharding.is_fully_replicated
    ]
    assert len(split) > 20


@pytest.mark.parametrize(
    ("shape", "slot", "expected"),
    [
        ((6, 256, 512), (6, 256, 512), (None, "fsdp", "tensor")),
        ((6, 256, 512), (6, 256), (None, "fsdp")),
        ((6, 256, 512), (6, 512), (None, "tensor")),
        # Which of two equal lengths is gone nobody can tell.
        ((6, 256, 256), (6, 256), (None, None)),
        ((6, 256, 512), (1,), ()),
        ((6, 256, 512), (), ()),
    ],
    ids=str,
)
def test_a_slot_is_split_as_its_weight(shape: Any, slot: Any, expected: Any):
    mesh = make_mesh(MeshConfig(data=1, fsdp=2, tensor=2, sequence=2))
    place = NamedSharding(mesh, PartitionSpec(None, "fsdp", "tensor"))
    weight = jax.ShapeDtypeStruct(shape, jnp.float32, sharding=place)
    found = slot_sharding(jax.ShapeDtypeStruct(slot, jnp.float32), weight)
    assert found.spec == PartitionSpec(*expected)


@pytest.mark.parametrize("config", OPTIMIZERS[2:], ids=["adafactor"])
def test_factored_slots_of_a_full_size_are_split(config: TrainConfig):
    one = OnValues(RECIPES["fast_wam"].build("full"))
    lesson = one.blueprint.learning.lessons[-1]
    stage = Stage(name=lesson.name, start=0, end=10, objective=lesson.name, train=lesson.train)
    mesh = make_mesh(MeshConfig(data=1, fsdp=4, tensor=2))
    plan = plan_stage(stage, jax.eval_shape(one.init, jax.random.key(0)), config, mesh)
    rows = optax.tree.get(plan.abstract.opt_state, "v_row")
    split = [leaf.shape for leaf in jax.tree.leaves(rows) if not leaf.sharding.is_fully_replicated]
    assert len(split) > 10
