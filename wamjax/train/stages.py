"""Stages on the one axis of steps: stage i runs the steps [start, end).

A stage starts from the averaged weights of the one before, with fresh optimizer state: what a
later stage finds frozen is exactly what inference will use.
"""

import dataclasses

from wamjax.core.errors import UserError
from wamjax.train.config import StageConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage with its steps counted out; attributes as in `StageConfig`."""

    name: str
    start: int
    end: int
    objective: str
    train: tuple[str, ...]

    @property
    def steps(self) -> int:
        return self.end - self.start


def stages_of(parts: tuple[StageConfig, ...], steps: int) -> tuple[Stage, ...]:
    """The stages in order; together they cover [0, steps).

    Raises:
        UserError: a stage would get no step.
    """
    stages, share = [], 0.0
    for part in parts:
        start = round(share * steps)
        share += part.fraction
        end = round(share * steps)
        if end <= start:
            raise UserError(
                f"Stage {part.name} gets no step: {part.fraction:g} of {steps} steps; "
                "raise train.steps or its fraction."
            )
        stages.append(
            Stage(name=part.name, start=start, end=end, objective=part.objective, train=part.train)
        )
    return tuple(stages)


def stage_index(stages: tuple[Stage, ...], step: int) -> int:
    """Index of the stage that owns a state at `step`: the one that runs step `step` next.

    The state after the very last step belongs to the last stage.
    """
    for index, stage in enumerate(stages):
        if step < stage.end:
            return index
    return len(stages) - 1
