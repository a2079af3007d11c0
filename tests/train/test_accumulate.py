"""A batch in parts: the loss and gradient of the whole, whichever examples are padding."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.train.toy import ToyContext, ToyHeads, ToyLoader, ToyRun, ToySystem
from wamjax.core.errors import UserError
from wamjax.core.records import Batch
from wamjax.flow.divisors import counting
from wamjax.flow.loss import masked_mean
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.parallel.shardings import batch_sharding, put_batch, replicated, unbox
from wamjax.recipes.on_values import OnValues
from wamjax.recipes.registry import RECIPES
from wamjax.train.accumulate import graded
from wamjax.train.augment import AugmentConfig
from wamjax.train.config import StageConfig, TrainConfig
from wamjax.train.flops import count_flops
from wamjax.train.stages import stages_of
from wamjax.train.state import init_state, plan_stage
from wamjax.train.step import make_step

pytestmark = pytest.mark.usefixtures("quick_to_compile")

ROWS, WIDTH = 8, 5


def loss(weights: Any, batch: dict[str, jax.Array], key: jax.Array) -> Any:
    """Two masked means and a plain one; no draws."""
    del key
    out = jnp.tanh(batch["x"] @ weights["w"])
    parts = {
        "masked": masked_mean(jnp.square(out), batch["mask"]),
        "weighted": masked_mean(out, batch["mask"] & (batch["x"] > 0), batch["weight"]),
        "plain": out.mean(),
    }
    return parts["masked"] + 0.3 * parts["weighted"] + 0.1 * parts["plain"], parts


def drawn(real: float) -> tuple[Any, dict[str, jax.Array]]:
    draws = np.random.default_rng(0)
    batch = {
        "x": draws.normal(size=(ROWS, WIDTH)).astype(np.float32),
        # Example by example, so that parts differ in what is real.
        "mask": np.broadcast_to(draws.random((ROWS, 1)) < real, (ROWS, WIDTH)),
        "weight": draws.random((ROWS, WIDTH)).astype(np.float32),
    }
    weights = {"w": jnp.asarray(draws.normal(size=(WIDTH, WIDTH)), jnp.float32)}
    return weights, jax.tree.map(jnp.asarray, batch)


def same(got: Any, wanted: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6), got, wanted)


@pytest.mark.parametrize("real", [0.5, 0.0], ids=["half", "nothing"])
@pytest.mark.parametrize("parts", [2, 8])
def test_parts_make_the_loss_and_gradient_of_the_whole(parts: int, real: float):
    weights, batch = drawn(real)
    key = jax.random.key(0)
    whole = jax.jit(graded(loss, 1, lambda g: g))(weights, batch, key)
    same(jax.jit(graded(loss, parts, lambda g: g))(weights, batch, key), whole)


@pytest.mark.slow
def test_a_recipe_in_parts_is_the_mean_of_its_parts_with_their_own_draws():
    system = OnValues(RECIPES["fast_wam"].build("tiny"))
    draws = np.random.default_rng(0)
    shapes = system.batch(4)
    batch = jax.tree.map(
        lambda leaf: jnp.asarray(draws.normal(size=leaf.shape) > 0).astype(leaf.dtype), shapes
    )
    lesson = system.blueprint.learning.lessons[-1].name
    params = jax.tree.map(
        lambda leaf: jnp.asarray(0.1 * draws.normal(size=leaf.shape), jnp.float32),
        unbox(jax.eval_shape(system.init, jax.random.key(0))),
    )

    def total(params: Any, batch: Any, key: jax.Array) -> Any:
        return system.loss(params, batch, key, lesson)

    key = jax.random.key(7)
    got = jax.jit(graded(total, 2, lambda g: g))(params, batch, key)
    grade = jax.jit(jax.value_and_grad(total, has_aux=True))
    each = [
        grade(params, jax.tree.map(lambda x, i=i: x[i::2], batch), jax.random.fold_in(key, i))
        for i in range(2)
    ]
    wanted = jax.tree.map(lambda a, b: (a + b) / 2, *each)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6), got, wanted)


class Quiet(ToySystem):
    """The toy without its draw, and with masked losses."""

    def loss(self, params: Any, batch: Batch, key: jax.Array, objective: str) -> Any:
        hidden = ToyContext().apply({"params": params["context"]}, batch)
        video, action = ToyHeads().apply({"params": params["model"]}, hidden)
        colour = batch.frames[:, :, -1].mean((1, 2, 3)) / 255.0
        total = masked_mean(jnp.square(video - colour), batch.frame_mask[:, :1])
        total += masked_mean(jnp.square(action - batch.actions), batch.action_mask)
        return total, {"loss/all": total}


@functools.cache
def stepped(parts: int, mesh: MeshConfig, devices: int) -> Any:
    """(weights, metrics) after two steps in `parts` parts."""
    over = make_mesh(mesh, jax.devices()[:devices])
    config = dataclasses.replace(ToyRun().train, batch=ROWS, accumulate=parts)
    system = Quiet()
    stage = stages_of((StageConfig(),), 20)[0]
    plan = plan_stage(stage, jax.eval_shape(system.init, jax.random.key(0)), config, over)
    rows = batch_sharding(over, ROWS, parts)
    step = make_step(system, plan, config.ema, rows, AugmentConfig(), parts=config.parts)
    state = init_state(system, plan, jax.random.key(0))
    key = jax.device_put(jax.random.key(1), replicated(over))
    loader, metrics = iter(ToyLoader(ROWS)), {}
    for _ in range(2):
        batch = next(loader)
        padded = np.arange(ROWS) % 3 == 0
        mask = batch.action_mask & ~padded[:, None, None]
        batch = dataclasses.replace(batch, action_mask=mask)
        state, metrics = step(state, put_batch(batch, rows), key)
    placed = jax.tree.map(lambda leaf, place: leaf.sharding == place, state, plan.shardings)
    assert all(jax.tree.leaves(placed))
    return jax.device_get((state.params, metrics))


@pytest.mark.parametrize(
    ("mesh", "devices"),
    [(MeshConfig(), 1), (MeshConfig(data=1, fsdp=2, tensor=2), 4)],
    ids=["one device", "fsdp 2, tensor 2"],
)
def test_a_step_in_parts_is_the_step_of_the_whole_on_any_mesh(mesh: MeshConfig, devices: int):
    got, wanted = stepped(4, mesh, devices), stepped(1, MeshConfig(), 1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6), got, wanted)


def test_counting_asks_no_network():
    weights, batch = drawn(0.5)

    def twice(weights: Any) -> Any:
        return graded(loss, 2, lambda g: g)(weights, batch, jax.random.key(0))

    # Forward and the weight's gradient: the pass that counts does no product.
    assert count_flops(jax.make_jaxpr(twice)(weights)) == 2 * 2 * ROWS * WIDTH * WIDTH


def test_masked_means_are_noted_in_their_order():
    with counting() as counts:
        masked_mean(jnp.ones(3), jnp.array([True, False, True]))
        masked_mean(jnp.ones((2, 2)), jnp.bool_(True))
    assert [int(count) for count in counts] == [2, 4]


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="8 examples do not divide by 3"):
        TrainConfig(batch=8, accumulate=3)
    mesh = make_mesh(MeshConfig(data=4), jax.devices()[:4])
    with pytest.raises(UserError, match=r"4 devices, 4 parts each, .* a multiple of 16"):
        batch_sharding(mesh, 8, 4)
