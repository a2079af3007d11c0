"""What a system is made of, as typed values."""

import dataclasses
from typing import Literal

from wamjax.core.config import later
from wamjax.flow.levels import LevelLaw, LevelsConfig
from wamjax.flow.path import Prediction
from wamjax.flow.sampler import Program, SamplerConfig
from wamjax.flow.solvers import Solver
from wamjax.model.config import WamConfig
from wamjax.model.couplings import Size, coupled
from wamjax.model.ports import needs_level
from wamjax.recipes.modes import refusal
from wamjax.recipes.objectives import FINAL, PLANS, Plan, Training

Jump = Literal["shortcut"]
Withheld = Literal["proprio"]
HALVINGS = 5
"""Lengths of the jumps in training: 1, 1/2, ... The halves of the shortest are flow matching."""
JUMPS = tuple(2**power for power in range(HALVINGS))
FEATURE_WEIGHT = 0.2
"""Of the loss of predicted features; published 0.1 (2602.10098). That of the video is the same."""


PUBLISHED = {"wan21": 4, "wan22": 4, "ltx": 8}
"""Codecs with the weights of a checkpoint, and their frames of a latent frame."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodecConfig:
    """Frames to latents.

    Attributes:
        kind: "patch" (no weights, invertible), "autoencoder" (small, causal, trained first), or a
            published one, frozen, with its own sizes: "wan21" (4 x 8 x 8), "wan22" (4 x 16 x 16),
            "ltx" (8 x 32 x 32).
        patch: pixels per latent cell on a side, under "patch".
        temporal: pixel frames per latent frame after the first; that of PUBLISHED, too.
        channels, width: latent channels and inner width of the autoencoder.

    Raises:
        ValueError: `temporal` is not that of a published codec.
    """

    kind: Literal["patch", "autoencoder", "wan21", "wan22", "ltx"] = "patch"
    patch: int = 8
    temporal: int = 1
    channels: int = 16
    width: int = 32

    def __post_init__(self) -> None:
        frames = PUBLISHED.get(self.kind, self.temporal)
        if self.temporal != frames:
            raise ValueError(
                f"codec.kind {self.kind} makes a latent frame of {frames} frames: set "
                f"codec.temporal to {frames}, got {self.temporal}"
            )

    @property
    def published(self) -> bool:
        """Its weights are those of a checkpoint, and are not trained here."""
        return self.kind in PUBLISHED

    @property
    def has_weights(self) -> bool:
        return self.kind != "patch"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Instructions to tokens.

    Attributes:
        kind: "bytes" (small, trained with the rest) or "minilm" (a pretrained sentence encoder,
            which the extra `minilm` installs: the part "language", which usual stages leave as it
            is).
        width: of a token.
        words: tokens: words under "bytes"; word pieces, with one before and one behind them, under
            "minilm".
        hidden: width of the features of bytes, under "bytes".
    """

    kind: Literal["bytes", "minilm"] = later("bytes")
    width: int = 64
    words: int = 12
    hidden: int = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContextConfig:
    """What is told about the newest frames beside their latent tokens.

    Attributes:
        kind: "keypoints" (convolutions steered by the instruction, spatial softmax) or "none".
        tokens: feature tokens made from all keypoints of all views.
        channels, kernels, strides: of the convolutions; the last channels are the keypoints.
        hidden: width of the layers that mix keypoints, proprio and instruction.
        guess_weight: weight of the loss of the mixed context's own guess at the actions.
    """

    kind: Literal["none", "keypoints"] = "keypoints"
    tokens: int = 4
    channels: tuple[int, ...] = (16, 32, 32)
    kernels: tuple[int, ...] = (8, 3, 3)
    strides: tuple[int, ...] = (4, 1, 1)
    hidden: int = 128
    guess_weight: float = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class SystemConfig:
    """A world action model or a policy, from pixels to actions.

    Attributes:
        views: cameras seen; predicted_views: how many of them, the first ones, are predicted.
        image_size: side of the square frames, pixels.
        history, future: frames up to now, and frames predicted.
        frame_stride: control ticks between frames.
        chunk: actions predicted at once.
        action_dim, proprio_dim, text_length: widths of the streams.
        training: which objective, see recipes.objectives.
        levels: noise levels while training.
        video_target: what is denoised: future latents ("frame"), or their difference to the newest
            one ("change"), which is mostly zero in a scene where little moves.
        video_scale: the target is multiplied by it, to bring it near the noise's unit variance.
        video_prediction, action_prediction: what the heads predict.
        video_weight, action_weight: weights of the losses.
        imagined_steps: solver steps for the future that the second stage of two_stage sees.
        solver, solver_steps, video_shift: how actions are sampled.
        evaluated: the solver steps at which the network is asked, rising from 0; those between go
            on with its last answer (velocity reuse, arXiv 2602.15922). None for all.
        video_end: the noise level at which sampling leaves the video (arXiv 2602.15922); predicted
            frames then keep that much noise. None for 0.
        jump: "shortcut" tells the actions' expert how far its velocity will be followed and trains
            it for that (see flow.shortcut), so that actions are sampled in `solver_steps` jumps, a
            power of two up to 16, with one pass each. The video is held meanwhile: at pure noise,
            or as imagined where the objective imagines it first; frames are denoised afterwards,
            given the actions, in `imagined_steps`. None for plain flow matching.
        delay: longest delay, in control ticks, that training simulates, so that a chunk can go on
            from actions under way (arXiv 2512.05964, see flow.prefix). None for no delay, as here:
            the published figures of the quick start were measured without.
        sampled: the program by which the weights are sampled, see recipes.modes; None for the
            objective's own. Training is the same.
        temperature: factor of the noise that actions start from; None for 1.
        feature_weight: weight of the loss of predicted features, under the objective latent; None
            for FEATURE_WEIGHT.
        without: an input that is withheld in training and sampling, with zeros in its place; None
            for none. The weights are the same.

    Raises:
        ValueError: a size, a step, a delay or a program that the system cannot have.
    """

    views: int = 2
    predicted_views: int = 1
    image_size: int = 48
    history: int = 1
    future: int = 2
    frame_stride: int = 4
    chunk: int = 8
    action_dim: int = 7
    proprio_dim: int = 7
    text_length: int = 64
    codec: CodecConfig = CodecConfig()
    text: TextConfig = TextConfig()
    context: ContextConfig = ContextConfig()
    model: WamConfig = coupled("mot", Size(width=96, depth=3, heads=4, head_dim=24))
    training: Training = "joint"
    levels: LevelsConfig = LevelsConfig(video=LevelLaw(shift=3.0))
    video_target: Literal["frame", "change"] = "change"
    video_scale: float = 3.0
    video_prediction: Prediction = "clean"
    action_prediction: Prediction = "velocity"
    video_weight: float = 0.2
    action_weight: float = 1.0
    imagined_steps: int = 3
    solver: Solver = "euler"
    solver_steps: int = 5
    video_shift: float = 3.0
    evaluated: tuple[int, ...] | None = None
    video_end: float | None = None
    jump: Jump | None = None
    delay: int | None = None
    sampled: Program | None = None
    temperature: float | None = None
    feature_weight: float | None = None
    without: Withheld | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.predicted_views <= self.views:
            raise ValueError(
                f"predicted_views must lie between 1 and views ({self.views}), "
                f"got {self.predicted_views}"
            )
        if (self.history - 1) % self.codec.temporal or self.future % self.codec.temporal:
            raise ValueError(
                f"history must be 1 + a multiple and future a multiple of codec.temporal "
                f"({self.codec.temporal}), got {self.history} and {self.future}"
            )
        if self.delay is not None and not 1 <= self.delay < self.chunk:
            raise ValueError(
                f"delay must lie between 1 and chunk - 1 ({self.chunk - 1}), got {self.delay}"
            )
        if self.temperature is not None and self.temperature < 0:
            raise ValueError(f"temperature must not be negative, got {self.temperature}")
        if self.plan.queries and self.context.kind == "none":
            raise ValueError(
                f"the objective {self.training} predicts features of the context encoder: choose a "
                'context.kind other than "none"'
            )
        # Without a program of one's own, `jump` goes its own way.
        jump = self.jump is not None and self.sampled is not None
        if reason := refusal(self.training, self.program, self.levels.coupling, jump=jump):
            raise ValueError(reason)
        if self.jump is not None:
            self._check_jumps()
        # Refuses what no sampler can do.
        self.sampler("joint")

    def _check_jumps(self) -> None:
        if self.solver_steps not in JUMPS:
            raise ValueError(
                f"solver_steps must be one of {', '.join(map(str, JUMPS))} under jump "
                f'"{self.jump}", got {self.solver_steps}'
            )
        if self.evaluated is not None:
            raise ValueError(
                f'evaluated has no meaning under jump "{self.jump}": every jump asks the network'
            )
        port = self.model.port("action")
        expert = self.model.expert(port.into)
        if expert is None or not needs_level(expert, {port.head}):
            raise ValueError(
                f"{port.into} reads no noise level and cannot be told jumps: give it a modulation"
            )
        shared = port.into == self.model.port("video").into
        if self.training == "two_stage" and shared:
            raise ValueError(
                "a world model that is trained first cannot be told jumps: choose a coupling with "
                "an expert for the actions, or no jump"
            )

    @property
    def plan(self) -> Plan:
        """What is sampled after all stages."""
        return PLANS[FINAL[self.training]]

    @property
    def program(self) -> Program:
        """The program by which it is."""
        return self.sampled or self.plan.program

    @property
    def past_actions(self) -> None:
        """No executed actions are shown."""
        return None

    @property
    def candidates(self) -> int:
        """Every chunk that is drawn is executed."""
        return 1

    @property
    def value_discount(self) -> None:
        """No values are learned."""
        return None

    @property
    def reads_goal(self) -> bool:
        """The frame of a goal is no input."""
        return False

    @property
    def history_stride(self) -> None:
        """The frames of the history stand `frame_stride` apart."""
        return None

    def sampler(self, program: str) -> SamplerConfig:
        """The sampler settings for a program of flow.sampler."""
        return SamplerConfig(
            program=program,  # pyright: ignore[reportArgumentType]
            steps=self.solver_steps,
            solver=self.solver,
            video_shift=self.video_shift,
            video_end=self.video_end or 0.0,
            evaluated=self.evaluated or (),
        )
