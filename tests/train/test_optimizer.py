import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from wamjax.core.errors import UserError
from wamjax.train.config import TrainConfig
from wamjax.train.optimizer import (
    decay_mask,
    ema_update,
    learning_rate_schedule,
    make_optimizer,
    steps_taken,
)
from wamjax.train.selection import join, part, trained_mask

TREE = {"a": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}, "b": {"kernel": jnp.ones((3, 1))}}


def test_the_schedule_is_linear_then_cosine():
    config = TrainConfig(learning_rate=2.0, warmup=0.1, end_fraction=0.25)
    schedule = learning_rate_schedule(config, 100)
    values = np.asarray(jax.vmap(schedule)(jnp.arange(101)))
    np.testing.assert_allclose(values[:10], 0.2 * np.arange(1, 11), rtol=1e-6)
    theirs = optax.cosine_decay_schedule(2.0, 90, alpha=0.25)
    np.testing.assert_allclose(values[10:], [theirs(n) for n in range(91)], rtol=1e-5)


def test_a_schedule_without_warm_up_starts_at_the_peak():
    schedule = learning_rate_schedule(TrainConfig(learning_rate=2.0, warmup=0.0), 10)
    assert float(schedule(0)) == 2.0


def test_the_average_follows_its_formula():
    weights = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    ours = expected = weights[0]
    for n, new in enumerate(weights[1:]):
        ours = ema_update({"w": ours}, {"w": jnp.asarray(new)}, 0.8, jnp.int32(n))["w"]
        decay = min(0.8, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * new
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_the_average_of_a_still_weight_is_that_weight_and_decay_zero_is_the_newest():
    old, new = jnp.float32(0.1), jnp.float32(0.3)
    assert float(ema_update(old, old, 0.999, jnp.int32(7))) == float(old)
    assert float(ema_update(old, new, 0.0, jnp.int32(7))) == float(new)


def test_only_matrices_decay():
    def boxed(shape: tuple[int, ...], names: tuple[str | None, ...]) -> nn.LogicallyPartitioned:
        return nn.LogicallyPartitioned(jnp.zeros(shape), names)

    tree = {
        "kernel": boxed((2, 3), ("embed", "mlp")),
        "stacked_bias": boxed((4, 3), ("layer", "mlp")),
        "query": boxed((4, 3, 2), ("layer", "embed", "heads")),
        "table": boxed((9, 3), ("vocab", "embed")),
        "position_embedding": boxed((5, 3), (None, "embed")),
        "scale": jnp.zeros(3),
        "plain": jnp.zeros((3, 3)),
    }
    mask = decay_mask(tree)
    assert {name for name, decays in mask.items() if decays} == {"kernel", "query", "plain"}


def test_decay_and_clipping_act_as_said():
    config = TrainConfig(weight_decay=0.5, clip=1.0)
    tree = {"a": jnp.ones((2, 2)), "b": jnp.ones(2)}
    optimizer = make_optimizer(config, lambda _: 0.1, {"a": True, "b": False})
    state = optimizer.init(tree)
    still, _ = optimizer.update(jax.tree.map(jnp.zeros_like, tree), state, tree)
    np.testing.assert_allclose(still["a"], -0.1 * 0.5, rtol=1e-6)
    np.testing.assert_array_equal(still["b"], 0.0)
    gradient = {"a": jnp.full((2, 2), 300.0), "b": jnp.zeros(2)}
    _, after = optimizer.update(gradient, state, tree)
    mean = optax.tree_utils.tree_get(after, "mu")["a"]
    np.testing.assert_allclose(mean, (1 - 0.9) * 0.5, rtol=1e-5)


def test_the_two_halves_make_the_whole():
    mask = trained_mask(TREE, ("a/.*",))
    assert mask == {"a": {"kernel": True, "bias": True}, "b": {"kernel": False}}
    trained, frozen = part(TREE, mask, keep=True), part(TREE, mask, keep=False)
    assert len(jax.tree.leaves(trained)) == 2
    assert len(jax.tree.leaves(frozen)) == 1
    whole = join(trained, frozen)
    assert jax.tree.structure(whole) == jax.tree.structure(TREE)
    assert all(a is b for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(TREE), strict=True))


def test_patterns_match_whole_paths_and_must_match_something():
    assert not any(jax.tree.leaves(trained_mask(TREE, ("(?!a/).*",))["a"]))
    with pytest.raises(UserError, match="match no weight; paths begin with: a, b"):
        trained_mask(TREE, ("kernel",))
    with pytest.raises(UserError, match="not a regular expression"):
        trained_mask(TREE, ("(",))


OPTIONS = [
    TrainConfig(mu_dtype="bfloat16"),
    TrainConfig(optimizer="adafactor"),
    TrainConfig(optimizer="adafactor", mu_dtype="bfloat16"),
]


def named(config: TrainConfig) -> str:
    return f"{config.optimizer or 'adamw'}-{config.mu_dtype}"


@pytest.mark.parametrize("config", OPTIONS, ids=named)
def test_every_optimizer_goes_down_and_decays_what_it_is_told_to(config: TrainConfig):
    config = dataclasses.replace(config, weight_decay=0.5)
    target = jnp.asarray(np.random.default_rng(0).normal(size=(130, 140)), jnp.float32)
    weights = {"a": jnp.zeros((130, 140)), "b": jnp.ones(3)}
    optimizer = make_optimizer(config, lambda _: 0.1, {"a": True, "b": False})
    state = optimizer.init(weights)
    assert int(steps_taken(state)) == 0
    nothing = jax.tree.map(jnp.zeros_like, weights)
    still, _ = optimizer.update(nothing, state, {**weights, "a": target})
    np.testing.assert_allclose(still["a"], -0.1 * 0.5 * target, rtol=1e-5)
    np.testing.assert_allclose(still["b"], 0.0, atol=1e-7)

    def loss(weights: dict[str, jax.Array]) -> jax.Array:
        return jnp.square(weights["a"] - target).mean() + jnp.square(weights["b"]).mean()

    @jax.jit
    def step(weights: dict[str, jax.Array], state: Any) -> Any:
        updates, state = optimizer.update(jax.grad(loss)(weights), state, weights)
        return optax.apply_updates(weights, updates), state

    begun = float(loss(weights))
    for _ in range(20):
        weights, state = step(weights, state)
    assert float(loss(weights)) < 0.5 * begun
    assert int(steps_taken(state)) == 20


def slot_bytes(config: TrainConfig, side: int) -> float:
    """Bytes of the slots a weight of a square matrix."""
    weights = {"w": jax.ShapeDtypeStruct((side, side), jnp.float32)}
    slots = jax.eval_shape(make_optimizer(config, lambda _: 0.1, {"w": True}).init, weights)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(slots)) / side**2


@pytest.mark.parametrize(
    ("config", "size"), list(zip(OPTIONS, [6, 0, 2], strict=True)), ids=[*map(named, OPTIONS)]
)
def test_slots_are_as_small_as_the_table_says(config: TrainConfig, size: float):
    assert slot_bytes(config, 4096) == pytest.approx(size, abs=0.003)
    assert slot_bytes(TrainConfig(), 4096) == pytest.approx(8, abs=0.003)
