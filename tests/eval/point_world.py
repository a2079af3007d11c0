"""A point in the plane that should reach a goal: the Env interface without physics."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.records import Observation
from wamjax.eval.worlds import AXES, CLEAN, Worlds
from wamjax.policy import Needs, Policy

SIZE, TEXT, REACH = 8, 4, 0.15
NEEDS = Needs(cameras=("primary",), history=1, image_size=SIZE, proprio=4, text=TEXT)


@flax.struct.dataclass
class Variant:
    axis: Any
    sub_axis: Any
    severity: Any
    seed: Any


@flax.struct.dataclass
class State:
    at: Any
    goal: Any
    steps: Any
    metrics: dict[str, Any]


def metrics(at, goal, steps, breaks):
    distance = jnp.linalg.norm(at - goal)
    broken = (breaks >= 0) & (steps >= breaks)
    return {
        "distance": jnp.where(broken, jnp.nan, distance),
        "success": (distance < REACH).astype(jnp.float32),
        "diverged": broken.astype(jnp.float32),
        "mode": jnp.where(broken, 0.0, -1.0),
        "other": 0.0 * distance,
        "breaks": breaks,
    }


class PointEnv:
    """Start and goal hang on the seed; every 7th seed breaks after five steps."""

    cameras = ("wrist", "primary")

    def reset_variant(self, variant: Variant) -> State:
        start, goal = jax.random.uniform(jax.random.key(variant.seed), (2, 2), minval=-1, maxval=1)
        goal = goal + 0.1 * variant.axis.astype(jnp.float32)
        steps = jnp.array(0, jnp.int32)
        breaks = jnp.where(variant.seed % 7 == 3, 5, -1)
        return State(start, goal, steps, metrics(start, goal, steps, breaks))

    def step(self, state: State, action: jax.Array) -> State:
        at, steps = state.at + 0.1 * jnp.clip(action[:2], -1, 1), state.steps + 1
        return State(at, state.goal, steps, metrics(at, state.goal, steps, state.metrics["breaks"]))

    def observe(self, state: State) -> Observation:
        primary = self.render(state, "primary", SIZE)
        return Observation(
            frames=jnp.stack([jnp.zeros_like(primary), primary])[:, None],
            camera_mask=jnp.ones(2, bool),
            proprio=jnp.concatenate([state.at, state.goal]),
            text=jnp.zeros(TEXT, jnp.uint8),
        )

    def render(self, state: State, camera: str, size: int) -> jax.Array:
        grid = jnp.linspace(-1.5, 1.5, size)
        near = jnp.exp(-20 * ((grid[:, None] - state.at[0]) ** 2 + (grid - state.at[1]) ** 2))
        goal = jnp.exp(-20 * ((grid[:, None] - state.goal[0]) ** 2 + (grid - state.goal[1]) ** 2))
        return (255 * jnp.stack([near, goal, 0 * near], -1)).astype(jnp.uint8)


def noisy_act(weights, observation, key):
    """Towards the goal, plus noise: depends on observation, weights and key."""
    at, goal = observation.proprio[:, :2], observation.proprio[:, 2:]
    heading = (goal - at) / jnp.linalg.norm(goal - at, axis=1, keepdims=True)
    noise = jax.random.normal(key, (at.shape[0], 4, 2))
    return weights["gain"] * heading[:, None] + weights["noise"] * noise


def imagine(weights, observation, key):
    future = jnp.repeat(observation.frames[:, :, -1:], 2, axis=2)
    return noisy_act(weights, observation, key), 255 - future


POLICY = Policy(
    name="trained", chunk=4, replan=3, act=noisy_act, needs=NEEDS, imagine=imagine, frame_stride=3
)
WEIGHTS = {"gain": jnp.float32(0.6), "noise": jnp.float32(0.8)}
HORIZON = 16


def variants(seeds, axis=0) -> Variant:
    seeds = np.asarray(seeds, np.int32)
    fill = np.zeros_like(seeds)
    return Variant(axis=fill + axis, sub_axis=fill, severity=fill + 1, seed=seeds)


def worlds(seeds_per_axis: int = 5) -> Worlds:
    names = [name for name in (CLEAN, *AXES) for _ in range(seeds_per_axis)]
    seeds = [seed for _ in (CLEAN, *AXES) for seed in range(seeds_per_axis)]
    numbers = np.array([(CLEAN, *AXES).index(name) for name in names])
    return Worlds(
        env=PointEnv(),
        variants=variants(seeds, numbers),
        axes=tuple(names),
        rows=tuple({"axis": n, "seed": s, "severity": 1} for n, s in zip(names, seeds)),
        horizon=HORIZON,
    )
