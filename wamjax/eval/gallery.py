"""What the report shows of the worlds: one episode per axis, failures, foresight beside truth."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from wamjax.core.text import decode_text
from wamjax.core.typing import Params
from wamjax.eval.pictures import moments
from wamjax.eval.record import Recorder, Recording, record
from wamjax.eval.rollout import NEVER
from wamjax.eval.worlds import AXES, CLEAN, Worlds, take
from wamjax.policy.base import Policy


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
    """

    task: str
    axis: str
    row: Mapping[str, Any]
    instruction: str
    pictures: np.ndarray
    success: bool
    cause: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Foresight:
    """What a policy expected to see beside what it then saw.

    Attributes:
        task: which task.
        axis: "clean" or a perturbation axis.
        instruction: as the policy read it.
        steps: control step of each column.
        truth: uint8 [N, H, W, 3].
        predicted: uint8 [N, H, W, 3].
    """

    task: str
    axis: str
    instruction: str
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
    worlds: int = 8,
    size: int = 160,
) -> Gallery:
    """Play again one world per axis and some of the failures, and keep the pictures.

    Args:
        task: which task.
        place: its worlds.
        policy: filmed.
        weights: its weights.
        episodes: the policy's episode records on this task, in the order of the worlds.
        seed: of the evaluation that made those records.
        worlds: how many episodes per program call; at most this many failures are shown.
        size: side of the pictures, pixels.
    """
    recorder = record(
        policy, place.env, place.horizon, variants=place.variants, worlds=worlds, size=size
    )
    shown = [place.axes.index(axis) for axis in (CLEAN, *AXES) if axis in place.axes]
    failed = spread_failures(place.axes, [bool(row["success"]) for row in episodes], worlds)
    axes = _strips(task, place, recorder, weights, shown, seed)
    failures = _strips(task, place, recorder, weights, failed, seed)
    foresight = [
        _foresight(task, place.axes[world], recording, slot, policy)
        for world, recording, slot, _ in axes[:3]
        if recording.imagined.shape[2] > 0
    ]
    return Gallery(
        axes=tuple(strip for *_, strip in axes),
        failures=tuple(strip for *_, strip in failures if not strip.success),
        foresight=tuple(foresight),
    )


def spread_failures(axes: Sequence[str], success: Sequence[bool], count: int) -> list[int]:
    """Places of up to `count` failed worlds, taking axes in turn so that none hides the others."""
    queues = {
        axis: [place for place, name in enumerate(axes) if name == axis and not success[place]]
        for axis in (CLEAN, *AXES)
    }
    chosen = []
    while len(chosen) < count and any(queues.values()):
        for queue in queues.values():
            if queue and len(chosen) < count:
                chosen.append(queue.pop(0))
    return chosen


def _strips(
    task: str, place: Worlds, recorder: Recorder, weights: Params, chosen: list[int], seed: int
) -> list[tuple[int, Recording, int, Strip]]:
    """(world, its recording, its slot there, its strip) for each chosen world."""
    out = []
    for start in range(0, len(chosen), recorder.worlds):
        group = chosen[start : start + recorder.worlds]
        recording = recorder(weights, take(place.variants, np.array(group)), jax.random.key(seed))
        for slot, world in enumerate(group):
            strip = Strip(
                task=task,
                axis=place.axes[world],
                row=place.rows[world],
                instruction=decode_text(np.asarray(recording.text[slot])),
                pictures=moments(np.asarray(recording.pictures[slot]), 4),
                success=bool(recording.outcome.success[slot]),
                cause=cause(recording, slot),
            )
            out.append((world, recording, slot, strip))
    return out


def cause(recording: Recording, slot: int) -> str:
    """How an episode ended, for a caption."""
    outcome = recording.outcome
    if outcome.success[slot]:
        return f"solved after {int(outcome.steps_to_success[slot])} steps"
    assert outcome.steps_to_success[slot] == NEVER
    if outcome.diverged[slot]:
        return "the physics diverged"
    last, best = 100 * float(outcome.distance[slot]), 100 * float(outcome.closest[slot])
    if last - best > 1.0:
        return f"came within {best:.1f} cm, ended {last:.1f} cm away"
    return f"ended {last:.1f} cm away"


def _foresight(
    task: str, axis: str, recording: Recording, slot: int, policy: Policy, columns: int = 8
) -> Foresight:
    """Columns spread over the episode; of each plan only what was played is comparable."""
    frames, imagined = np.asarray(recording.frames[slot]), np.asarray(recording.imagined[slot])
    plans, ahead = imagined.shape[:2]
    pairs = []
    for plan in range(plans):
        for number in range(ahead):
            offset = (number + 1) * policy.frame_stride
            step = plan * policy.replan + offset
            if step < len(frames) and (offset <= policy.replan or number == 0):
                pairs.append((step, plan, number))
    places = np.linspace(0, len(pairs) - 1, min(columns, len(pairs))).round().astype(int)
    chosen = [pairs[place] for place in places]
    return Foresight(
        task=task,
        axis=axis,
        instruction=decode_text(np.asarray(recording.text[slot])),
        steps=tuple(step for step, _, _ in chosen),
        truth=np.stack([frames[step] for step, _, _ in chosen]),
        predicted=np.stack([imagined[plan, number] for _, plan, number in chosen]),
    )
