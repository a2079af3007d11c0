"""Programs that several tests share; compiling physics is most of the cost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.core.runtime import program_jit
from wamjax.sim.env import TabletopEnv
from wamjax.sim.stepping import Physics
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

    return program_jit(jax.vmap(one))


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


BOTH_TICKS = 30
CHANGED = ("friction", "mass", "gains")
"""Dynamics that change the model."""


def both_worlds() -> list[Variant]:
    """Twenty clean stack worlds and, with seeds 0..3, the strongest changes of the model."""
    worlds = [make_variant(None, None, 0, seed) for seed in range(20)]
    return worlds + [make_variant("dynamics", sub, 5, seed) for sub in CHANGED for seed in range(4)]


@pytest.fixture(scope="session")
def play_both():
    """physics -> (actions [32, 30, 7], expert [32]) -> (start, end, history) of `both_worlds`."""
    programs = {}

    def run(physics: Physics, actions: np.ndarray, expert: np.ndarray):
        if physics not in programs:
            env = TabletopEnv("stack", physics=physics, props=False)
            programs[physics] = play(env, BOTH_TICKS)
        return jax.device_get(programs[physics](stack(both_worlds()), actions, expert))

    return run


@pytest.fixture(scope="session")
def both_histories(play_both):
    """(C's, MJX's) histories of `both_worlds`: the expert acts but in worlds 10..19, which are
    driven at random."""
    rng = np.random.default_rng(0)
    scale = np.array([0.03, 0.03, 0.03, 0.1, 0.1, 0.1, 1.0])
    actions = (rng.uniform(-1, 1, (32, BOTH_TICKS, 7)) * scale).astype(np.float32)
    expert = np.ones(32, bool)
    expert[10:20] = False
    return tuple(play_both(physics, actions, expert)[2] for physics in ("c", "mjx"))
