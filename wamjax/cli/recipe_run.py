"""The run of a published system at its tiny size, on demonstrations of our own worlds."""

import dataclasses

from wamjax.core.errors import UserError
from wamjax.data.config import DataConfig
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.train.config import TrainConfig
from wamjax.train.run_config import RunConfig


def recipe_run(which: str) -> RunConfig:
    """The run of a recipe: 600 steps, minutes on two CPU cores.

    Args:
        which: a name of `wamjax recipes`, and behind a slash one of its forms.

    Raises:
        UserError: there is no such recipe or form.
    """
    name, _, form = which.partition("/")
    try:
        system = RecipeConfig(recipe=name, form=form)
    except ValueError as error:
        raise UserError(f"configs/recipe.py:{which}: {error}.") from error
    if system.learning.painted:
        # What comes next is what the chunk leads to.
        system = dataclasses.replace(system, frame_stride=system.chunk)
    return RunConfig(
        name=f"{name}_{form}" if form else name,
        system=system,
        data=DataConfig(
            dir="tabletop/1.0.0",
            cameras=("image", "wrist_image"),
            image_size=system.image_size,
            history=system.history,
            future=system.future,
            frame_stride=system.frame_stride,
            history_stride=system.history_stride,
            chunk=system.chunk,
            past_actions=system.past_actions,
            value_discount=system.value_discount,
            goal="uniform" if system.reads_goal else "none",
            text_length=system.text_length,
            holdout=0.05,
        ),
        train=TrainConfig(
            steps=600, batch=32, save_every=600, learning_rate=5e-3, weight_decay=0.01, ema=0.99
        ),
    )
