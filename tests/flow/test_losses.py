"""Losses of heads that do not flow: their formulas, and one law of masks for all."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from wamjax.flow.losses import (
    Part,
    absolute_loss,
    binary_loss,
    decided,
    grouped_mean,
    parts_loss,
    token_loss,
)

KEYS = jax.random.split(jax.random.key(0), 5)
PREDICTED, TARGET = (3 * jax.random.normal(key, (4, 6)) for key in KEYS[:2])
MASK = jax.random.bernoulli(KEYS[2], 0.6, (4, 6))
LABEL = jax.random.bernoulli(KEYS[3], 0.5, (4, 6)).astype(jnp.float32)
TOKEN = jax.random.randint(KEYS[3], (4, 6), 0, 9)
LOGITS = jax.random.normal(KEYS[4], (4, 6, 9))
GROUPS = (((0, 1, 2), 500.0), ((3, 4), 10.0), ((5,), 1.0))


def grouped(predicted, target, mask):
    kept = jnp.where(mask, predicted - target, 0)
    return grouped_mean(jnp.square(kept), mask, GROUPS)


CASES = {
    "absolute": (absolute_loss, PREDICTED, TARGET, np.abs(PREDICTED - TARGET)),
    "binary": (
        binary_loss,
        PREDICTED,
        LABEL,
        optax.losses.sigmoid_binary_cross_entropy(PREDICTED, LABEL),
    ),
    "token": (
        token_loss,
        LOGITS,
        TOKEN,
        optax.losses.softmax_cross_entropy_with_integer_labels(LOGITS, TOKEN),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_mean_of_the_formula_over_the_real_entries(name):
    loss, predicted, target, values = CASES[name]
    expected = np.asarray(values)[np.asarray(MASK)].mean()
    np.testing.assert_allclose(loss(predicted, target, MASK), expected, rtol=1e-5)


@pytest.mark.parametrize("name", [*CASES, "grouped"])
def test_what_is_masked_changes_neither_loss_nor_gradient(name):
    cases = {name: case[:3] for name, case in CASES.items()}
    loss, predicted, target = (cases | {"grouped": (grouped, PREDICTED, TARGET)})[name]
    both = jax.jit(jax.value_and_grad(loss))
    mask = MASK[..., None] if predicted.ndim == 3 else MASK
    wild = jnp.where(MASK, target, -7 if target.dtype == jnp.int32 else jnp.nan)
    value, slope = both(predicted, target, MASK)
    other, other_slope = both(jnp.where(mask, predicted, jnp.inf), wild, MASK)
    assert value == other
    np.testing.assert_array_equal(slope, other_slope)
    value, slope = both(predicted, target, jnp.zeros_like(MASK))
    assert value == 0
    assert not np.any(slope)


def test_weights_multiply_and_do_not_divide():
    weight = jnp.array([2.0, 0.0, 0.0, 0.0])[:, None]
    everything = jnp.ones((4, 1), bool)
    np.testing.assert_allclose(
        absolute_loss(PREDICTED, TARGET, everything, weight),
        2 * np.abs(PREDICTED - TARGET)[0].sum() / 24,
        rtol=1e-6,
    )


def test_each_group_has_its_own_mean():
    """X-VLA: 500 MSE of the position + 10 MSE of the rotation + the gripper."""
    error = np.square(np.asarray(PREDICTED - TARGET))
    real = np.asarray(MASK)
    expected = (
        500 * error[:, :3][real[:, :3]].mean()
        + 10 * error[:, 3:5][real[:, 3:5]].mean()
        + error[:, 5:][real[:, 5:]].mean()
    )
    np.testing.assert_allclose(grouped(PREDICTED, TARGET, MASK), expected, rtol=1e-5)


def test_a_group_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="0 to 5"):
        grouped_mean(PREDICTED, MASK, (((6,), 1.0),))
    with pytest.raises(ValueError, match="lists"):
        grouped_mean(PREDICTED, MASK, (((), 1.0),))


def test_binary_loss_is_finite_for_huge_logits():
    logit = jnp.array([[1e4, -1e4]])
    both = jax.jit(
        jax.value_and_grad(lambda z: binary_loss(z, 1.0 - (z > 0), jnp.ones((1, 2), bool)))
    )
    value, slope = both(logit)
    np.testing.assert_allclose(value, 1e4)
    np.testing.assert_allclose(slope, [[0.5, -0.5]])


PARTS = (
    Part(dimensions=(0, 2), weight=500.0),
    Part(dimensions=(1, 3), weight=10.0),
    Part(dimensions=(5,), weight=2.0, loss="binary"),
)


def test_parts_are_scored_by_their_own_formulas():
    """Written out: dimension 4 is in no part, and a target beyond 1 is certain."""
    target = TARGET.at[:, 5].set(jnp.array([1.0, -1.0, 0.0, 3.0]))
    expected = 0.0
    for dimensions, weight in (((0, 2), 500.0), ((1, 3), 10.0)):
        own = np.array(dimensions)
        errors = np.square(np.asarray(PREDICTED - target))[:, own]
        expected += weight * errors[np.asarray(MASK)[:, own]].mean()
    chance = np.array([1.0, 0.0, 0.5, 1.0])
    entropy = optax.losses.sigmoid_binary_cross_entropy(PREDICTED[:, 5], chance)
    expected += 2.0 * np.asarray(entropy)[np.asarray(MASK)[:, 5]].mean()
    ours = parts_loss(PARTS, PREDICTED, target, MASK)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
    wild = jnp.where(MASK, target, jnp.nan)
    assert parts_loss(PARTS, PREDICTED, wild, MASK) == ours
    assert bool(jnp.isfinite(jax.grad(parts_loss, argnums=1)(PARTS, PREDICTED, wild, MASK)).all())


def test_decided_values_have_the_least_expected_square_error():
    """Of a logit's two outcomes -1 and 1: their mean. Other dimensions stay."""
    out = np.asarray(decided(PARTS, PREDICTED))
    np.testing.assert_array_equal(out[:, :5], PREDICTED[:, :5])
    chance = 1 / (1 + np.exp(-np.asarray(PREDICTED[:, 5], np.float64)))
    np.testing.assert_allclose(out[:, 5], chance - (1 - chance), atol=1e-6)


def test_a_part_without_dimensions_is_refused():
    with pytest.raises(ValueError, match="at least one dimension"):
        Part(dimensions=(), weight=1.0)
