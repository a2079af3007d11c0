"""Policy and worlds in one compiled program.

    state[0] = reset(variant)
    every `replan` steps:   actions[K] = act(weights, observe(state), key[world, plan])
    every step:             state = step(state, action);   success = success or now(state)

    key[world, plan] = fold_in(fold_in(key, variant.seed), plan)

What a policy is shown of the past is in wamjax.eval.sight.

A world's draws hang on its seed, never on its place in the batch, so a world gives the same
episode alone, in any company, and under every perturbation axis that shares its seed. Worlds run
in batches of one fixed size (the last is filled up with repeats, whose results are dropped), so
that one compilation serves any number of them. A blind policy may share the program with one that
sees: the physics are compiled once, and a conditional that is the same for all worlds leaves out
the drawing and the network whenever the blind one plays.
"""

import dataclasses
import functools
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
from wamjax.core.runtime import program_jit
from wamjax.core.typing import AnyArray, Array, Key, Params, PyTree
from wamjax.eval.outcome import Outcome, begin, latch
from wamjax.eval.sight import Memory, Observe, blank_view, viewer
from wamjax.eval.worlds import Env, take
from wamjax.policy.base import Act, Needs, Policy


@flax.struct.dataclass
class Trace:
    """E episodes of S steps in P = ceil(S / replan) plans, kept so that they can be drawn later.

    Attributes:
        states: the environment's states [E, S + 1, ...]; state s is the one before action s.
        seen: the observation [E, P, ...] before each plan, with the policy's cameras; blank when
            the policy is blind.
        actions: float32 [E, S, A], raw units.
    """

    states: PyTree
    seen: Observation
    actions: AnyArray


Advance = Callable[[int], None]
Track = Callable[[Any, Any], Array]
"""(environment, its state) -> numbers [D] that are kept of every step, in `Outcome.path`."""


def plan_key(key: Key, seed: Array, plan: Array) -> Key:
    """The key of one world's plan; see the top of the file."""
    return jax.random.fold_in(jax.random.fold_in(key, seed), plan)


# (moments [E], keys [E]) -> actions [E, R, A] and what is kept of the plan, leaves [E, ...]
Think = Callable[[Any, Key], tuple[Array, Any]]


def thinker(act: Act, replan: int, weights: Params, observe: Observe) -> Think:
    """(moments [E], keys [E]) -> the next `replan` actions [E, R, A] and what was seen.

    The policy sees a batch of one; vmapped over worlds this is the batched call, with a key each.
    """

    def one(seen: Observation, key: Key) -> Array:
        actions = act(weights, jax.tree.map(lambda leaf: leaf[None], seen), key)
        return actions[0, :replan].astype(jnp.float32)

    def think(moments: Any, keys: Key) -> tuple[Array, Observation]:
        seen = jax.vmap(observe)(moments)
        return jax.vmap(one)(seen, keys), seen

    return think


def episodes(
    think: Think,
    env: Env,
    horizon: int,
    replan: int,
    variants: Any,
    key: Key,
    needs: Needs | None = None,
) -> tuple[Outcome, Trace]:
    """The equations at the top for E worlds.

    Args:
        think: decides the next `replan` actions; what it keeps of each plan becomes `Trace.seen`.
        key: one for all worlds, or one each, [E].
        needs: of the policy; `think` is given the moments that its `viewer` looks at.

    The loops are outside and vmap inside, so that who plays is one question for the whole batch
    and not one per world, which would compute both answers.
    """

    def tick(carry, actions):
        state, outcome, step = carry
        state = jax.vmap(env.step)(state, actions)
        step = step + 1
        # Without the barrier the scan hands out what it was given, and XLA makes that anew for
        # every reader, with other last bits: memory and trace would not be the same numbers.
        done = jax.lax.optimization_barrier(actions)
        return (state, latch(outcome, state.metrics, step, horizon), step), (state, done)

    def plan_and_play(carry, plan):
        play, memory = carry
        keys = jax.vmap(plan_key, in_axes=(own, 0, None))(key, variants.seed, plan)
        actions, seen = think(memory.moments(needs, play[0], plan * replan), keys)
        play, (states, played) = jax.lax.scan(tick, play, jnp.swapaxes(actions, 0, 1))
        return (play, memory.later(states, played)), (states, seen, played)

    own = 0 if key.ndim else None
    start = jax.vmap(env.reset_variant)(variants)
    first = (start, begin(start.metrics), jnp.array(0, jnp.int32))
    plans = jnp.arange(-(-horizon // replan))
    memory = Memory.begun(needs, start, len(variants.seed))
    carry, (states, seen, played) = jax.lax.scan(plan_and_play, (first, memory), plans)
    outcome = carry[0][1]

    def joined(leaf: Array) -> Array:
        plans, ticks, *rest = leaf.shape
        return jnp.swapaxes(leaf.reshape(plans * ticks, *rest)[:horizon], 0, 1)

    states = jax.tree.map(
        lambda a, b: jnp.concatenate([a[:, None], joined(b)], axis=1), start, states
    )
    seen = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), seen)
    return outcome, Trace(states=states, seen=seen, actions=joined(played))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rollout:
    """A compiled rollout for batches of `batch` worlds; call it with any number of them.

    Attributes:
        program: (blind plays, weights, blind weights, variants [batch], key) -> outcome, trace.
        spare: the weights that fill the place of whoever does not play.
        worlds, replicated: shardings of variants, and of weights and keys.
        batch: worlds at once.
        compile_seconds: what compiling took.
    """

    program: Callable[..., tuple[Outcome, Trace | None]]
    spare: tuple[Params, Params]
    worlds: NamedSharding
    replicated: NamedSharding
    batch: int
    compile_seconds: float

    def __call__(
        self,
        weights: Params,
        variants: PyTree,
        key: Key,
        *,
        blind: bool = False,
        advance: Advance | None = None,
    ) -> Outcome:
        """Outcomes (NumPy) in the order of the variants.

        Args:
            weights: of the policy that plays.
            variants: pytree of int32 [E].
            key: of the policy's draws.
            blind: the blind policy plays.
            advance: hears of finished worlds.
        """
        parts = []
        for outcome, _, real in self._batches(weights, variants, key, blind):
            parts.append(jax.tree.map(lambda leaf, real=real: leaf[:real], jax.device_get(outcome)))
            if advance is not None:
                advance(real)
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)

    def trace(
        self, weights: Params, variants: PyTree, key: Key, *, blind: bool = False
    ) -> tuple[Outcome, Trace]:
        """The same with everything that is needed to draw the episodes; for a few worlds."""
        parts = [
            jax.tree.map(lambda leaf, real=real: leaf[:real], jax.device_get((outcome, trace)))
            for outcome, trace, real in self._batches(weights, variants, key, blind)
        ]
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)

    def _batches(self, weights: Params, variants: PyTree, key: Key, blind: bool):
        pair = (self.spare[0], weights) if blind else (weights, self.spare[1])
        who, pair, key = jax.device_put((np.bool_(blind), pair, key), self.replicated)
        count = np.shape(jax.tree.leaves(variants)[0])[0]
        for start in range(0, count, self.batch):
            # Repeats of the last world fill the last batch.
            places = np.minimum(np.arange(start, start + self.batch), count - 1)
            chosen = jax.device_put(take(variants, places), self.worlds)
            yield *self.program(who, *pair, chosen, key), min(self.batch, count - start)


