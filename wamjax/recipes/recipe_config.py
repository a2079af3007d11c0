"""Which recipe, and what its data look like: the system half of a recipe's run."""

import dataclasses
import functools
from typing import Literal

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
        solver_steps: steps of every walk of the sampler program; 0 for the recipe's own.

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

    def __post_init__(self) -> None:
        recipe = find_recipe(self.recipe)
        if self.form and self.form not in recipe.forms:
            known = ", ".join(recipe.forms) or "none"
            raise ValueError(f"form {self.form!r} does not exist; forms of {recipe.name}: {known}")
        if self.blueprint.learning is None:
            raise ValueError(f"{self.recipe} is not trained on data yet; see `wamjax recipes`")
        shape = self.blueprint.shape
        if self.image_size % shape.rows:
            raise ValueError(
                f"image_size must be a multiple of {shape.rows}, got {self.image_size}"
            )
        if self.views < shape.views:
            raise ValueError(f"{self.recipe} needs {shape.views} cameras, got {self.views}")
        if self.solver_steps < 0:
            raise ValueError(f"solver_steps must not be negative, got {self.solver_steps}")

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
        assert self.blueprint.learning is not None
        return self.blueprint.learning

    @property
    def history(self) -> int:
        return self.timeline.history

    @property
    def future(self) -> int:
        return self.timeline.future

    @property
    def chunk(self) -> int:
        return self.blueprint.shape.chunk

    @property
    def action_dim(self) -> int:
        return self.blueprint.shape.action

    @property
    def proprio_dim(self) -> int:
        return self.blueprint.shape.proprio or 7

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
