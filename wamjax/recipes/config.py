"""What a system is made of, as typed values."""

import dataclasses
from typing import Literal

from wamjax.flow.levels import LevelLaw, LevelsConfig
from wamjax.flow.path import Prediction
from wamjax.flow.sampler import SamplerConfig
from wamjax.flow.solvers import Solver
from wamjax.model.config import WamConfig
from wamjax.model.couplings import Size, coupled
from wamjax.recipes.objectives import Training


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodecConfig:
    """Frames to latents.

    Attributes:
        kind: "patch" (no weights, invertible) or "autoencoder" (small, causal, trained first).
        patch: pixels per latent cell on a side, under "patch".
        temporal: pixel frames per latent frame after the first.
        channels, width: latent channels and inner width of the autoencoder.
    """

    kind: Literal["patch", "autoencoder"] = "patch"
    patch: int = 8
    temporal: int = 1
    channels: int = 16
    width: int = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Bytes to word tokens; `words` tokens of `width`, from byte features of `hidden`."""

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
        )
