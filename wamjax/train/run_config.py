"""A run: which system, which data, how it is trained, on which mesh."""

import dataclasses

from wamjax.data.config import DataConfig
from wamjax.parallel.mesh import MeshConfig
from wamjax.recipes.assembly import AnyConfig, objectives, usual_stages
from wamjax.train.augment import AugmentConfig
from wamjax.train.config import StageConfig, TrainConfig
from wamjax.train.ript_config import RiptConfig

# What the data deliver and what the system expects, field by field.
SAME = (
    "image_size", "history", "future", "frame_stride", "history_stride", "chunk", "past_actions",
    "value_discount", "text_length",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The whole of an experiment, as values.

    With `ript` it is RL after imitation: system, data, training and mesh are then those of the run
    that it starts from.

    Raises:
        ValueError: the system and the data disagree about a shape, or a stage asks for an objective
            that the system does not have.
    """

    name: str
    system: AnyConfig
    data: DataConfig
    train: TrainConfig = TrainConfig()
    mesh: MeshConfig = MeshConfig()
    ript: RiptConfig | None = None

    def __post_init__(self) -> None:
        for name in SAME:
            ours, theirs = getattr(self.system, name), getattr(self.data, name)
            if ours != theirs:
                raise ValueError(f"system.{name} is {ours} but data.{name} is {theirs}")
        if self.system.views != len(self.data.cameras):
            raise ValueError(
                f"system.views is {self.system.views} but data.cameras names {self.data.cameras}"
            )

        if self.data.goal != "none" and not self.system.reads_goal:
            raise ValueError(
                f"data.goal is {self.data.goal!r} and this system reads no goal: leave it out, or "
                "train octo in form 'goal'"
            )
        if self.data.goal == "none" and self.system.reads_goal:
            raise ValueError("this system reads goals: set data.goal to 'uniform' or 'last'")

        for stage in self.train.stages:
            if stage.objective not in objectives(self.system):
                raise ValueError(
                    f"stage {stage.name} asks for {stage.objective!r}; this system can be asked "
                    f"for {', '.join(objectives(self.system))}"
                )
            if self.data.latents is not None and stage.objective == "codec":
                raise ValueError(
                    f"stage {stage.name} trains the codec, and data.latents are those of a codec "
                    "that is trained: leave the stage out"
                )
        if self.data.latents is not None and self.train.augment != AugmentConfig():
            raise ValueError(
                "data.latents are those of frames as they are: leave train.augment out, or train "
                "on frames"
            )

    @property
    def stages(self) -> tuple[StageConfig, ...]:
        """The stages given, or those of the system's objective."""
        return self.train.stages or stages_for(self.system, encoded=self.data.latents is not None)


def stages_for(system: AnyConfig, *, encoded: bool = False) -> tuple[StageConfig, ...]:
    """The usual stages of the system's objective; `encoded`: without that of the codec."""
    return tuple(
        StageConfig(
            name=stage.name, objective=stage.objective, fraction=stage.fraction, train=stage.train
        )
        for stage in usual_stages(system, encoded=encoded)
    )
