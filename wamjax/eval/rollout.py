"""Policy and worlds in one compiled program.

    state[0] = reset(variant)
    every `replan` steps:   actions[K] = act(weights, observe(state), key[world, plan])
    every step:             state = step(state, action);   success = success or now(state)

    key[world, plan] = fold_in(fold_in(key, variant.seed), plan)

A world's draws hang on its seed, never on its place in the batch, so a world gives the same
episode alone, in any company, and under every perturbation axis that shares its seed. Worlds run
in batches of one fixed size (the last is filled up with repeats, whose results are dropped), so
that one compilation serves any number of them.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from wamjax.core.errors import UserError
from wamjax.core.records import Observation
from wamjax.core.runtime import physics_jit
from wamjax.core.typing import AnyArray, Array, Key, Params, PyTree
from wamjax.eval.worlds import Env, take
from wamjax.policy.base import Policy, check_observation, views_for

NEVER = -1


@flax.struct.dataclass
class Outcome:
    """What became of E episodes.

    Attributes:
        success: bool [E], solved at some step, before any divergence.
        steps_to_success: int32 [E], steps until first solved (1 = after the first), or NEVER.
        distance: float32 [E], metres to the goal after the last step before any divergence.
        closest: float32 [E], the smallest distance on the way.
        diverged: bool [E], the physics became non-finite.
    """

    success: AnyArray
    steps_to_success: AnyArray
    distance: AnyArray
    closest: AnyArray
    diverged: AnyArray


Advance = Callable[[int], None]


def viewer(policy: Policy, env: Env, variant: PyTree) -> Callable[[Any], Observation]:
    """`env.observe` with the cameras the policy was trained with, in its order.

    Args:
        policy: says what it needs.
        env: the environment.
        variant: one variant, or its shapes.

    Raises:
        UserError: a camera is missing or a shape differs; raised before anything is compiled.
    """
    if policy.needs is None:
        return env.observe
    views = views_for(policy.needs, env.cameras)

    def observe(state: Any) -> Observation:
        seen = env.observe(state)
        # Slices by constants, not a gather: XLA then drops the drawing of unused cameras.
        return seen.replace(  # pyright: ignore
            frames=jnp.stack([seen.frames[view] for view in views]),
            camera_mask=jnp.stack([seen.camera_mask[view] for view in views]),
        )

    check_observation(
        policy.needs, jax.eval_shape(lambda v: observe(env.reset_variant(v)), variant)
    )
    return observe


def plan_key(key: Key, seed: Array, plan: Array) -> Key:
    """The key of one world's plan; see the top of the file."""
    return jax.random.fold_in(jax.random.fold_in(key, seed), plan)


def latch(outcome: Outcome, metrics: dict[str, Array], step: Array, horizon: int) -> Outcome:
    """`outcome` after control step `step` (counted from 1) of one world."""
    counts = step <= horizon
    diverged = outcome.diverged | (counts & metrics["diverged"].astype(bool))
    counts = counts & ~diverged
    first = counts & metrics["success"].astype(bool) & ~outcome.success
    distance = metrics["distance"].astype(jnp.float32)
    return Outcome(
        success=outcome.success | first,
        steps_to_success=jnp.where(first, step, outcome.steps_to_success),
        distance=jnp.where(counts, distance, outcome.distance),
        closest=jnp.where(counts, jnp.minimum(outcome.closest, distance), outcome.closest),
        diverged=diverged,
    )


def begin(metrics: dict[str, Array]) -> Outcome:
    """The outcome before the first step of one world."""
    distance = metrics["distance"].astype(jnp.float32)
    return Outcome(
        success=jnp.array(False),
        steps_to_success=jnp.array(NEVER, jnp.int32),
        distance=distance,
        closest=distance,
        diverged=metrics["diverged"].astype(bool),
    )


