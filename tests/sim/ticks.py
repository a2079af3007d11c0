"""Worlds in C physics that are stepped tick by tick, so that one small program serves all tests."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.sim.conftest import stack
from wamjax.core.runtime import program_jit
from wamjax.sim.env import TabletopEnv
from wamjax.sim.variants import Variant

SHUT = np.array([0, 0, 0, 0, 0, 0, 0], np.float32)
OPEN = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)


class Ticks:
    """One environment with `worlds` worlds.

    Attributes:
        env: the environment.
        start: variants -> states.
        step: (states, actions [E, A], whether the expert acts [E]) -> states.
        tips: states -> places of the tips [E, 3].
    """

    def __init__(self, env: TabletopEnv, worlds: int):
        self.env, self.worlds = env, worlds
        self.start = program_jit(jax.vmap(env.reset_variant))

        def one(state, action, expert):
            return env.step(state, jnp.where(expert, env.expert(state), action))

        self.step = program_jit(jax.vmap(one))
        self.tips = jax.jit(jax.vmap(lambda state: env.situation(state).tip.position))

    def reset(self, variants: list[Variant]):
        """States of `worlds` worlds."""
        assert len(variants) == self.worlds
        return self.start(stack(variants))

    def act(self, states, actions: np.ndarray, ticks: int = 1):
        """The same actions ([A] or [E, A]) for some ticks."""
        told = np.broadcast_to(actions, (self.worlds, len(SHUT))).astype(np.float32)
        for _ in range(ticks):
            states = self.step(states, told, np.zeros(self.worlds, bool))
        return states

    def expert(self, states, ticks: int):
        """The expert acts for some ticks."""
        nothing = np.zeros((self.worlds, len(SHUT)), np.float32)
        for _ in range(ticks):
            states = self.step(states, nothing, np.ones(self.worlds, bool))
        return states


def positions(states) -> np.ndarray:
    """qpos [E, q]."""
    return np.asarray(states.pipeline_state.body.position)
