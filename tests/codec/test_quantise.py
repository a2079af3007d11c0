"""The nearest code, the gradient that passes straight through, and codes that nobody uses."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.codec.quantise import (
    VectorQuantiser,
    code_counts,
    dead_share,
    nearest,
    perplexity,
    quantisation_loss,
    restarted,
    revival_loss,
    straight_through,
)

KEYS = jax.random.split(jax.random.key(0), 3)
X = jax.random.normal(KEYS[0], (5, 3, 4))
CODES = jax.random.normal(KEYS[1], (7, 4))
QUANTISER = VectorQuantiser(codes=7, width=4)
WEIGHTS = {"params": {"codes": CODES}}


def test_the_nearest_code_is_found_by_looking_at_all():
    distance = np.linalg.norm(np.asarray(X)[..., None, :] - np.asarray(CODES), axis=-1)
    np.testing.assert_array_equal(nearest(X, CODES), distance.argmin(-1))


def test_a_code_is_its_own_nearest():
    found = QUANTISER.apply(WEIGHTS, CODES)
    np.testing.assert_array_equal(found.index, np.arange(7))
    np.testing.assert_array_equal(found.value, CODES)
    assert found.loss == 0


def test_the_value_is_the_code_and_its_gradient_is_the_identity():
    found = QUANTISER.apply(WEIGHTS, X)
    np.testing.assert_allclose(found.value, CODES[found.index], atol=1e-6)
    weight = jax.random.normal(KEYS[2], X.shape)

    def through(x):
        return (weight * QUANTISER.apply(WEIGHTS, x).value).sum()

    np.testing.assert_array_equal(jax.grad(through)(X), weight)
    by_code = jax.grad(lambda q: (weight * straight_through(X, q)).sum())(X + 1.0)
    assert not np.any(by_code)


def test_the_loss_is_the_formula_and_each_term_moves_its_own_side():
    quantised = CODES[nearest(X, CODES)]
    square = np.square(np.asarray(X) - np.asarray(quantised)).mean()
    np.testing.assert_allclose(QUANTISER.apply(WEIGHTS, X).loss, 1.25 * square, rtol=1e-6)
    by_x, by_code = jax.grad(quantisation_loss, argnums=(0, 1))(X, quantised, 0.25)
    np.testing.assert_allclose(by_code, 2 * (quantised - X) / X.size, rtol=1e-5)
    np.testing.assert_allclose(by_x, 0.25 * 2 * (X - quantised) / X.size, rtol=1e-5)


@pytest.mark.parametrize("frozen", [False, True])
def test_used_codes_have_a_gradient_unless_they_are_frozen(frozen):
    quantiser = VectorQuantiser(codes=7, width=4, frozen=frozen)
    slope = jax.grad(lambda w: quantiser.apply(w, X).loss)(WEIGHTS)["params"]["codes"]
    used = np.asarray(code_counts(nearest(X, CODES), 7)) > 0
    assert used.any()
    np.testing.assert_array_equal(np.abs(slope).max(-1) > 0, used & (not frozen))


def test_use_is_counted():
    counts = code_counts(jnp.array([[0, 2], [2, 3]]), 5)
    np.testing.assert_array_equal(counts, [1, 0, 2, 1, 0])
    np.testing.assert_allclose(dead_share(counts), 0.4)
    np.testing.assert_allclose(perplexity(counts), np.exp(1.5 * np.log(2)), rtol=1e-6)
    np.testing.assert_allclose(perplexity(jnp.full(6, 3)), 6.0, rtol=1e-6)
    np.testing.assert_allclose(perplexity(jnp.array([9, 0, 0])), 1.0, rtol=1e-6)


def test_dead_codes_are_drawn_to_what_there_is_and_nothing_else_moves():
    counts = jnp.asarray([3, 0, 1, 0, 2, 0, 2])
    seen = jnp.full((7, CODES.shape[1]), 4.0)
    by_codes, by_seen = jax.grad(revival_loss, argnums=(0, 2))(CODES, counts, seen, KEYS[2])
    np.testing.assert_allclose(by_codes[1::2], 2.0 * (CODES[1::2] - 4.0) / CODES.size, rtol=1e-5)
    assert not np.asarray(by_codes[::2]).any()
    assert not np.asarray(by_seen).any()


def test_dead_codes_start_again_from_what_there_is():
    counts = jnp.array([3, 0, 1, 0, 2, 5, 1])
    seen = X.reshape(-1, 4)
    after = np.asarray(restarted(CODES, counts, seen, KEYS[2]))
    alive = np.asarray(counts) > 0
    np.testing.assert_array_equal(after[alive], np.asarray(CODES)[alive])
    for code in after[~alive]:
        assert (np.asarray(seen) == code).all(-1).any()
    assert dead_share(code_counts(nearest(seen, jnp.asarray(after)), 7)) < 2 / 7


def test_the_codes_start_where_the_law_says():
    table = nn.unbox(QUANTISER.init(KEYS[2], X))["params"]["codes"]
    assert np.abs(table).max() <= 1 / 7
