"""How long, how fast, which weights: the training half of a run's config."""

import dataclasses
import math
from typing import Literal

from wamjax.train.augment import AugmentConfig

SPIKE_WINDOW, PATIENCE = 128, 8
Optimizer = Literal["adamw", "adafactor"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageConfig:
    """One stage of training; stages follow one another and share the run's steps.

    Attributes:
        name: shown in progress and messages.
        fraction: share of `TrainConfig.steps`; the fractions of all stages sum to 1.
        objective: what the system's loss is asked for.
        train: regular expressions over whole weight paths ("model/.*action.*"). A weight that
            none matches is frozen: it gets no gradient and no optimizer state and stays equal bit
            for bit.
    """

    name: str = "main"
    fraction: float = 1.0
    objective: str = "joint"
    train: tuple[str, ...] = (".*",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The optimizer and the loop.

    Attributes:
        steps: optimizer steps over all stages.
        batch: examples in the global batch.
        save_every: steps between checkpoints; the last step is always saved.
        keep: newest checkpoints kept on disk, at least two so that one may be broken.
        log_every: steps between rows of `metrics.jsonl`; a row is a mean over that interval.
        learning_rate: peak of the warm-up and cosine schedule; every stage has its own.
        warmup: share of a stage's steps with linearly growing learning rate.
        end_fraction: learning rate at a stage's end as a share of the peak.
        clip: largest global norm of the gradient of the trained weights.
        weight_decay: decoupled (AdamW); for matrices only, see `optimizer.decay_mask`.
        beta2: decay of AdamW's second moment; Adafactor's follows from the count.
        ema: decay of the averaged weights, in [0, 1); 0 keeps the newest weights.
        seed: of the initial weights and of every draw in the loss.
        augment: how frames are changed while training; not at all by default.
        stages: in order; empty means those that belong to the system's objective.
        spike_sigmas: a step whose loss or gradient norm lies so many deviations above the mean of
            the last `spike_window` steps is not taken; None takes it, 6 is usual. A step that is
            not finite is never taken.
        spike_window: None means 128.
        patience: after so many steps in a row that were not taken, the run goes back to its last
            good checkpoint and passes over their data; None means 8.
        hang_after: seconds without a step after which the run counts as hung, unless steps are
            usually slow; None means 300. See train.heartbeat.
        optimizer: "adamw", or "adafactor", which keeps rows and columns of the second moment; None
            means adamw. See train.optimizer.
        mu_dtype: of the first moment; None is float32 for adamw, and no first moment for adafactor.
        accumulate: parts into which the batch is split, whose gradients are added up one after
            the other, so that the activations of one part are in memory; None for 1. See
            train.accumulate.
        only: regular expressions over whole weight paths: of what a stage trains, only what one of
            these matches; None for all of it, with `lora` for nothing but the adapters.
        lora: regular expressions over whole paths of kernels, which stay as they are and get an
            adapter each; see train.lora. A stage trains the adapters of what it would train.
        lora_rank: None means 16.
        lora_alpha: adapters' products are multiplied by alpha / rank; None means the rank.
        start: a folder whose weights a fresh run begins with: a workdir, or what `wamjax convert`
            wrote; see train.warm_start.
        start_names: (regular expression, replacement), in order: a path there is rewritten to the
            path here; one that becomes empty is left out.
        start_resized: the same for paths here that got no weight: what it makes of them names the
            weight of another width that they are made from.
    """

    steps: int = 1000
    batch: int = 64
    save_every: int = 500
    keep: int = 2
    log_every: int = 50
    learning_rate: float = 1e-3
    warmup: float = 0.05
    end_fraction: float = 0.01
    clip: float = 1.0
    weight_decay: float = 0.01
    beta2: float = 0.99
    ema: float = 0.999
    seed: int = 0
    augment: AugmentConfig = AugmentConfig()
    stages: tuple[StageConfig, ...] = ()
    # Young settings are None when left out, so that older runs still have the same config.
    spike_sigmas: float | None = None
    spike_window: int | None = None
    patience: int | None = None
    hang_after: float | None = None
    optimizer: Optimizer | None = None
    mu_dtype: Literal["float32", "bfloat16"] | None = None
    accumulate: int | None = None
    only: tuple[str, ...] | None = None
    lora: tuple[str, ...] | None = None
    lora_rank: int | None = None
    lora_alpha: float | None = None
    start: str | None = None
    start_names: tuple[tuple[str, str], ...] | None = None
    start_resized: tuple[tuple[str, str], ...] | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "save_every", "keep", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("warmup", "end_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        for name in ("beta2", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        for name in ("learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("spike_sigmas", "hang_after", "lora_alpha"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive or None, got {value}")
        least_of = {"spike_window": 2, "patience": 1, "accumulate": 1, "lora_rank": 1}
        for name, least in least_of.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least} or None, got {value}")
        needs = {"lora_rank": "lora", "lora_alpha": "lora"}
        needs |= {"start_names": "start", "start_resized": "start"}
        for name, needed in needs.items():
            if getattr(self, needed) is None and getattr(self, name) is not None:
                raise ValueError(f"{name} means nothing without {needed}")
        if self.batch % self.parts:
            raise ValueError(
                f"accumulate splits the batch into equal parts: {self.batch} examples do not "
                f"divide by {self.parts}"
            )
        total = math.fsum(stage.fraction for stage in self.stages)
        if self.stages and not math.isclose(total, 1.0, abs_tol=1e-6):
            raise ValueError(f"the fractions of the stages must sum to 1, got {total:g}")
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError(f"stages must have different names, got {names}")

    @property
    def parts(self) -> int:
        """Parts of the batch, one after the other."""
        return 1 if self.accumulate is None else self.accumulate

    @property
    def rank(self) -> int:
        """Of adapters."""
        return 16 if self.lora_rank is None else self.lora_rank

    @property
    def window(self) -> int | None:
        """Steps over which spikes are looked for; None for not at all."""
        if self.spike_sigmas is None:
            return None
        return SPIKE_WINDOW if self.spike_window is None else self.spike_window
