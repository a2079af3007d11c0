"""The stage of RL after imitation, as values; `docs/ript.md` shows what they do."""

import dataclasses
from typing import Literal

from wamjax.train.config import StageConfig, TrainConfig

COUNTS = (
    "iterations",
    "groups",
    "rounds",
    "epochs",
    "minibatches",
    "evaluate_every",
    "evaluate_worlds",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RiptConfig:
    """Rewarded rollouts from the policy of a finished run (RIPT-VLA, arXiv 2505.17016).

    Attributes:
        start: workdir of the run whose weights, system, data settings and statistics are taken.
        tasks: in whose worlds it is rewarded; every iteration visits all of them.
        iterations: collections of rollouts, each followed by updates.
        groups: initial states of an iteration and task whose rewards differ.
        rollouts: from each initial state.
        rounds: at most so many times `groups` initial states are drawn to find those that differ.
        replan: actions executed per plan; None for half a chunk.
        strength: of the draws: of the flow's walk, or the factor of the Laplace scale.
        epochs, minibatches: passes over an iteration's plans, and optimizer steps of each.
        clip_low, clip_high: how far a ratio may move from 1 before it is clipped.
        learning_rate: peak; it falls by a cosine to `end_fraction` of it.
        warmup: share of all updates with linearly growing learning rate.
        weight_decay, beta2: AdamW's.
        gradient_clip: largest global norm of the gradient.
        ema: decay of the averaged weights, those that are evaluated, over updates; 0 for none.
        train: regular expressions over whole weight paths; what none matches is frozen.
        evaluate_every: iterations between evaluations in worlds that are never trained in.
        evaluate_worlds: clean worlds of an evaluation, per task.
        evaluate_seed: of their choice; `wamjax eval --seed` of the same number visits the same.
        save_every, keep: iterations between checkpoints, and how many of them stay.
        physics: which implementation steps the worlds.
        seed: of the worlds and of all draws.

    Raises:
        ValueError: a count or a rate out of range, or a task twice.
    """

    start: str = ""
    tasks: tuple[str, ...] = ("reach",)
    iterations: int = 100
    groups: int = 16
    rollouts: int = 8
    rounds: int = 4
    replan: int | None = None
    strength: float = 0.3
    epochs: int = 1
    minibatches: int = 4
    clip_low: float = 0.2
    clip_high: float = 0.2
    learning_rate: float = 1e-4
    end_fraction: float = 0.1
    warmup: float = 0.02
    weight_decay: float = 0.0
    beta2: float = 0.99
    gradient_clip: float = 1.0
    ema: float = 0.9
    train: tuple[str, ...] = ("(?!codec/).*",)
    evaluate_every: int = 10
    evaluate_worlds: int = 100
    evaluate_seed: int = 1
    save_every: int = 20
    keep: int = 2
    physics: Literal["auto", "mjx", "c"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rollouts < 2:
            raise ValueError(
                f"rollouts must be at least 2, got {self.rollouts}: a rollout is compared with the "
                "others of its group"
            )
        for name in COUNTS:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("strength", "clip_low", "clip_high"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.clip_low >= 1:
            raise ValueError(f"clip_low must be below 1, got {self.clip_low}")
        if not self.tasks or len(set(self.tasks)) != len(self.tasks):
            raise ValueError(f"tasks must name some tasks, each once, got {self.tasks}")
        # The rest is refused by the settings of the optimizer.
        self.optimizer  # noqa: B018

    @property
    def updates(self) -> int:
        """Optimizer steps of an iteration."""
        return self.epochs * self.minibatches

    @property
    def optimizer(self) -> TrainConfig:
        """The optimizer and the checkpoints, as the supervised loop names them."""
        return TrainConfig(
            steps=self.iterations,
            learning_rate=self.learning_rate,
            end_fraction=self.end_fraction,
            warmup=self.warmup,
            clip=self.gradient_clip,
            weight_decay=self.weight_decay,
            beta2=self.beta2,
            ema=self.ema,
            save_every=self.save_every,
            keep=self.keep,
            seed=self.seed,
            stages=(StageConfig(name="ript", objective="ript", train=self.train),),
        )
