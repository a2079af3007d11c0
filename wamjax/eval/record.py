"""A few episodes kept as pictures, for people to look at.

The same episode as in `rollout` (same keys, same latch), in a program of its own: every control
step keeps what the policy's first camera saw, every plan keeps a larger picture of the world and
the future the policy expected.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.records import Observation
from wamjax.core.runtime import physics_jit
from wamjax.core.typing import AnyArray, Array, Key, Params, PyTree
from wamjax.eval.rollout import Outcome, begin, latch, plan_key, viewer
from wamjax.eval.worlds import Env
from wamjax.policy.base import Policy


@flax.struct.dataclass
class Recording:
    """E episodes of S control steps, replanned every R steps, in P = ceil(S / R) plans.

    Attributes:
        outcome: as in `rollout`.
        frames: uint8 [E, S + 1, H, W, 3], the policy's first camera; frame s is seen before
            action s.
        pictures: uint8 [E, P + 1, size, size, 3], before each plan and after the last.
        actions: float32 [E, S, A], raw units.
        imagined: uint8 [E, P, F, H, W, 3], what the policy expected its first camera to see
            `frame_stride`, 2 `frame_stride`, ... steps after each plan's start; F is 0 when it
            expects nothing.
        text: uint8 [E, X], the instruction as the policy read it.
    """

    outcome: Outcome
    frames: AnyArray
    pictures: AnyArray
    actions: AnyArray
    imagined: AnyArray
    text: AnyArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recorder:
    """A compiled recording program; call it with at most `worlds` variants."""

    program: Callable[..., Recording]
    worlds: int

    def __call__(self, weights: Params, variants: PyTree, key: Key) -> Recording:
        count = np.shape(jax.tree.leaves(variants)[0])[0]
        if not 1 <= count <= self.worlds:
            raise ValueError(f"this recorder takes 1 to {self.worlds} worlds, got {count}")
        places = np.minimum(np.arange(self.worlds), count - 1)
        filled = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[places]), variants)
        recording = jax.device_get(self.program(weights, filled, key))
        return jax.tree.map(lambda leaf: leaf[:count], recording)


def record(
    policy: Policy,
    env: Env,
    horizon: int,
    *,
    variants: PyTree,
    worlds: int = 8,
    camera: str | None = None,
    size: int = 192,
) -> Recorder:
    """A program that plays and films episodes.

    Args:
        policy: act, or imagine when it has it.
        env: the environment of one task.
        horizon: control steps per episode.
        variants: pytree of int32 [any]; only shapes matter here.
        worlds: worlds filmed at once.
        camera: the large pictures' camera; the environment's first by default.
        size: side of the large pictures, pixels.

    Raises:
        UserError: the policy cannot see what it needs.
    """
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), variants)
    observe = viewer(policy, env, one)
    run = _episode(policy, env, horizon, observe, camera or env.cameras[0], size)
    return Recorder(program=physics_jit(jax.vmap(run, in_axes=(None, 0, None))), worlds=worlds)


def _episode(
    policy: Policy,
    env: Env,
    horizon: int,
    observe: Callable[[Any], Observation],
    camera: str,
    size: int,
) -> Callable[[Params, Any, Key], Recording]:
    plans = -(-horizon // policy.replan)

    def think(weights: Params, seen: Observation, key: Key) -> tuple[Array, AnyArray]:
        batch = jax.tree.map(lambda leaf: leaf[None], seen)
        if policy.imagine is None:
            return policy.act(weights, batch, key)[0], seen.frames[0, :0]
        actions, future = policy.imagine(weights, batch, key)
        return actions[0], future[0, 0]

    def run(weights: Params, variant: Any, key: Key) -> Recording:
        def tick(carry, action):
            state, outcome, step = carry
            frame = observe(state).frames[0, -1]
            state = env.step(state, action)
            step = step + 1
            return (state, latch(outcome, state.metrics, step, horizon), step), (frame, action)

        def replan(carry, plan):
            picture = env.render(carry[0], camera, size)
            plan_actions, future = think(
                weights, observe(carry[0]), plan_key(key, variant.seed, plan)
            )
            carry, (frames, actions) = jax.lax.scan(tick, carry, plan_actions[: policy.replan])
            return carry, (frames, picture, actions, future)

        state = env.reset_variant(variant)
        first = (state, begin(state.metrics), jnp.array(0, jnp.int32))
        # One plan more than is played, whose steps do not count: it shows the last state without
        # a second copy of the ray caster in the program.
        (_, outcome, _), (frames, pictures, actions, future) = jax.lax.scan(
            replan, first, jnp.arange(plans + 1)
        )
        return Recording(
            outcome=outcome,
            frames=frames.reshape(-1, *frames.shape[2:])[: horizon + 1],
            pictures=pictures,
            actions=actions.reshape(-1, actions.shape[-1])[:horizon],
            imagined=future[:plans],
            text=env.observe(state).text,
        )

    return run
