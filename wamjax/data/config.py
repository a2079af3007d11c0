"""Which data, which windows, which normalisation: values only."""

import dataclasses
from typing import Literal

from wamjax.core.config import later

Norm = Literal["quantile", "zscore", "identity"]
Part = Literal["train", "heldout", "all"]
Goal = Literal["none", "last", "uniform"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """One data set, or several that are mixed, and how windows are cut from them.

    Without a card, keys name step features and are looked up as steps/KEY, then as
    steps/observation/KEY. A card says itself what actions, states and texts are, and cameras are
    named by what they see (primary, wrist, ...): its `*_key` and `gripper_dim` are not looked at.

    Attributes:
        dir: the directory of the data set, see data.sources.kinds.
        card: file of its card, see data.cards.card.
        every: recorded steps that become one; None for what the card says, else 1.
        mixture: name of a mixture in `mixtures`, instead of `dir` and `card`.
        mixtures: file of mixtures, see data.windows.members.
        root: where the data sets of the mixture stand.
        cards: where their cards stand.
        rate_hz: steps a second that all data sets of a mixture are brought to; None to leave each
            as its card says.
        split: the TFDS split.
        cameras: image keys, in the order of the views.
        proprio_key, action_key, instruction_key: None where the data have none; then the width
            must be given, the numbers are zero and the mask is False.
        image_size: side of the square frames, pixels; others are resized (aspect not kept).
        history: frames up to now, the newest last.
        future: frames after now.
        frame_stride: control steps from one frame to the next.
        history_stride: control steps between the frames of the history; None for `frame_stride`.
        chunk: consecutive actions, one a control step.
        past_actions: actions executed before now, one a control step; None for none.
        relative: absolute numbers of the chunk and of the past actions, but grippers, that the
            state has too are told relative to the state at the window's own step; needs a card,
            see data.cards.relative.
        value_discount: gamma of the values, one control step; windows then hold the proprio and the
            value of their last frame, see data.windows.windows. None for neither.
        text_length: UTF-8 bytes of the instruction.
        action_norm, proprio_norm: how the Normaliser is fitted.
        gripper_dim: the action dimension that is 0..1 and goes to -1..1 whatever the statistics.
        action_width, proprio_width: pad to this many dimensions (mask False); None: as recorded.
        goal: windows also hold the frame of a goal, of every camera: the "last" one of the episode,
            or one drawn among those after now ("uniform"), see data.windows.goals.
        only_solved: leave out episodes that say that the task was not solved
            (`episode_metadata/success`).
        action_share: of the training episodes, by a hash of their content, whose actions are shown;
            the others are video without actions, from statistics on.
        idle: leave out windows in whose chunk no number moves by more than this share of its
            spread, see data.windows.idle; it needs a card. None keeps all.
        latents: directory of the windows' latents (`wamjax data encode`), which then stand in for
            frames in training; None for frames.
        holdout: fraction of episodes, by a hash of their content, that is never trained on.
        part: which episodes.
        seed: of the shuffle.
        bad_budget: fraction of episodes (and of images) that may be bad and is passed over.
        cache_bytes: memory for decoded frames, of a mixture for all its data sets together; frames
            beyond it are decoded at each use.
        workers: threads that decode the frames of a batch; batches do not depend on it.
        prefetch: batches made ahead by one thread; 0 makes each when it is asked for.
    """

    dir: str = ""
    card: str = ""
    every: int | None = None
    mixture: str = ""
    mixtures: str = "data/mixtures.toml"
    root: str = ""
    cards: str = "data/cards"
    rate_hz: float | None = None
    split: str = "train"
    cameras: tuple[str, ...] = ("image", "wrist_image")
    proprio_key: str | None = "state"
    action_key: str | None = "action"
    instruction_key: str | None = "language_instruction"
    image_size: int = 48
    history: int = 1
    future: int = 2
    frame_stride: int = 4
    chunk: int = 8
    text_length: int = 64
    action_norm: Norm = "quantile"
    proprio_norm: Norm = "quantile"
    gripper_dim: int | None = 6
    action_width: int | None = None
    proprio_width: int | None = None
    history_stride: int | None = None
    past_actions: int | None = None
    relative: bool = later(False)
    value_discount: float | None = None
    goal: Goal = later("none")
    only_solved: bool = later(False)
    action_share: float = later(1.0)
    idle: float | None = None
    latents: str | None = None
    holdout: float = 0.1
    part: Part = "train"
    seed: int = 0
    bad_budget: float = 0.0
    cache_bytes: int = 2**30
    workers: int = later(2)
    prefetch: int = 2

    def __post_init__(self) -> None:
        for name in ("image_size", "history", "frame_stride", "chunk", "text_length", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("future", "seed", "cache_bytes", "prefetch"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("holdout", "bad_budget"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if not 0.0 < self.action_share <= 1.0:
            raise ValueError(f"action_share must be in (0, 1], got {self.action_share}")
        if self.idle is not None:
            if not 0.0 <= self.idle < 1.0:
                raise ValueError(f"idle must be none or in [0, 1), got {self.idle}")
            if not self.card and not self.mixture:
                raise ValueError("idle needs to know what the numbers mean: give card")
        if not self.cameras or len(set(self.cameras)) != len(self.cameras):
            raise ValueError(f"cameras must be different image keys, got {self.cameras}")
        if self.mixture and (self.dir or self.card or self.every is not None):
            raise ValueError("a mixture says itself which data sets: leave dir, card and every out")
        if self.every is not None and self.every < 1:
            raise ValueError(f"every must be none or at least 1, got {self.every}")
        if self.rate_hz is not None and self.rate_hz <= 0:
            raise ValueError(f"rate_hz must be none or above 0, got {self.rate_hz}")
        if self.part == "heldout" and self.holdout == 0.0:
            raise ValueError("part 'heldout' needs a holdout above 0")
        for key, width in (
            ("action_key", self.action_width),
            ("proprio_key", self.proprio_width),
        ):
            if getattr(self, key) is None and width is None:
                raise ValueError(f"without {key} its width must be given")
            if width is not None and width < 1:
                raise ValueError(f"a width must be at least 1, got {width}")
        if self.history_stride is not None and self.history_stride < 1:
            raise ValueError(f"history_stride must be at least 1, got {self.history_stride}")
        if self.past_actions is not None and self.past_actions < 1:
            raise ValueError(f"past_actions must be none or at least 1, got {self.past_actions}")
        if self.relative and not (self.card or self.mixture):
            raise ValueError("relative needs to know what the numbers mean: give a card")
        if self.value_discount is not None:
            if not 0.0 < self.value_discount <= 1.0:
                raise ValueError(
                    f"value_discount must be none or in (0, 1], got {self.value_discount}"
                )
            if not self.future:
                raise ValueError("value_discount values the last future frame, and future is 0")
        if self.gripper_dim is not None and self.gripper_dim < 0:
            raise ValueError(f"gripper_dim counts from 0, got {self.gripper_dim}")

    @property
    def frames(self) -> int:
        """T: frames a window."""
        return self.history + self.future
