"""Brax's own PPO learns `reach` from the state: rewards, observations and wrappers hold.

training   800 thousand control ticks in 512 worlds, C physics, minutes on two cores
check      the deterministic policy in 256 clean worlds that training never saw
"""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.envs.base import Wrapper

from wamjax.core.runtime import program_jit
from wamjax.sim.control import LARGEST_TURN, LONGEST_STEP
from wamjax.sim.env import TabletopEnv
from wamjax.sim.simulators import State
from wamjax.sim.variants import clean_variant

SPAN = np.array([0.04, 0.04, 0.04, 0.05, 0.05, 0.05, 0.5], np.float32)
MIDDLE = np.array([0, 0, 0, 0, 0, 0, 0.5], np.float32)
"""A policy's -1..1 as an ee_delta action: m, rad, gripper 0..1."""
TICKS = 800_000
WORLDS = 256
LEAST = 0.9


class Scaled(Wrapper):
    """Actions in -1..1."""

    def step(self, state: State, action: jax.Array) -> State:
        return self.env.step(state, MIDDLE + SPAN * jnp.clip(action, -1.0, 1.0))


def test_scaled_actions_stay_inside_the_limits_of_the_controller() -> None:
    assert SPAN[:3].max() <= LONGEST_STEP
    assert SPAN[3:6].max() <= LARGEST_TURN


def wilson(wins: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a rate."""
    rate, scale = wins / count, 1 + z**2 / count
    middle = (rate + z**2 / (2 * count)) / scale
    half = z * np.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2)) / scale
    return middle - half, middle + half


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_ppo_learns_reach(capsys: pytest.CaptureFixture) -> None:
    if not hasattr(jax, "device_put_replicated"):
        pytest.skip(f"brax's trainers need jax.device_put_replicated, not in jax {jax.__version__}")
    from brax.training.agents.ppo import networks, train

    env = Scaled(TabletopEnv("reach", physics="c"))
    log: list[tuple[int, float]] = []

    def note(step: int, metrics: dict[str, Any]) -> None:
        log.append((step, float(metrics["eval/episode_success"])))
        with capsys.disabled():
            print(f"\n{step} ticks, success {log[-1][1]:.3f}, {time.perf_counter() - began:.0f} s")

    began = time.perf_counter()
    make_policy, params, _ = train.train(
        environment=env,
        num_timesteps=TICKS,
        episode_length=18,
        num_envs=512,
        unroll_length=6,
        batch_size=256,
        num_minibatches=8,
        num_updates_per_batch=6,
        learning_rate=1e-3,
        entropy_cost=3e-3,
        discounting=0.95,
        normalize_observations=True,
        network_factory=functools.partial(
            networks.make_ppo_networks,
            policy_hidden_layer_sizes=(128, 128),
            value_hidden_layer_sizes=(128, 128),
        ),
        num_evals=5,
        num_eval_envs=128,
        deterministic_eval=True,
        seed=0,
        max_devices_per_host=1,
        progress_fn=note,
    )
    seconds = time.perf_counter() - began
    act = make_policy(params, deterministic=True)

    def one(seed: jax.Array) -> jax.Array:
        def tick(state: State, _: None) -> tuple[State, None]:
            return env.step(state, act(state.obs, jax.random.PRNGKey(0))[0]), None

        start = env.reset_variant(clean_variant(seed))
        return jax.lax.scan(tick, start, None, length=18)[0].metrics["success"]

    success = np.asarray(program_jit(jax.vmap(one))(np.arange(WORLDS, dtype=np.int32)))
    wins = int(success.sum())
    low, high = wilson(wins, WORLDS)
    with capsys.disabled():
        print(
            f"\nPPO on reach: {wins} of {WORLDS} worlds, {wins / WORLDS:.1%} "
            f"[{low:.1%}, {high:.1%}] after {log[-1][0]} ticks in {seconds:.0f} s"
        )
    assert wins >= LEAST * WORLDS
