"""Groups of rollouts that share their worlds and differ by the policy's draws alone.

    initial states   seeds[round] of an iteration, from the half of the seeds that no evaluation
                     has (`sim.manifest.EVALUATION_SEEDS`), clean
    key[k]           fold_in(fold_in(run key, iteration), k)    of the k-th rollout of a group;
                     a plan's key is made of it as in eval.rollout
    reward           1 if the task was solved within the horizon
    a plan counts    if it began before success, and its group's rewards differ

Rounds of G initial states are drawn until G groups are informative, or the limit is reached; then
places stay empty, and their plans are masked. So an iteration has one shape.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.runtime import program_jit
from wamjax.core.typing import Array, Key, Params, PyTree
from wamjax.eval.rollout import episodes
from wamjax.eval.sight import viewer
from wamjax.eval.worlds import Env
from wamjax.policy.base import Law, Policy
from wamjax.sim.manifest import EVALUATION_SEEDS
from wamjax.train.experience import Collected, Experience
from wamjax.train.reinforce import informative, leave_one_out

# (weights, variants [E], keys [E]) -> success [E], steps to it [E], plans: leaves [E, P, ...]
Play = Callable[[Params, PyTree, Key], tuple[Array, Array, "Plans"]]
Plans = tuple[PyTree, Array, Array, Array]
Variants = Callable[[np.ndarray], PyTree]


def play_groups(policy: Policy, law: Law, env: Env, horizon: int, one: PyTree) -> Play:
    """The compiled-on-call episodes of a policy that draws.

    Args:
        policy, law: who plays.
        env: one task.
        horizon: control steps.
        one: a variant, or its shapes.

    Raises:
        UserError: the policy cannot see what it needs.
    """
    observe, _ = viewer(policy, env, one)

    def run(weights: Params, variants: Any, keys: Key) -> tuple[Array, Array, Plans]:
        def draw(seen: PyTree, key: Key) -> tuple[Array, Array, Array]:
            batch = jax.tree.map(lambda leaf: leaf[None], seen)
            actions, drawn, log_probs = law.draw(weights, batch, key)
            return actions[0, : policy.replan], drawn[0], log_probs[0]

        def think(moments: Any, keys: Key) -> tuple[Array, Plans]:
            seen = jax.vmap(observe)(moments)
            actions, drawn, log_probs = jax.vmap(draw)(seen, keys)
            return actions, (seen, jax.vmap(jax.random.key_data)(keys), drawn, log_probs)

        outcome, trace = episodes(think, env, horizon, policy.replan, variants, keys, policy.needs)
        return outcome.success, outcome.steps_to_success, trace.seen  # pyright: ignore

    return program_jit(run)


def training_seeds(seed: int, iteration: int, task: int, attempt: int, count: int) -> np.ndarray:
    """int32 [count], never of an evaluation; different for every argument."""
    draws = np.random.default_rng([seed, iteration, task, attempt])
    return draws.integers(EVALUATION_SEEDS, 2 * EVALUATION_SEEDS, count).astype(np.int32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arena:
    """A task in which groups play.

    Attributes:
        name: of the task.
        play: see `play_groups`.
        variants: seeds int32 [E] -> the clean worlds.
        plans: P, of an episode.
    """

    name: str
    play: Play
    variants: Variants
    plans: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Groups:
    """Collects the experience of an iteration; see the top of the file.

    Attributes:
        arenas: the tasks; each gives `groups` groups of `rollouts`.
        law: the policy's draws.
        replan: control steps of a plan.
        rounds: how often `groups` initial states are drawn at most.
        seed: of worlds and draws.
    """

    arenas: Sequence[Arena]
    law: Law
    groups: int
    rollouts: int
    replan: int
    rounds: int
    seed: int

    def __call__(self, weights: Params, iteration: int) -> Collected:
        """The iteration's plans [N = sum over tasks of G K P] and its numbers.

        "reward" is the mean over the first round, which no choice has touched; "informative" the
        share of groups, over all rounds, whose rewards differ; "kept" of the places that are full.
        """
        parts, numbers = [], {}
        totals = {"reward": 0.0, "informative": 0.0, "kept": 0.0, "episodes": 0.0}
        for place, arena in enumerate(self.arenas):
            part, told = self._collect(weights, iteration, place, arena)
            parts.append(part)
            numbers |= {f"{name}/{arena.name}": told[name] for name in ("reward", "informative")}
            for name in totals:
                totals[name] += told[name]
        count = len(self.arenas)
        means = {name: totals[name] / count for name in ("reward", "informative", "kept")}
        experience = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        few = {} if count == 1 else numbers
        return Collected(
            experience=experience, numbers={**means, "episodes": totals["episodes"], **few}
        )

    def keys(self, iteration: int) -> Key:
        """Keys of a round's rollouts, [G K]."""
        base = jax.random.fold_in(jax.random.key(self.seed), iteration)
        members = jax.vmap(lambda k: jax.random.fold_in(base, k))(jnp.arange(self.rollouts))
        return jnp.tile(members, self.groups)

    def _collect(
        self, weights: Params, iteration: int, place: int, arena: Arena
    ) -> tuple[Experience, Mapping[str, float]]:
        shape = (self.groups, self.rollouts)
        chosen: list[tuple[Any, ...]] = []
        seen, found, first = 0, 0, 0.0
        keys = self.keys(iteration)
        for attempt in range(self.rounds):
            seeds = training_seeds(self.seed, iteration, place, attempt, self.groups)
            variants = arena.variants(np.repeat(seeds, self.rollouts))
            success, when, plans = jax.device_get(arena.play(weights, variants, keys))
            reward = success.reshape(shape).astype(np.float32)
            differs = np.asarray(informative(jnp.asarray(reward)))
            if attempt == 0:
                first = float(reward.mean())
            seen, found = seen + self.groups, found + int(differs.sum())
            whole = (reward, when.reshape(shape), _grouped(plans, shape))
            chosen.append(jax.tree.map(lambda leaf, differs=differs: leaf[differs], whole))
            if found >= self.groups:
                break
        reward, when, plans = jax.tree.map(lambda *leaves: np.concatenate(leaves), *chosen)
        reward, when, plans = jax.tree.map(self._filled, (reward, when, plans))
        kept = min(found, self.groups)
        told = {
            "reward": first,
            "informative": found / seen,
            "kept": kept / self.groups,
            "episodes": float(seen * self.rollouts),
        }
        return self._experience(reward, when, plans, kept, arena.plans), told

    def _filled(self, leaf: np.ndarray) -> np.ndarray:
        """The first G groups, zeros behind them where there are fewer."""
        leaf = leaf[: self.groups]
        missing = self.groups - leaf.shape[0]
        return np.pad(leaf, [(0, missing)] + [(0, 0)] * (leaf.ndim - 1))

    def _experience(
        self, reward: np.ndarray, when: np.ndarray, plans: Any, kept: int, count: int
    ) -> Experience:
        seen, keys, drawn, log_probs = plans
        advantage = np.asarray(leave_one_out(jnp.asarray(reward)))
        starts = np.arange(count) * self.replan
        live = (reward[..., None] == 0) | (starts < when[..., None])
        live &= (np.arange(self.groups) < kept)[:, None, None]
        rows = self.groups * self.rollouts * count

        def flat(leaf: np.ndarray) -> np.ndarray:
            return leaf.reshape(rows, *leaf.shape[3:])

        return Experience(
            seen=jax.tree.map(flat, seen),
            keys=flat(keys),
            drawn=flat(drawn),
            log_probs=flat(log_probs),
            advantage=np.repeat(advantage.reshape(-1), count),
            mask=flat(live)[:, None, None] & self.law.counts,
        )


def _grouped(plans: Plans, shape: tuple[int, int]) -> PyTree:
    return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), plans)