def episode(policy: Policy, env: Env, horizon: int, observe: Callable[[Any], Observation]):
    """The equations at the top for one world: (weights, variant, key) -> Outcome.

    Each policy call sees a batch of one; vmapped over worlds this is the batched call, with a key
    per world.
    """
    plans = -(-horizon // policy.replan)

    def run(weights: Params, variant: Any, key: Key) -> Outcome:
        def tick(carry, action):
            state, outcome, step = carry
            state = env.step(state, action)
            step = step + 1
            return (state, latch(outcome, state.metrics, step, horizon), step), None

        def replan(carry, plan):
            seen = jax.tree.map(lambda leaf: leaf[None], observe(carry[0]))
            actions = policy.act(weights, seen, plan_key(key, variant.seed, plan))[0]
            return jax.lax.scan(tick, carry, actions[: policy.replan])[0], None

        state = env.reset_variant(variant)
        first = (state, begin(state.metrics), jnp.array(0, jnp.int32))
        (_, outcome, _), _ = jax.lax.scan(replan, first, jnp.arange(plans))
        return outcome

    return run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rollout:
    """A compiled rollout for batches of `batch` worlds; call it with any number of them."""

    program: Callable[..., Outcome]
    worlds: NamedSharding
    replicated: NamedSharding
    batch: int
    compile_seconds: float

    def __call__(
        self, weights: Params, variants: PyTree, key: Key, advance: Advance | None = None
    ) -> Outcome:
        """Outcomes (NumPy) in the order of the variants; `advance` hears of finished worlds."""
        weights, key = jax.device_put((weights, key), self.replicated)
        count = np.shape(jax.tree.leaves(variants)[0])[0]
        parts = []
        for start in range(0, count, self.batch):
            # Repeats of the last world fill the last batch.
            places = np.minimum(np.arange(start, start + self.batch), count - 1)
            chosen = jax.device_put(take(variants, places), self.worlds)
            real = min(self.batch, count - start)
            part = jax.device_get(self.program(weights, chosen, key))
            parts.append(jax.tree.map(lambda leaf, real=real: leaf[:real], part))
            if advance is not None:
                advance(real)
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def rollout(
    policy: Policy,
    env: Env,
    horizon: int,
    *,
    weights: Params,
    variants: PyTree,
    batch: int = 64,
    devices: Sequence[Any] | None = None,
) -> Rollout:
    """Compile the episodes of a policy in an environment.

    Args:
        policy: act, chunk and replan interval.
        env: the environment of one task.
        horizon: control steps per episode.
        weights: the policy's weights, or their shapes.
        variants: pytree of int32 [any]; only the shapes behind the world axis matter here.
        batch: worlds that run at once; rounded up to a multiple of the device count.
        devices: where worlds are spread; all devices by default.

    Raises:
        UserError: the policy cannot see what it needs, or a size is below 1.
    """
    if batch < 1 or horizon < 1:
        raise UserError(f"batch ({batch}) and horizon ({horizon}) must be at least 1.")
    chosen = jax.devices() if devices is None else devices
    mesh = Mesh(np.array(chosen), ("data",))
    worlds = NamedSharding(mesh, PartitionSpec("data"))
    replicated = NamedSharding(mesh, PartitionSpec())
    batch = -(-batch // len(chosen)) * len(chosen)

    def shape(leaf: Any, lead: tuple[int, ...], sharding: NamedSharding) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(lead, leaf.dtype, sharding=sharding)

    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), variants)
    run = episode(policy, env, horizon, viewer(policy, env, one))
    started = time.monotonic()
    program = (
        physics_jit(
            jax.vmap(run, in_axes=(None, 0, None)),
            in_shardings=(replicated, worlds, replicated),
            out_shardings=worlds,
        )
        .lower(
            jax.tree.map(lambda leaf: shape(leaf, leaf.shape, replicated), weights),
            jax.tree.map(lambda leaf: shape(leaf, (batch, *leaf.shape[1:]), worlds), variants),
            jax.tree.map(lambda leaf: shape(leaf, leaf.shape, replicated), jax.random.key(0)),
        )
        .compile()
    )
    return Rollout(
        program=program,
        worlds=worlds,
        replicated=replicated,
        batch=batch,
        compile_seconds=time.monotonic() - started,
    )
