"""What the report shows of the worlds: one episode per axis, failures, foresight beside truth."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from wamjax.core.records import Observation
from wamjax.core.runtime import program_jit
from wamjax.core.text import decode_text
from wamjax.core.typing import Array, Params
from wamjax.eval.outcome import NEVER, Outcome
from wamjax.eval.rollout import Rollout, Trace, plan_key, rollout
from wamjax.eval.worlds import AXES, BONUS, CLEAN, Worlds, take
from wamjax.policy.base import Policy

FIRST = {axis: place for place, axis in enumerate((CLEAN, *AXES, *BONUS))}
"""In which order axes come."""
ENDS = (True, False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Strip:
    """One episode in pictures.

    Attributes:
        task: which task.
        axis: "clean" or a perturbation axis.
        row: the manifest's row of the world.
        instruction: as the policy read it.
        pictures: uint8 [N, H, W, 3], first to last.
        success: how it ended.
        cause: how it ended, in words.
        kind: of the world, where `film` was told kinds.
    """

    task: str
    axis: str
    row: Mapping[str, Any]
    instruction: str
    pictures: np.ndarray
    success: bool
    cause: str
    kind: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Foresight:
    """What a policy expected to see beside what it then saw.

    Attributes:
        task: which task.
        axis: "clean" or a perturbation axis.
        instruction: as the policy read it.
        cause: how the episode ended, in words.
        steps: control step of each column.
        truth: uint8 [N, H, W, 3].
        predicted: uint8 [N, H, W, 3].
    """

    task: str
    axis: str
    instruction: str
    success: bool
    cause: str
    steps: tuple[int, ...]
    truth: np.ndarray
    predicted: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gallery:
    """All pictures of one task."""

    axes: tuple[Strip, ...]
    failures: tuple[Strip, ...]
    foresight: tuple[Foresight, ...]


def film(
    task: str,
    place: Worlds,
    policy: Policy,
    weights: Params,
    *,
    episodes: Sequence[Mapping[str, Any]],
    seed: int,
    runner: Rollout | None = None,
    kinds: Sequence[str] | None = None,
    failures: int = 6,
    size: int = 160,
) -> Gallery:
    """Play one world per axis and some of the failures again, and draw them.

    Foresight is shown of an episode that was solved and of one that was not, where there are such.

    Args:
        task: which task.
        place: its worlds.
        policy: filmed.
        weights: its weights.
        episodes: the policy's episode records on this task, in the order of the worlds.
        seed: of the evaluation that made those records.
        runner: the rollout that made the records; compiled anew when it is not at hand.
        kinds: of the worlds; failures of different kinds are shown before more of one. By default
            the axes.
        failures: at most this many are shown.
        size: side of the pictures, pixels.
    """
    shown = [telling(place, axis) for axis in (CLEAN, *AXES) if axis in place.axes]
    solved = [bool(row["success"]) for row in episodes]
    failed = spread_failures(place.axes if kinds is None else kinds, solved, failures)
    # Always as many, so that one compilation draws any task of an environment.
    chosen = np.resize([*shown, *failed], 1 + len(AXES) + failures)
    if runner is None:
        runner = rollout(
            policy,
            place.env,
            place.horizon,
            weights=weights,
            variants=place.variants,
            batch=len(chosen),
            devices=jax.devices()[:1],
        )
    outcome, trace = runner.trace(weights, take(place.variants, chosen), jax.random.key(seed))
    pictures = _draw(place, outcome, trace, size)
    strips = [
        Strip(
            task=task,
            axis=place.axes[world],
            row=place.rows[world],
            instruction=decode_text(np.asarray(trace.seen.text[slot, 0])),
            pictures=pictures[slot],
            success=bool(outcome.success[slot]),
            cause=cause(outcome, slot),
            kind="" if kinds is None else kinds[world],
        )
        for slot, world in enumerate([*shown, *failed])
    ]
    return Gallery(
        axes=tuple(strips[: len(shown)]),
        failures=tuple(strip for strip in strips[len(shown) :] if not strip.success),
        foresight=tuple(_foresight(policy, weights, trace, strips, seed, place, chosen)),
    )


def telling(place: Worlds, axis: str) -> int:
    """The world to show of an axis: the first of its middle severity, where rows tell."""
    mine = [world for world, name in enumerate(place.axes) if name == axis]
    graded = [world for world in mine if "severity" in place.rows[world]]
    if not graded:
        return mine[0]
    levels = sorted({place.rows[world]["severity"] for world in graded})
    middle = levels[len(levels) // 2]
    return next(world for world in graded if place.rows[world]["severity"] == middle)


def _draw(place: Worlds, outcome: Outcome, trace: Trace, size: int, count: int = 4) -> np.ndarray:
    """uint8 [E, count, size, size, 3]: from the start to success, or to the end of the episode."""
    last = np.where(outcome.success, outcome.steps_to_success, place.horizon)
    steps = np.linspace(0, last, count).round().astype(int).T
    rows = np.arange(len(steps))[:, None]
    states = jax.tree.map(lambda leaf: leaf[rows, steps], trace.states)
    camera = place.env.cameras[0]
    draw = program_jit(jax.vmap(jax.vmap(lambda state: place.env.render(state, camera, size))))
    return np.asarray(jax.device_get(draw(states)))


def spread_failures(kinds: Sequence[str], success: Sequence[bool], count: int) -> list[int]:
    """Places of up to `count` failed worlds, taking kinds in turn so that none hides the others."""
    order = sorted({*kinds}, key=lambda kind: (kind not in FIRST, FIRST.get(kind, 0), kind))
    queues = {
        kind: [place for place, name in enumerate(kinds) if name == kind and not success[place]]
        for kind in order
    }
    chosen = []
    while len(chosen) < count and any(queues.values()):
        for queue in queues.values():
            if queue and len(chosen) < count:
                chosen.append(queue.pop(0))
    return chosen


def cause(outcome: Outcome, slot: int) -> str:
    """How an episode ended, for a caption."""
    if outcome.success[slot]:
        return f"solved after {int(outcome.steps_to_success[slot])} steps"
    assert outcome.steps_to_success[slot] == NEVER
    if outcome.other[slot]:
        return "did it to the wrong object"
    if outcome.diverged[slot]:
        return "the physics diverged"
    last, best = 100 * float(outcome.distance[slot]), 100 * float(outcome.closest[slot])
    if last - best > 1.0:
        return f"came within {best:.1f} cm, ended {last:.1f} cm away"
    return f"ended {last:.1f} cm away"


def comparable(plans: int, replan: int, stride: int, ahead: int) -> list[tuple[int, int, int]]:
    """(plan, predicted frame, later plan) whose start shows what had been predicted.

    Frames are seen when a plan starts; what a plan predicts beyond its own end is answered by
    actions it did not choose, so only its own stretch counts. None if `stride` does not divide
    `replan`.
    """
    return [
        (plan, number, plan + 1)
        for plan in range(plans - 1)
        for number in range(ahead)
        if (number + 1) * stride == replan
    ]


def _foresight(
    policy: Policy,
    weights: Params,
    trace: Trace,
    strips: Sequence[Strip],
    seed: int,
    place: Worlds,
    chosen: np.ndarray,
) -> list[Foresight]:
    if policy.imagine is None or policy.frame_stride > policy.replan:
        return []
    imagine = policy.imagine
    seeds = np.asarray(place.variants.seed)[chosen]
    # Always two, so that one compilation serves any task of an environment.
    slots = np.resize(_both_ends(strips), 2)

    def one(weights: Params, seen: Observation, world_seed: Array, plan: Array) -> Array:
        key = plan_key(jax.random.key(seed), world_seed, plan)
        return imagine(weights, jax.tree.map(lambda leaf: leaf[None], seen), key)[1][0, 0]

    plans = trace.seen.frames.shape[1]
    first = jax.tree.map(lambda leaf: leaf[slots], trace.seen)
    plans_of_one = jax.vmap(one, in_axes=(None, 0, None, 0))
    run = program_jit(jax.vmap(plans_of_one, in_axes=(None, 0, 0, None)))
    predicted = np.asarray(run(weights, first, seeds[slots], np.arange(plans)))
    pairs = comparable(plans, policy.replan, policy.frame_stride, predicted.shape[2])
    if not pairs:
        return []
    seen = np.asarray(trace.seen.frames)[:, :, 0, -1]
    return [
        Foresight(
            task=strips[slot].task,
            axis=strips[slot].axis,
            instruction=strips[slot].instruction,
            success=strips[slot].success,
            cause=strips[slot].cause,
            steps=tuple(later * policy.replan for _, _, later in pairs),
            truth=np.stack([seen[slot, later] for _, _, later in pairs]),
            predicted=np.stack([predicted[row, plan, number] for plan, number, _ in pairs]),
        )
        for row, slot in enumerate(_both_ends(strips))
    ]


def _both_ends(strips: Sequence[Strip]) -> list[int]:
    """Places of the first episode that was solved and the first that was not."""
    ends = [next((n for n, s in enumerate(strips) if s.success is end), None) for end in ENDS]
    return [place for place in ends if place is not None]
