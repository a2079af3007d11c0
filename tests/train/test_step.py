import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from tests.train.toy import TWO_STAGES, ToyLoader, ToyRun, ToySystem
from wamjax.core.keys import named_keys
from wamjax.core.tree import leaves_by_path, weights_sha256
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.parallel.shardings import batch_sharding, put_batch, replicated
from wamjax.train.config import StageConfig
from wamjax.train.flops import count_flops
from wamjax.train.stages import stages_of
from wamjax.train.state import begin_stage, init_state, plan_stage
from wamjax.train.step import make_step

SYSTEM, RUN = ToySystem(), ToyRun()
KEYS = named_keys(jax.random.key(0), "init", "step")
MESHES = {
    "data 8": (MeshConfig(data=8), 8),
    "data 2": (MeshConfig(data=2), 2),
    "fsdp 4, tensor 2": (MeshConfig(data=1, fsdp=4, tensor=2), 8),
    "data 2, fsdp 2, sequence 2": (MeshConfig(data=2, fsdp=2, sequence=2), 8),
}


def steps_on(config: MeshConfig, devices: int, stages: tuple[StageConfig, ...], count: int) -> Any:
    """(state, metrics of the last step, first stage's plan) after `count` steps of each stage."""
    mesh = make_mesh(config, jax.devices()[:devices])
    boxed = jax.eval_shape(SYSTEM.init, KEYS["init"])
    plans = [plan_stage(stage, boxed, RUN.train, mesh) for stage in stages_of(stages, 20)]
    rows = batch_sharding(mesh, 8)
    loader = iter(ToyLoader(8))
    key = jax.device_put(KEYS["step"], replicated(mesh))
    state = init_state(SYSTEM, plans[0], KEYS["init"])
    metrics = {}
    for place, plan in enumerate(plans):
        if place > 0:
            state = begin_stage(state, plan)
        step = make_step(SYSTEM, plan, RUN.train.ema, rows, RUN.train.augment)
        for _ in range(count):
            state, metrics = step(state, put_batch(next(loader), rows), key)
    return state, metrics, plans[0]


@functools.cache
def unsharded() -> Any:
    return steps_on(MeshConfig(), 1, (StageConfig(),), 3)


@pytest.mark.parametrize("name", list(MESHES))
def test_the_sharded_step_equals_the_unsharded_one(name: str):
    alone, alone_metrics, _ = unsharded()
    state, metrics, plan = steps_on(*MESHES[name], (StageConfig(),), 3)
    for path, leaf in leaves_by_path(state).items():
        theirs = np.asarray(leaves_by_path(alone)[path])
        np.testing.assert_allclose(np.asarray(leaf), theirs, rtol=2e-4, atol=2e-6, err_msg=path)
    for key, value in metrics.items():
        np.testing.assert_allclose(float(value), float(alone_metrics[key]), rtol=1e-4)
    placed = jax.tree.map(lambda leaf, place: leaf.sharding == place, state, plan.shardings)
    assert all(jax.tree.leaves(placed))


def test_weights_averages_and_moments_are_split_alike():
    state, _, _ = steps_on(MeshConfig(data=1, fsdp=4, tensor=2), 8, (StageConfig(),), 1)
    specs = {
        path: leaf.sharding.spec
        for path, leaf in leaves_by_path(state).items()
        if path.endswith("model/video/kernel")
    }
    assert len(specs) == 4
    # 3 columns do not divide over fsdp 4, so that dimension stays whole.
    assert set(specs.values()) == {PartitionSpec("tensor", None)}
    words = state.params["context"]["Embed_0"]["embedding"]
    assert words.sharding.shard_shape(words.shape) == (128, 4)


def test_the_step_counts_and_the_weights_move():
    state, metrics, _ = unsharded()
    assert int(state.step) == 3
    parts = {"loss", "loss/video", "loss/action"}
    assert set(metrics) == {*parts, "grad_norm", "learning_rate", "skipped"}
    assert weights_sha256(state.params) != weights_sha256(state.ema)


