"""Jumps that are learned by a whole system: where there are two ways, one pass takes one of them.

Half of the demonstrations do +1 and half -1, and nothing tells which. One Euler step of a plain
flow ends between them, at the mean; a jump must end at one.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.recipes.systems import batch, small, weights
from wamjax.recipes.config import ContextConfig
from wamjax.recipes.system import System

# Minutes of training on two cores, twice that beside other work.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

ROWS, STEPS = 64, 600
DATA = batch(ROWS)
SEEN = tuple(map(jnp.asarray, (DATA.frames[:, :, :1], DATA.camera_mask, DATA.proprio, DATA.text)))


def trained(system: System):
    optimizer = optax.adam(optax.cosine_decay_schedule(3e-3, STEPS))

    def train_step(state, key):
        params, memory = state
        keys = jax.random.split(key, 3)
        way = jnp.sign(jax.random.normal(keys[0], (ROWS, 1, 1)))
        actions = way + 0.05 * jax.random.normal(keys[1], DATA.actions.shape)
        data = dataclasses.replace(DATA, actions=actions)
        slope = jax.grad(lambda p: system.loss(p, data, keys[2], "direct")[0])(params)
        change, memory = optimizer.update(slope, memory)
        return (optax.apply_updates(params, change), memory), None

    keys = jax.random.split(jax.random.key(1), STEPS)
    params = weights(system)
    run = jax.jit(lambda state: jax.lax.scan(train_step, state, keys)[0])
    return run((params, optimizer.init(params)))[0]


def error(system: System, params) -> float:
    """Mean distance of an action to the nearer way."""
    act = jax.jit(lambda p: system.sample_actions(p, *SEEN, jax.random.key(2)))
    return float(np.abs(np.abs(act(params)) - 1).mean())


def test_one_jump_is_nearer_to_the_demonstrations_than_one_step_of_a_plain_flow():
    alike = {"context": ContextConfig(kind="none"), "solver_steps": 1}
    plain, told = small("direct", **alike), small("direct", **alike, jump="shortcut")
    params = trained(told)
    more = System(dataclasses.replace(told.config, solver_steps=4))
    errors = {"euler": error(plain, trained(plain))}
    # Measured: euler 0.68, one jump 0.29.
    errors |= {"jump": error(told, params), "jumps": error(more, params)}
    assert errors["jump"] < 0.6 * errors["euler"], errors
    assert errors["jumps"] < 0.6 * errors["euler"], errors
