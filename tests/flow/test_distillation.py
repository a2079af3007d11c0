"""Jumps: exact on a flow that is known, and nearer to the data than Euler once they are learned.

The known flow is that of a Gaussian N(mu, s^2): (x - a mu) / spread is constant along it, so the
mean velocity over a jump is closed.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from wamjax.flow.jumps import sample_jumps
from wamjax.flow.laws import LevelLaw
from wamjax.flow.loss import velocity_loss
from wamjax.flow.mean_flow import draw_spans, mean_flow_loss
from wamjax.flow.path import corrupt, velocity
from wamjax.flow.shortcut import draw_jumps, shortcut_loss

MEAN, DEVIATION = 0.7, 0.6
KEY = jax.random.key(0)
EVERYWHERE = jnp.ones((1, 1), bool)
BATCH, WIDTH, TRAIN_STEPS = 256, 64, 600


def mean_velocity(x: jax.Array, sigma: jax.Array, step: jax.Array) -> jax.Array:
    """(x(sigma) - x(sigma - step)) / step, and its limit at step 0."""
    level, far = sigma[:, None], (sigma - step)[:, None]

    def variance(s: jax.Array) -> jax.Array:
        return jnp.square((1 - s) * DEVIATION) + jnp.square(s)

    deviation = (x - (1 - level) * MEAN) / jnp.sqrt(variance(level))
    # (root(V) - root(V')) / (s - s') = (V - V') / (s - s') / (root(V) + root(V')), finite at s = s'
    sum_of_levels = level + far
    change = (1 + DEVIATION**2) * sum_of_levels - 2 * DEVIATION**2
    roots = jnp.sqrt(variance(level)) + jnp.sqrt(variance(far))
    return deviation * change / roots - MEAN


@pytest.mark.parametrize("steps", [1, 2])
def test_the_true_mean_velocity_lands_on_the_data_in_any_number_of_jumps(steps):
    noise = jax.random.normal(jax.random.key(0), (64, 2))
    out = sample_jumps(mean_velocity, noise, steps)
    np.testing.assert_allclose(out, MEAN + DEVIATION * noise, atol=1e-5)


def gaussian_batch(count: int) -> tuple[jax.Array, jax.Array]:
    keys = jax.random.split(jax.random.key(1))
    noise, clean = jax.random.normal(keys[0], (count, 2)), jax.random.normal(keys[1], (count, 2))
    return MEAN + DEVIATION * clean, noise


def test_two_true_half_jumps_are_the_true_jump():
    clean, noise = gaussian_batch(512)
    sigma, step = jax.jit(lambda k: draw_jumps(k, 512, 512))(KEY)

    @functools.partial(jax.jit, static_argnums=1)
    def both(scale: float, jumps: int) -> tuple[jax.Array, jax.Array]:
        """The loss at a multiple of the truth, taught by the truth, and its slope."""

        def loss(scale: jax.Array) -> jax.Array:
            def scaled(x: jax.Array, s: jax.Array, d: jax.Array) -> jax.Array:
                return scale * mean_velocity(x, s, d)

            return shortcut_loss(
                scaled,
                clean,
                noise,
                sigma,
                step,
                EVERYWHERE,
                jumps=jumps,
                smallest=0.0,
                teacher=mean_velocity,
            )

        return jax.value_and_grad(loss)(scale)

    loss, slope = both(1.0, 512)
    assert loss < 1e-9
    assert abs(slope) < 1e-4
    assert both(1.2, 512)[1] > 0.05
    # As flow matching the truth has a loss: the noise of a sample is not the mean of all.
    assert both(1.0, 0)[0] > 0.1


def test_the_smallest_half_is_followed_at_length_zero():
    told = []

    def noted(x: jax.Array, sigma: jax.Array, step: jax.Array) -> jax.Array:
        told.append(np.asarray(step))
        return x

    clean, noise = gaussian_batch(4)
    step = jnp.array([1.0, 0.25, 0.5, 0.0])
    shortcut_loss(noted, clean, noise, jnp.ones(4), step, EVERYWHERE, jumps=3, smallest=1 / 8)
    np.testing.assert_array_equal(told[0], [0.5, 0, 0.25])
    np.testing.assert_array_equal(told[1], told[0])
    np.testing.assert_array_equal(told[2], step)


def test_jumps_are_powers_of_two_that_end_on_their_own_grid():
    sigma, step = map(np.asarray, jax.jit(lambda k: draw_jumps(k, 2_000, 1_500, 4))(KEY))
    np.testing.assert_array_equal(np.unique(step[:1_500]), [1 / 8, 1 / 4, 1 / 2, 1])
    np.testing.assert_array_equal(sigma[:1_500] % step[:1_500], 0)
    assert np.all(sigma >= step)
    assert sigma.max() <= 1
    np.testing.assert_array_equal(step[1_500:], 0)
    assert len(np.unique(sigma[1_500:])) > 490


def test_spans_lie_inside_the_path():
    sigma, step = map(np.asarray, jax.jit(lambda k: draw_spans(k, 4_000, 0.75))(KEY))
    assert np.all((step >= 0) & (step <= sigma) & (sigma <= 1))
    np.testing.assert_allclose((step == 0).mean(), 0.75, atol=0.03)


def test_the_true_mean_velocity_solves_the_equation_of_mean_flow():
    """Over many samples at one place the gradient is that of the mean: zero at the truth.

    The scale of the truth is the one parameter; v enters linearly, so that its conditional mean
    alone counts."""

    @jax.jit
    def gradient(scale: jax.Array) -> jax.Array:
        clean, noise = gaussian_batch(100_000)
        sigma, step = draw_spans(jax.random.key(3), 100_000, 0.0)
        return jax.grad(
            lambda scale: mean_flow_loss(
                lambda x, s, d: scale * mean_velocity(x, s, d),
                clean,
                noise,
                sigma,
                step,
                EVERYWHERE,
                power=0.0,
            )
        )(scale)

    assert abs(gradient(1.0)) < 0.02
    assert gradient(1.2) > 0.1
    assert gradient(0.8) < -0.1


def test_mean_flow_of_no_length_is_flow_matching():
    clean, noise = gaussian_batch(64)
    zero = jnp.zeros(64)

    @jax.jit
    def losses(sigma: jax.Array) -> tuple[jax.Array, jax.Array]:
        slope = mean_velocity(corrupt(clean, noise, sigma), sigma, zero)
        ours = mean_flow_loss(mean_velocity, clean, noise, sigma, zero, EVERYWHERE, power=0.0)
        return velocity_loss(slope, velocity(clean, noise), EVERYWHERE), ours

    np.testing.assert_allclose(*losses(jax.random.uniform(KEY, (64,))), rtol=1e-5)


def mixture(key: jax.Array, count: int) -> jax.Array:
    """Eight Gaussians on a circle."""
    keys = jax.random.split(key)
    angle = jax.random.randint(keys[0], (count,), 0, 8) * jnp.pi / 4
    centre = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    return 1.5 * centre + 0.1 * jax.random.normal(keys[1], (count, 2))


def network(weights: list, x: jax.Array, sigma: jax.Array, step: jax.Array) -> jax.Array:
    times = jnp.stack([sigma, step], axis=-1)
    waves = [f(k * jnp.pi * times) for k in (0.5, 1.0, 2.0) for f in (jnp.sin, jnp.cos)]
    h = jnp.concatenate([x, *waves], axis=-1)
    for weight, bias in weights[:-1]:
        h = jax.nn.silu(h @ weight + bias)
    weight, bias = weights[-1]
    return h @ weight + bias


def flow_objective(net, clean, noise, key):
    sigma = jax.random.uniform(key, (BATCH,))
    x = corrupt(clean, noise, sigma)
    slope = net(x, sigma, jnp.zeros(BATCH))
    return velocity_loss(slope, velocity(clean, noise), EVERYWHERE)


def shortcut_objective(net, clean, noise, key):
    jumps = BATCH // 4
    sigma, step = draw_jumps(key, BATCH, jumps, halvings=5)
    return shortcut_loss(net, clean, noise, sigma, step, EVERYWHERE, jumps=jumps, smallest=2.0**-5)


def mean_flow_objective(net, clean, noise, key):
    sigma, step = draw_spans(key, BATCH, 0.5, LevelLaw())
    return mean_flow_loss(net, clean, noise, sigma, step, EVERYWHERE)


@functools.cache
def trained(objective) -> list:
    sizes = [(14, WIDTH), (WIDTH, WIDTH), (WIDTH, WIDTH), (WIDTH, 2)]
    keys = jax.random.split(jax.random.key(0), 4)
    weights = [
        (jax.random.normal(k, size) * size[0] ** -0.5, jnp.zeros(size[1]))
        for k, size in zip(keys, sizes, strict=True)
    ]
    optimizer = optax.adam(optax.cosine_decay_schedule(3e-3, TRAIN_STEPS))

    def train_step(state, key):
        weights, memory = state
        keys = jax.random.split(key, 3)
        clean, noise = mixture(keys[0], BATCH), jax.random.normal(keys[1], (BATCH, 2))
        slope = jax.grad(lambda w: objective(functools.partial(network, w), clean, noise, keys[2]))(
            weights
        )
        change, memory = optimizer.update(slope, memory)
        return (optax.apply_updates(weights, change), memory), None

    keys = jax.random.split(jax.random.key(1), TRAIN_STEPS)
    run = jax.jit(lambda state: jax.lax.scan(train_step, state, keys)[0])
    return run((weights, optimizer.init(weights)))[0]


def distance(objective, steps: int) -> float:
    """Sliced Wasserstein-1 distance to the data, 4096 samples on 64 lines."""
    noise = jax.random.normal(jax.random.key(2), (4096, 2))
    velocity_of = functools.partial(network, trained(objective))
    if objective is flow_objective:
        own = velocity_of

        def velocity_of(x, sigma, step):
            return own(x, sigma, jnp.zeros_like(step))

    ours = sample_jumps(velocity_of, noise, steps)
    angle = jnp.arange(64) * jnp.pi / 64
    lines = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
    a, b = (jnp.sort(p @ lines, axis=0) for p in (ours, mixture(jax.random.key(3), 4096)))
    return float(jnp.abs(a - b).mean())


@pytest.mark.parametrize("objective", [shortcut_objective, mean_flow_objective])
@pytest.mark.parametrize("steps", [1, 2])
def test_learned_jumps_are_nearer_to_the_data_than_euler(objective, steps):
    ours, euler = distance(objective, steps), distance(flow_objective, steps)
    assert ours < 0.4 * euler