def test_draws_depend_on_the_step_and_the_average_starts_at_its_ramp():
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    boxed = jax.eval_shape(SYSTEM.init, KEYS["init"])
    plan = plan_stage(stages_of((StageConfig(),), 20)[0], boxed, RUN.train, mesh)
    rows = batch_sharding(mesh, 8)
    step = make_step(SYSTEM, plan, RUN.train.ema, rows, RUN.train.augment)
    batch = ToyLoader(8).make(0)

    def moved_at(count: int) -> Any:
        state = init_state(SYSTEM, plan, KEYS["init"]).replace(step=jnp.int32(count))
        state, _ = step(state, put_batch(batch, rows), KEYS["step"])
        return jax.device_get(state)

    first, again, other = moved_at(0), moved_at(0), moved_at(5)
    assert weights_sha256(first) == weights_sha256(again)
    # The heads start at zero, so the noise shows in their gradients.
    moments = [state.opt_state[1][0].mu["model"] for state in (first, other)]
    assert weights_sha256(moments[0]) != weights_sha256(moments[1])
    before = leaves_by_path(jax.device_get(init_state(SYSTEM, plan, KEYS["init"]).params))
    after, average = leaves_by_path(first.params), leaves_by_path(first.ema)
    for path, start in before.items():
        expected = start + (1 - 1 / 10) * (after[path] - start)
        np.testing.assert_allclose(average[path], expected, rtol=1e-6, atol=1e-8)


def test_frozen_weights_stay_equal_bit_for_bit_and_have_no_optimizer_state():
    first, second = stages_of(TWO_STAGES, 20)
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    boxed = jax.eval_shape(SYSTEM.init, KEYS["init"])
    rows = batch_sharding(mesh, 8)
    loader = iter(ToyLoader(8))
    plans = [plan_stage(stage, boxed, RUN.train, mesh) for stage in (first, second)]
    state = init_state(SYSTEM, plans[0], KEYS["init"])
    for plan in plans:
        if plan.stage is second:
            averages = jax.device_get(state.ema)
            state = begin_stage(state, plan)
            assert weights_sha256(state.params) == weights_sha256(averages)
        before = jax.device_get(leaves_by_path(state.params))
        step = make_step(SYSTEM, plan, RUN.train.ema, rows, RUN.train.augment)
        for _ in range(3):
            state, metrics = step(state, put_batch(next(loader), rows), KEYS["step"])
        trained = leaves_by_path(plan.mask)
        for path, leaf in leaves_by_path(state.params).items():
            assert np.array_equal(np.asarray(leaf), before[path]) is not trained[path], path
            if not trained[path]:
                average = leaves_by_path(state.ema)[path]
                assert np.array_equal(np.asarray(leaf), np.asarray(average))
        moments = [path for path in leaves_by_path(state.opt_state) if "/mu/" in path]
        assert sorted(path.split("/mu/")[1] for path in moments) == [
            path for path, chosen in trained.items() if chosen
        ]
    assert "loss/video" not in metrics
    assert plans[1].trained == 16 * 4 + 4


def test_flops_are_counted_through_scans_and_gradients():
    weights, inputs = jnp.ones((5, 6, 6)), jnp.ones((3, 6))

    def loss(weights: Any) -> Any:
        return jax.lax.scan(lambda x, w: (x @ w, None), inputs, weights)[0].sum()

    forward = 5 * 2 * 3 * 6 * 6
    assert count_flops(jax.make_jaxpr(loss)(weights)) == forward
    assert count_flops(jax.make_jaxpr(jax.grad(loss))(weights)) == 3 * forward
    image, kernel = jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 3, 4))
    convolve = functools.partial(
        jax.lax.conv_general_dilated,
        window_strides=(1, 1),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    expected = 2 * (2 * 8 * 8 * 4) * (3 * 3 * 3)
    assert count_flops(jax.make_jaxpr(convolve)(image, kernel)) == expected
