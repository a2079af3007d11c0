"""Which recipe, and what its data look like: the system half of a recipe's run."""

import dataclasses
import functools
from typing import Literal

from wamjax.core.by_frame import per_frame
from wamjax.model.segments import Segment
from wamjax.recipes.blueprint import Blueprint, Learning
from wamjax.recipes.registry import find_recipe
from wamjax.recipes.timeline import Timeline


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecipeConfig:
    """A published system at its tiny size, to be trained on pixels and numbers.

    Attributes:
        recipe: its name in `wamjax recipes`.
        form: one of its forms; empty for the usual one.
        views: cameras in the data.
        image_size: side of the square frames, pixels; a multiple of the recipe's rows.
        frame_stride: control ticks between frames.
        text_length: bytes of the instruction.
        solver_steps: steps of every walk of the sampler program, each with an evaluation: what a
            recipe reuses of its own steps (phase.evaluated) is counted in those. 0 for the
            recipe's own steps and reuse.
        candidates: chunks that are drawn for each that is executed, the one with the highest value
            (see recipes.planning); 1 for no planning. Training is the same.
        delay: longest delay, in control ticks, that training simulates, so that a chunk can go on
            from actions under way (arXiv 2512.05964, see flow.prefix); 0 for none. Without effect
            where actions are not denoised one token each.
        embodiment: which of the recipe's embodiments the data are of, where it has weights for
            each (X-VLA); None for the first.
        past_actions: executed actions that are shown, the newest of those for which the sequence
            has tokens; the tokens of the others are padding. None for none; data.past_actions must
            say the same.

    Raises:
        ValueError: no such recipe or form, or a size that the recipe cannot have.
    """

    recipe: str
    form: str = ""
    views: int = 2
    image_size: int = 48
    frame_stride: int = 4
    text_length: int = 64
    solver_steps: int = 0
    candidates: int = 1
    delay: int = 3
    past_actions: int | None = None
    embodiment: int | None = None

    def __post_init__(self) -> None:
        recipe = find_recipe(self.recipe)
        if self.form and self.form not in recipe.forms:
            known = ", ".join(recipe.forms) or "none"
            raise ValueError(f"form {self.form!r} does not exist; forms of {recipe.name}: {known}")
        if self.blueprint.foreseen:
            raise ValueError(
                f"{self.recipe} in form {self.form!r} samples the chunk behind the one under way: "
                "train another form, and walk this one chunk after chunk (wamjax.recipes.episode)"
            )
        shape = self.blueprint.shape
        if self.image_size % shape.rows:
            raise ValueError(
                f"image_size must be a multiple of {shape.rows}, got {self.image_size}"
            )
        if self.views < shape.views:
            raise ValueError(f"{self.recipe} needs {shape.views} cameras, got {self.views}")
        if self.solver_steps < 0:
            raise ValueError(f"solver_steps must not be negative, got {self.solver_steps}")
        if self.candidates < 1:
            raise ValueError(f"candidates must be at least 1, got {self.candidates}")
        planning = self.learning.planning
        if self.candidates > 1 and planning is None:
            raise ValueError(
                f"{self.recipe} has no values to choose among {self.candidates} candidates by: "
                "leave candidates at 1"
            )
        if self.candidates > 1 and planning and self.form not in ("", planning.policy):
            raise ValueError(
                f"{self.recipe} chooses among {self.candidates} candidates in form "
                f"{planning.policy!r} alone: leave candidates at 1 in form {self.form!r}"
            )
        if not 0 <= self.delay < shape.chunk:
            raise ValueError(f"delay must lie in 0 ... {shape.chunk - 1}, got {self.delay}")
        if self.by_frame not in (None, self.frame_stride):
            raise ValueError(
                f"{self.recipe} has {self.by_frame} actions for each frame: frame_stride must be "
                f"{self.by_frame}, got {self.frame_stride}"
            )
        room = self.timeline.past_actions
        if self.past_actions is not None and not 1 <= self.past_actions <= room:
            raise ValueError(
                f"past_actions must be none or one of the {room} for which {self.recipe} has "
                f"tokens, got {self.past_actions}"
            )
        if self.embodiment is not None and not 0 <= self.embodiment < self.embodiments:
            raise ValueError(
                f"embodiment must lie in 0 ... {self.embodiments - 1} for {self.recipe}, "
                f"got {self.embodiment}"
            )

    @functools.cached_property
    def blueprint(self) -> Blueprint:
        recipe = find_recipe(self.recipe)
        return recipe.build("tiny", self.form) if self.form else recipe.build("tiny")

    @functools.cached_property
    def timeline(self) -> Timeline:
        return Timeline(self.blueprint)

    @property
    def learning(self) -> Learning:
        """How the recipe is trained."""
        return self.blueprint.learning

    @property
    def history(self) -> int:
        return self.timeline.history

    @property
    def future(self) -> int:
        # Latent words tell what happens until the chunk ends.
        ends = -(-self.chunk // self.frame_stride) if self.learning.between else 0
        return max(self.timeline.future, ends)

    @property
    def history_stride(self) -> int | None:
        """Control ticks between the frames of a sparse memory; None where it is not sparse."""
        memory = self.learning.memory
        return None if memory == 1 else memory * self.frame_stride

    @property
    def reads_goal(self) -> bool:
        """Whether the frame of a goal is an input."""
        return self.learning.goal is not None

    @property
    def value_discount(self) -> float | None:
        """Of the values that are learned, one control tick; None where none are."""
        return self.learning.discount

    @property
    def chunk(self) -> int:
        return self.blueprint.shape.chunk

    @property
    def action_dim(self) -> int:
        return self.blueprint.shape.action

    @property
    def proprio_dim(self) -> int:
        return self.blueprint.shape.proprio or 7

    @functools.cached_property
    def continued(self) -> tuple[Segment, ...]:
        """The chunk that is sampled, if each of its actions is denoised as a token of its own."""
        if self.learning.painted:
            return ()
        parts = tuple(
            segment
            for phase in self.blueprint.program
            for segment in phase.segments
            if segment.kind == "action/noisy"
        )
        return parts if sum(part.count for part in parts) == self.chunk else ()

    @property
    def by_frame(self) -> int | None:
        """Actions that lead to each frame; None where the chunk is not cut among the frames."""
        cut = 1 < len(self.continued) == self.timeline.future
        return per_frame(self.chunk, self.timeline.future) if cut else None

    @property
    def embodiments(self) -> int:
        """Embodiments with weights of their own; one where all share theirs."""
        return max(1, *(port.domains for port in self.blueprint.model.ports))

    @property
    def predicted_views(self) -> int:
        """Cameras whose future is predicted."""
        predicted = [
            s.view
            for s in self.blueprint.training.segments
            if s.stream == "video" and s.copy == "noisy"
        ]
        return len({*predicted})

    @property
    def solver(self) -> Literal["euler"]:
        return "euler"
