"""A config of either kind to the functions of its system: a table from its class."""

from collections.abc import Callable
from typing import Any

from wamjax.core.typing import Params
from wamjax.pretrained.minilm import installed_minilm
from wamjax.recipes.config import SystemConfig
from wamjax.recipes.learner import Learner
from wamjax.recipes.objectives import PLANS, Stage, stages
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.recipes.system import System

AnyConfig = SystemConfig | RecipeConfig
AnySystem = System | Learner

SYSTEMS: dict[type, Callable[[Any], AnySystem]] = {SystemConfig: System, RecipeConfig: Learner}


def assembled(config: AnyConfig) -> AnySystem:
    """The system that a config describes."""
    return SYSTEMS[type(config)](config)


def usual_stages(config: AnyConfig, *, encoded: bool = False) -> tuple[Stage, ...]:
    """The stages in which such a system is usually trained.

    Args:
        encoded: its codec is trained, and the frames are encoded.
    """
    if isinstance(config, SystemConfig):
        codec = config.codec.kind == "autoencoder" and not encoded
        return stages(config.training, codec=codec)
    return tuple(
        Stage(name=lesson.name, objective=lesson.name, fraction=lesson.fraction, train=lesson.train)
        for lesson in config.learning.lessons
    )


def pretrained_parts(config: AnyConfig) -> dict[str, Params]:
    """Parts of such a system that begin with published weights, NumPy.

    Raises:
        UserError: the package that brings them is not installed.
    """
    if isinstance(config, SystemConfig) and config.text.kind == "minilm":
        return {"language": installed_minilm().weights()}
    return {}


def objectives(config: AnyConfig) -> tuple[str, ...]:
    """What such a system's loss can be asked for."""
    if isinstance(config, SystemConfig):
        own = {*config.plan.queries}
        return (*(name for name, plan in PLANS.items() if own >= {*plan.queries}), "codec")
    return tuple(lesson.name for lesson in config.learning.lessons)
