"""Demonstrations by the scripted experts, drawn and stepped in one compiled program.

The executed action is the expert's plus noise that wanders (an AR(1) process), the recorded one is
the expert's, so that the data show how to come back to the path (DART, Laskey et al. 2017, arXiv
1703.09327). Only successful episodes are kept, cut TAIL ticks after success.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.records import Episode
from wamjax.core.runtime import program_jit
from wamjax.core.text import decode_text
from wamjax.core.typing import Array
from wamjax.sim.env import TabletopEnv
from wamjax.sim.manifest import EVALUATION_SEEDS
from wamjax.sim.simulators import State
from wamjax.sim.variants import Variant, clean_variant

NOISE = np.array([0.01, 0.01, 0.01, 0.015, 0.015, 0.015, 0.0], np.float32)
"""Standard deviation of the executed action's noise (m, rad) at noise = 1, times the task's own
factor."""
PERSISTENCE = 0.6
TAIL = 2
TRAINING_SEEDS = EVALUATION_SEEDS
"""Demonstrations use seeds from here on."""
RUNS = 1 << 10
"""Seeds of runs are 0..RUNS - 1."""
ATTEMPTS = 20


def demonstrate(env: TabletopEnv, variant: Variant, noise: Array) -> dict[str, Array]:
    """One world of the expert, horizon steps long; traceable.

    Args:
        env: the task.
        variant: one world.
        noise: float32 [], factor on NOISE.

    Returns:
        frames uint8 [T, V, H, W, 3], proprio [T, P] and action [T, A] before each step, done bool
        [T] whether the task is solved after it, mode int32 [T], diverged bool [], text uint8 [X].
    """
    start = env.reset_variant(variant)
    key = jax.random.fold_in(jax.random.PRNGKey(variant.seed), 1)
    spread = jnp.tile(jnp.asarray(NOISE), len(env.robot.arms))
    shocks = jax.random.normal(key, (env.horizon, len(spread))) * spread * noise
    fresh = (1.0 - PERSISTENCE**2) ** 0.5

    def tick(carry: tuple, shock: Array) -> tuple[tuple, dict[str, Array]]:
        state, drift = carry
        observation = env.observe(state)
        action = env.task.expert(env.situation(state))
        drift = PERSISTENCE * drift + fresh * shock
        after = env.step(state, env.describe(state, action + drift))
        record = {
            "frames": observation.frames[:, 0],
            "proprio": observation.proprio,
            "action": env.describe(state, action),
            "mode": after.metrics["mode"].astype(jnp.int32),
            "done": after.metrics["success"] > 0.5,
        }
        return (after, drift), record

    (end, _), records = jax.lax.scan(tick, (start, 0.0 * shocks[0]), shocks)
    diverged = end.metrics["diverged"] > 0.5
    return records | {"diverged": diverged, "text": start.info["setting"].text}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Position:
    """Behind which episode of a run: enough to go on with the same bits.

    Attributes:
        tried: worlds played before the batch that the episode is of.
        before: episodes made before that batch.
        made: episodes made.
    """

    tried: int = 0
    before: int = 0
    made: int = 0


def collect(
    env: TabletopEnv, episodes: int, seed: int, *, batch: int = 64, noise: float = 1.0
) -> Iterator[Episode]:
    """Successful demonstrations, one by one; see `collect_from`."""
    for episode, _ in collect_from(env, episodes, seed, Position(), batch=batch, noise=noise):
        yield episode


def collect_from(
    env: TabletopEnv,
    episodes: int,
    seed: int,
    start: Position,
    *,
    batch: int = 64,
    noise: float = 1.0,
) -> Iterator[tuple[Episode, Position]]:
    """Successful demonstrations from a position on, each with the position behind it.

    World i of a run has seed TRAINING_SEEDS + (seed * 2^20 + i) mod 2^30, so episodes are the same
    for any batch size and two runs with different seeds share none below a million worlds. A run
    that goes on plays the batch that it was in again, so that its bits are the same, too.

    Args:
        env: the task, the cameras and the size of the pictures.
        episodes: how many to make in the whole run.
        seed: of the run, 0..RUNS - 1.
        start: from where.
        batch: worlds per program call.
        noise: factor on NOISE and on the task's own factor; 0 executes the expert's own actions.

    Raises:
        UserError: a count below one, a seed out of range, or the expert hardly ever succeeds.
    """
    if episodes < 1 or batch < 1:
        raise UserError(f"episodes ({episodes}) and batch ({batch}) must be at least 1.")
    if not 0 <= seed < RUNS:
        raise UserError(f"the seed of a run must lie in 0..{RUNS - 1}, got {seed}.")
    program = program_of(env)
    tried, made = start.tried, start.before
    while made < episodes:
        if tried > ATTEMPTS * (episodes + batch):
            raise UserError(
                f"the expert solved {made} of {tried} worlds of {env.task.name}; use less noise."
            )
        before = made
        numbers = np.arange(tried, tried + batch, dtype=np.int64)
        seeds = (TRAINING_SEEDS + (seed * (1 << 20) + numbers) % (1 << 30)).astype(np.int32)
        out = jax.device_get(program(seeds, np.float32(noise * env.task.noise)))
        for world in range(batch):
            if made < episodes and out["done"][world].any() and not out["diverged"][world]:
                made += 1
                if made > start.made:
                    behind = Position(tried=tried, before=before, made=made)
                    yield _episode(env, out, world, int(seeds[world])), behind
        tried += batch


@functools.lru_cache(maxsize=4)
def program_of(env: TabletopEnv) -> Callable[..., dict[str, Array]]:
    """(seeds int32 [E], noise factor) -> E demonstrations; compiled once per environment."""

    def one(seed: Array, noise: Array) -> dict[str, Array]:
        return demonstrate(env, clean_variant(seed), noise)

    return program_jit(jax.vmap(one, in_axes=(0, None)))


def _episode(env: TabletopEnv, out: dict[str, np.ndarray], world: int, seed: int) -> Episode:
    """World `world` of a batch as an episode of `length` steps and its last observation."""
    first = int(np.argmax(out["done"][world]))
    length = min(first + 1 + TAIL, env.horizon)
    actions = out["action"][world, :length].copy()
    actions[-1] = 0.0
    frames = out["frames"][world, :length]
    return Episode(
        frames={name: frames[:, view] for view, name in enumerate(env.cameras)},
        proprio=out["proprio"][world, :length],
        actions=actions,
        instruction=decode_text(out["text"][world]),
        success=True,
        control_hz=env.control_hz,
        metadata={
            "task": env.task.name,
            "seed": seed,
            "mode": mode_name(env, out, world),
            "looks": env.looks,
        },
    )


def mode_name(env: TabletopEnv, out: dict[str, np.ndarray], world: int) -> str:
    """How the episode was solved, in words; "" when it did not show."""
    mode = int(out["mode"][world, -1])
    return env.task.modes[mode] if mode >= 0 else ""


def expert_successes(env: TabletopEnv, worlds: int, *, batch: int = 128) -> np.ndarray:
    """Whether the expert alone solves each of `worlds` clean worlds of no demonstration, bool."""

    def one(seed: Array) -> Array:
        def tick(state: State, _: None) -> tuple[State, None]:
            return env.step(state, env.expert(state)), None

        start = env.reset_variant(clean_variant(seed))
        return jax.lax.scan(tick, start, None, length=env.horizon)[0].metrics["success"] > 0.5

    program = program_jit(jax.vmap(one))
    out = []
    for first in range(0, worlds, batch):
        seeds = np.arange(first, first + batch, dtype=np.int32)
        out.append(np.asarray(program(seeds)))
    return np.concatenate(out)[:worlds]
