"""Policies in the target domain, the stand-in for reality, behind the interface of `Programs`.

A world's draws hang on its seed, as in `rollout`. Physics and pictures come from C MuJoCo and
OpenGL on a pool of processes (`sim.target`); the network is one jitted program for all worlds of a
batch.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.records import Observation
from wamjax.core.runtime import program_jit
from wamjax.core.text import decode_text
from wamjax.core.typing import AnyArray, Array, Key, Params
from wamjax.eval.gallery import Gallery, Strip, cause, spread_failures, telling
from wamjax.eval.outcome import Outcome
from wamjax.eval.programs import Contestants
from wamjax.eval.rollout import Advance, plan_key
from wamjax.eval.worlds import CLEAN, Worlds, take
from wamjax.policy.base import Policy, check_observation, views_for
from wamjax.sim.target.play import HONOURED, Played, Target

Act = Callable[[Params, Observation, Array, Key, Array], Array]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class TargetRunner:
    """One policy on one task there.

    Attributes:
        target: the worlds.
        policy: who plays.
        weights: its weights.
        act: (weights, observations [E], seeds [E], key, plan) -> chunks [E, K, A].
        batch: worlds side by side.
        compile_seconds: 0, programs are compiled when they first run.
    """

    target: Target
    policy: Policy
    weights: Params
    act: Act
    batch: int
    compile_seconds: float = 0.0

    def __call__(self, worlds: Worlds, key: Key, advance: Advance) -> Outcome:
        """Play all worlds."""
        parts = []
        for start in range(0, len(worlds.axes), self.batch):
            places = np.arange(start, min(start + self.batch, len(worlds.axes)))
            parts.append(outcome_of(self.play(worlds, places, key)))
            advance(len(places))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)

    def play(self, worlds: Worlds, places: np.ndarray, key: Key, *, record: bool = False) -> Played:
        """Some of the worlds, with the pictures of all ticks when `record`."""
        # Programs are compiled for one number of worlds: the last batch is filled with repeats.
        filled = np.resize(places, self.batch)
        variants = take(worlds.variants, filled)
        seeds, plan = jnp.asarray(variants.seed), 0

        def ask(seen: Observation) -> AnyArray:
            nonlocal plan
            actions = self.act(self.weights, seen, seeds, key, jnp.int32(plan))
            plan += 1
            return np.asarray(actions)

        played = self.target.play(
            variants,
            ask,
            replan=self.policy.replan,
            draw=self.policy.needs is not None,
            record=record,
        )
        return jax.tree.map(lambda leaf: leaf[: len(places)], played)


def outcome_of(played: Played) -> Outcome:
    """What became of the episodes, without how."""
    return Outcome(
        success=played.success,
        steps_to_success=played.steps_to_success,
        distance=played.distance,
        closest=played.closest,
        diverged=played.diverged,
        mode=played.mode,
        other=played.other,
    )


class TargetPrograms:
    """Runners in the target domain; a context manager that ends its processes.

    Args:
        contestants: all policies that will be asked for, with weights.
        worlds: task -> its worlds.
        batch: worlds side by side.
        processes: workers per task; by default one per core.

    Raises:
        UserError: a policy does not fit, or the worlds have an axis that the domain has not.
    """

    def __init__(
        self,
        contestants: Contestants,
        worlds: dict[str, Worlds],
        *,
        batch: int = 32,
        processes: int | None = None,
    ):
        self.contestants, self.batch, self.processes = contestants, batch, processes
        self._targets: dict[tuple[str, tuple[str, ...]], Target] = {}
        self._acts: dict[str, Act] = {}
        for place in worlds.values():
            _check_axes(place.axes)

    def find(
        self,
        name: str,
        task: str,
        worlds: Worlds,
        say: Callable[[str], None] = lambda text: None,
    ) -> TargetRunner:
        """The runner of policy `name` on `task`; `say` hears about new processes.

        Raises:
            UserError: the policy does not fit the environment.
        """
        policy, weights = self.contestants[name]
        cameras = self._cameras(policy, worlds)
        if (task, cameras) not in self._targets:
            say(f"evaluate: starting the target domain of {task}")
            env = worlds.env
            self._targets[task, cameras] = Target(
                task,
                processes=self.processes,
                action=env.action,  # pyright: ignore[reportAttributeAccessIssue]
                image_size=env.image_size,  # pyright: ignore[reportAttributeAccessIssue]
                text_length=env.text_length,  # pyright: ignore[reportAttributeAccessIssue]
                cameras=cameras,
            )
        if name not in self._acts:
            self._acts[name] = _batched(policy)
        return TargetRunner(
            target=self._targets[task, cameras],
            policy=policy,
            weights=weights,
            act=self._acts[name],
            batch=min(self.batch, len(worlds.axes)),
        )

    def _cameras(self, policy: Policy, worlds: Worlds) -> tuple[str, ...]:
        """What the policy looks through, or what any other one of them does if it is blind."""
        needs = [policy.needs, *(other.needs for other, _ in self.contestants.values())]
        seeing = next((need for need in needs if need is not None), None)
        if seeing is None:
            return worlds.env.cameras
        views_for(seeing, worlds.env.cameras)
        if policy.needs is not None:
            one = jax.tree.map(lambda leaf: leaf[0], take(worlds.variants, np.array([0])))
            shapes = jax.eval_shape(lambda v: worlds.env.observe(worlds.env.reset_variant(v)), one)
            count = len(seeing.cameras)
            check_observation(
                seeing,
                shapes.replace(  # pyright: ignore
                    frames=jax.ShapeDtypeStruct(
                        (count, *shapes.frames.shape[1:]), shapes.frames.dtype
                    )
                ),
            )
        return seeing.cameras

    def close(self) -> None:
        """Ends the processes."""
        for target in self._targets.values():
            target.close()
        self._targets.clear()

    def __enter__(self) -> "TargetPrograms":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def film_target(
    task: str,
    place: Worlds,
    runner: TargetRunner,
    *,
    episodes: Sequence[Mapping[str, Any]],
    seed: int,
    failures: int = 6,
    count: int = 4,
) -> Gallery:
    """One world per axis and some of the failures, as the policy's first camera saw them.

    Args:
        task: which task.
        place: its worlds.
        runner: the policy there.
        episodes: its episode records on this task, in the order of the worlds.
        seed: of the evaluation that made those records.
        failures: at most this many are shown.
        count: pictures of an episode.
    """
    shown = [telling(place, axis) for axis in (CLEAN, *HONOURED) if axis in place.axes]
    failed = spread_failures(place.axes, [bool(row["success"]) for row in episodes], failures)
    strips = []
    for start in range(0, len(shown) + len(failed), runner.batch):
        worlds = np.array([*shown, *failed])[start : start + runner.batch]
        played = runner.play(place, worlds, jax.random.key(seed), record=True)
        assert played.frames is not None
        last = np.where(played.success, played.steps_to_success, place.horizon) - 1
        steps = np.linspace(0, last, count).round().astype(int).T
        texts = take(place.variants, worlds)
        told = jax.vmap(lambda variant: place.env.reset_variant(variant).info["setting"].text)
        said = program_jit(told)(texts)
        for slot, world in enumerate(worlds):
            strips.append(
                Strip(
                    task=task,
                    axis=place.axes[world],
                    row=place.rows[world],
                    instruction=decode_text(np.asarray(said)[slot]),
                    pictures=played.frames[slot, steps[slot], 0],
                    success=bool(played.success[slot]),
                    cause=cause(outcome_of(played), slot),
                )
            )
    return Gallery(
        axes=tuple(strips[: len(shown)]),
        failures=tuple(strip for strip in strips[len(shown) :] if not strip.success),
        foresight=(),
    )


def _check_axes(axes: Sequence[str]) -> None:
    missing = sorted({*axes} - {"clean", *HONOURED})
    if missing:
        raise UserError(
            f"the target domain has no {missing[0]} axis: its light, surfaces and noise are its "
            f"own; choose --axes none or out of {', '.join(HONOURED)}."
        )


def _batched(policy: Policy) -> Act:
    def one(weights: Params, seen: Observation, seed: Array, key: Key, plan: Array) -> Array:
        batch = jax.tree.map(lambda leaf: leaf[None], seen)
        return policy.act(weights, batch, plan_key(key, seed, plan))[0]

    return program_jit(jax.vmap(one, in_axes=(None, 0, 0, None, None)))
