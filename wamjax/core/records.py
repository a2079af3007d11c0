"""Records that travel from station to station.

`Episode` and its parts are NumPy (host); `Batch` and `Observation` are pytrees (device).
"""

import dataclasses
import typing
from collections.abc import Mapping

import flax.struct
import numpy as np

from wamjax.core.typing import AnyArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Episode:
    """One recorded trajectory of T control ticks; action t leads from step t to step t + 1.

    Attributes:
        frames: camera name -> uint8 [T, H, W, 3].
        proprio: float32 [T, P], the robot's own reading, SI units.
        actions: float32 [T, A]; the last row is by RLDS convention undefined (zero).
        instruction: the language goal.
        success: whether the task was solved.
        control_hz: control ticks per second.
        metadata: further scalars and strings to be stored with the episode.
    """

    frames: Mapping[str, np.ndarray]
    proprio: np.ndarray
    actions: np.ndarray
    instruction: str
    success: bool
    control_hz: float
    metadata: Mapping[str, str | int | float | bool]


@flax.struct.dataclass
class Batch:
    """What the loader delivers and the loss reads; every mask says which numbers are real.

    Attributes:
        frames: uint8 [B, V, T, H, W, 3]; `history` frames up to now, then the future ones. With
            `latents` only those that are read as pixels, too, which may be none (T = 0).
        camera_mask: bool [B, V], the camera exists in this episode.
        frame_mask: bool [B, T], the frame lies inside the episode.
        actions: float32 [B, K, A], normalised.
        action_mask: bool [B, K, A], inside the episode, recorded, and a real dimension.
        proprio: float32 [B, P], normalised, now.
        proprio_mask: bool [B, P].
        text: uint8 [B, X], the instruction's UTF-8 bytes, padded with 0.
        index: int32 [B], the global example index, for tests and logs.
        past_actions: float32 [B, P, A], normalised, those executed before now, the newest last;
            None where the data do not deliver them.
        past_action_mask: bool [B, P, A].
        next_proprio: float32 [B, P], normalised, at the window's last frame; None where the data do
            not deliver it.
        next_proprio_mask: bool [B, P].
        value: float32 [B], in 0 ... 1, the discounted reward that follows the window's last frame;
            None where the data do not deliver it.
        value_mask: bool [B], the episode's end is known.
        goal: uint8 [B, V, H, W, 3], what the world is to look like; None where the data do not
            deliver it.
        goal_mask: bool [B, V], the camera shows it.
        embodiment: int32 [B], which of the embodiments that the system has weights for; None where
            all are of the one that the system's config names.
        latents: float [B, W, L, h, w, c] of the first W cameras, encoded before; None where frames
            are encoded in the step.
    """

    frames: AnyArray
    camera_mask: AnyArray
    frame_mask: AnyArray
    actions: AnyArray
    action_mask: AnyArray
    proprio: AnyArray
    proprio_mask: AnyArray
    text: AnyArray
    index: AnyArray
    past_actions: AnyArray | None = None
    past_action_mask: AnyArray | None = None
    next_proprio: AnyArray | None = None
    next_proprio_mask: AnyArray | None = None
    value: AnyArray | None = None
    value_mask: AnyArray | None = None
    goal: AnyArray | None = None
    goal_mask: AnyArray | None = None
    embodiment: AnyArray | None = None
    latents: AnyArray | None = None

    @property
    def has_action(self) -> AnyArray:
        """bool [B], some number of the chunk is real: False for plain video."""
        return typing.cast(AnyArray, self.action_mask.any(axis=(-2, -1)))

    @property
    def has_text(self) -> AnyArray:
        """bool [B], the instruction is not empty."""
        return typing.cast(AnyArray, self.text.any(axis=-1))


@flax.struct.dataclass
class Observation:
    """What a policy sees, of one world or of a batch of them.

    Attributes:
        frames: uint8 [..., V, T, H, W, 3], the history, the newest last.
        camera_mask: bool [..., V].
        proprio: float32 [..., P], raw SI units (the policy normalises).
        text: uint8 [..., X], the instruction's UTF-8 bytes, padded with 0.
        frame_mask: bool [..., T], the frame lies inside the episode, outside it stands a repeat of
            the first one; None where all do.
        past_actions: float32 [..., P, A], raw, those executed before now, the newest last; None
            where they are not shown.
        past_action_mask: bool [..., P], the action lies inside the episode.
    """

    frames: AnyArray
    camera_mask: AnyArray
    proprio: AnyArray
    text: AnyArray
    frame_mask: AnyArray | None = None
    past_actions: AnyArray | None = None
    past_action_mask: AnyArray | None = None
