"""Programs that several tests share; compiling physics is most of the cost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.core.runtime import physics_jit
from wamjax.sim.env import TabletopEnv
from wamjax.sim.variants import Variant, make_variant

WORLDS = 64
TICKS = 18


def stack(variants: list[Variant]) -> Variant:
    """Many variants as one record of int32 [E]."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *variants)


def clean(seeds: range) -> Variant:
    return stack([make_variant(None, None, 0, seed) for seed in seeds])


def play(env: TabletopEnv, ticks: int):
    """(variants [E], actions [E, T, 7], use the expert [E]) -> (final states, their history)."""

    def one(variant: Variant, actions: jax.Array, expert: jax.Array):
        def tick(state, action):
            action = jnp.where(expert, env.task.expert(env.situation(state)), action)
            after = env.step(state, action)
            body = after.pipeline_state.body
            record = {
                "action": action,
                "position": body.position,
                "target": body.command.target,
                "proprio": env.proprio(after),
                "metrics": after.metrics,
                "done": after.done,
                "obs": after.obs,
                "reward": after.reward,
            }
            return after, record

        start = env.reset_variant(variant)
        end, records = jax.lax.scan(tick, start, actions)
        return start, end, records

    return physics_jit(jax.vmap(one))


@pytest.fixture(scope="session")
def reach() -> TabletopEnv:
    return TabletopEnv("reach", image_size=24)


@pytest.fixture(scope="session")
def play_reach(reach: TabletopEnv):
    """The one program of 64 reach worlds."""
    return play(reach, TICKS)


@pytest.fixture(scope="session")
def expert_reach(play_reach):
    """Clean worlds 0..63 played by the expert."""
    return play_reach(clean(range(WORLDS)), np.zeros((WORLDS, TICKS, 7), np.float32), ones())


def ones() -> np.ndarray:
    return np.ones(WORLDS, bool)
