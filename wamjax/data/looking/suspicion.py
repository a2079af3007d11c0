"""What looks wrong in one episode; `looking.inspect` asks the same of a whole data set."""

import itertools
from collections.abc import Sequence

import numpy as np

from wamjax.data.looking.animation import Camera
from wamjax.data.looking.inspect import BOOKKEEPING, SHOWN_WIDTH, STILL
from wamjax.data.normalising.statistics import CONSTANT
from wamjax.data.sources.source import RawEpisode, is_instruction


def suspicions(episode: RawEpisode, cameras: Sequence[Camera], ended: bool | None) -> list[str]:
    """One sentence for each thing, without a full stop.

    Args:
        episode: with its numbers and texts.
        cameras: what was found of its pictures.
        ended: see `ended_at`.
    """
    return [
        *_cameras(episode, cameras),
        *_numbers(episode, ended),
        *_marks(episode, ended),
        *_texts(episode),
    ]


def ended_at(episode: RawEpisode) -> bool | None:
    """Whether the last step is marked; None where the data have no such mark."""
    if "is_last" not in episode.steps:
        return None
    return bool(np.asarray(episode.steps["is_last"]).ravel()[-1])


def _cameras(episode: RawEpisode, cameras: Sequence[Camera]) -> list[str]:
    out = []
    for camera in cameras:
        nothing = camera.black + camera.empty
        if nothing == episode.length:
            out.append(f"{camera.name} shows nothing: a missing camera")
        elif nothing:
            out.append(f"{camera.name} shows nothing in {nothing} of {episode.length} frames")
        if camera.broken:
            out.append(
                f"{camera.name} cannot be decoded at {len(camera.broken)} steps, the first is "
                f"step {camera.broken[0]}"
            )
        flag = f"has_{camera.name.removeprefix('observation/')}"
        if flag in episode.metadata and isinstance(episode.metadata[flag], bool):
            there = nothing < episode.length
            if episode.metadata[flag] != there:
                out.append(
                    f"episode_metadata/{flag} is {str(episode.metadata[flag]).lower()} but "
                    f"{camera.name} has {'a' if there else 'no'} picture: do not trust the flag"
                )
    return out


def _numbers(episode: RawEpisode, ended: bool | None) -> list[str]:
    out = []
    for name, value in sorted(episode.steps.items()):
        if not isinstance(value, np.ndarray):
            continue
        rows = value.reshape(episode.length, -1).astype(np.float64)
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            out.append(
                f"{name} is NaN or infinite at {int((~finite).sum())} steps, the first is step "
                f"{int(finite.argmin())}"
            )
        if name in BOOKKEEPING or rows.shape[1] > SHOWN_WIDTH or episode.length < 2:
            continue
        used = rows[:-1] if "action" in name and ended else rows
        used = used[np.isfinite(used).all(axis=1)]
        if len(used) < 2:
            continue
        constant = np.flatnonzero(np.ptp(used, axis=0) < CONSTANT).tolist()
        if constant:
            out.append(f"{name} is constant in dimensions {constant} of {rows.shape[1]}")
    return out


def _marks(episode: RawEpisode, ended: bool | None) -> list[str]:
    out = []
    steps = episode.steps
    if "action" in steps:
        actions = np.asarray(steps["action"], np.float64).reshape(episode.length, -1)
        actions = actions[:-1] if ended else actions
        # The last dimension is the gripper, which holds its command while the arm is still.
        moving = actions[:, :-1] if actions.shape[1] > 1 else actions
        still = np.asarray((np.abs(moving) < STILL).all(axis=1))
        if still.any():
            first = ", the one on the first step among them" if still[0] else ""
            out.append(
                f"{int(still.sum())} of {len(still)} actions are zero in all but the last "
                f"dimension{first}"
            )
    if ended is False:
        out.append("is_last is not set: the episode was cut short")
    if "is_first" in steps and not np.asarray(steps["is_first"]).ravel()[0]:
        out.append("the first step is not marked is_first")
    if "reward" in steps and not np.any(np.asarray(steps["reward"])):
        out.append("reward is always zero")
    if episode.length < 2:
        out.append("fewer than two steps")
    return out


def _texts(episode: RawEpisode) -> list[str]:
    out = []
    for name, values in sorted(episode.steps.items()):
        if not is_instruction(name) or not isinstance(values, list):
            continue
        texts = [bytes(value) for value in values]
        if not texts[0]:
            out.append(f"{name} is empty")
        changes = sum(one != other for one, other in itertools.pairwise(texts))
        if changes:
            out.append(f"{name} changes {changes} times within the episode")
        for t, text in enumerate(texts):
            try:
                text.decode("utf-8")
            except UnicodeDecodeError:
                out.append(f"{name} at step {t} is not UTF-8")
                break
    return out