def rollout(
    policy: Policy,
    env: Env,
    horizon: int,
    *,
    weights: Params,
    variants: PyTree,
    beside: tuple[Policy, Params] | None = None,
    batch: int = 64,
    devices: Sequence[Any] | None = None,
    keep: bool = True,
    track: Track | None = None,
) -> Rollout:
    """Compile the episodes of a policy in an environment.

    Args:
        policy: act, chunk and replan interval.
        env: the environment of one task.
        horizon: control steps per episode.
        weights: the policy's weights.
        variants: pytree of int32 [any]; only the shapes behind the world axis matter here.
        beside: a blind policy (and weights) that can play in the same program.
        batch: worlds that run at once; rounded up to a multiple of the device count.
        devices: where worlds are spread; all devices by default.
        keep: compute traces; False saves their memory where worlds are very many.
        track: what is kept of every step beside outcomes; None for nothing.

    Raises:
        UserError: the policy cannot see what it needs, a size is below 1, or the policy beside it
            is not blind or replans at another interval.
    """
    if batch < 1 or horizon < 1:
        raise UserError(f"batch ({batch}) and horizon ({horizon}) must be at least 1.")
    other, limits = (policy, weights) if beside is None else beside
    if beside is not None and (other.needs is not None or other.replan != policy.replan):
        raise UserError(
            f"policy {other.name} cannot share a program with {policy.name}: it must be blind and "
            f"replan every {policy.replan} steps."
        )
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), variants)
    observe, shapes = viewer(policy, env, one)

    def run(who: Array, mine: Params, theirs: Params, variants: Any, key: Key):
        sees = thinker(policy.act, policy.replan, mine, observe)
        if beside is None:
            outcome, trace = episodes(
                sees, env, horizon, policy.replan, variants, key, policy.needs
            )
        else:
            guesses = thinker(other.act, policy.replan, theirs, blank_view(shapes))

            def either(moments: Any, draws: Key) -> tuple[Array, Observation]:
                return jax.lax.cond(who, guesses, sees, moments, draws)

            outcome, trace = episodes(
                either, env, horizon, policy.replan, variants, key, policy.needs
            )
        if track is not None:
            every = jax.vmap(jax.vmap(functools.partial(track, env)))
            outcome = outcome.replace(path=every(trace.states))  # pyright: ignore
        return outcome, trace if keep else None

    chosen = jax.devices() if devices is None else devices
    mesh = Mesh(np.array(chosen), ("data",))
    worlds = NamedSharding(mesh, PartitionSpec("data"))
    replicated = NamedSharding(mesh, PartitionSpec())
    batch = -(-batch // len(chosen)) * len(chosen)

    def shape(leaf: Any, sharding: NamedSharding, lead: tuple[int, ...]) -> jax.ShapeDtypeStruct:
        size = (*lead, *leaf.shape[len(lead) :])
        return jax.ShapeDtypeStruct(size, leaf.dtype, sharding=sharding)

    def shapes_of(tree: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: shape(leaf, replicated, ()), tree)

    started = time.monotonic()
    everywhere = (replicated, replicated, replicated)
    program = (
        program_jit(
            run,
            in_shardings=(*everywhere, worlds, replicated),
            out_shardings=worlds,
        )
        .lower(
            shapes_of(np.bool_(False)),
            shapes_of(weights),
            shapes_of(limits),
            jax.tree.map(lambda leaf: shape(leaf, worlds, (batch,)), variants),
            shapes_of(jax.random.key(0)),
        )
        .compile()
    )
    return Rollout(
        program=program,
        spare=(weights, limits),
        worlds=worlds,
        replicated=replicated,
        batch=batch,
        compile_seconds=time.monotonic() - started,
    )
