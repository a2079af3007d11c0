"""Between data and codec, which do not know each other: a run's windows with their latents."""

import re
from typing import Any

import flax.traverse_util
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.tree import leaves_by_path, weights_sha256
from wamjax.core.typing import Params
from wamjax.data.windows.encoded import EncodedWindows, Latents
from wamjax.data.windows.pipeline import Numbered
from wamjax.recipes.assembly import AnySystem
from wamjax.recipes.latents import Encoding, encoding_of
from wamjax.recipes.system import System
from wamjax.train.config import StageConfig
from wamjax.train.run_config import RunConfig


def encoding_for(system: AnySystem) -> Encoding:
    """See `encoding_of`, with a sentence for the user."""
    try:
        return encoding_of(system)
    except ValueError as error:
        raise UserError(f"{error}.") from error


def named(encoding: Encoding, weights: Params | None) -> dict[str, Any]:
    """The codec as the plan of latents tells it."""
    return {**encoding.codec, "weights": None if weights is None else weights_sha256(weights)[:32]}


def trains(patterns: tuple[str, ...], part: str, weights: Params) -> bool:
    """Whether the patterns of a stage match a weight of that part."""
    return any(
        re.fullmatch(pattern, f"{part}/{path}")
        for pattern in patterns
        for path in leaves_by_path(weights)
    )


def with_latents(
    config: RunConfig, system: AnySystem, windows: Numbered
) -> tuple[EncodedWindows, dict[str, Params]]:
    """The windows of a run with the latents of `config.data.latents`, and the codec's weights.

    Raises:
        UserError: they are those of other windows or of another codec, or the run would change
            the codec.
    """
    assert config.data.latents is not None
    encoding, latents = encoding_for(system), Latents(config.data.latents)
    latents.refuse_others(windows, encoding.codec)
    found = EncodedWindows(windows, latents, encoding.pixels)
    if encoding.part is None:
        return found, {}
    weights = flax.traverse_util.unflatten_dict(latents.weights(), sep="/")
    refuse_training(config.stages, encoding.part, weights)
    return found, {encoding.part: weights}


def refuse_published(config: RunConfig, system: AnySystem) -> None:
    """Refuse to train on frames through a published codec: nothing would give it its weights.

    Raises:
        UserError: the codec is one.
    """
    if isinstance(system, System) and system.config.codec.published:
        raise UserError(
            f"The codec of {config.name} is a published one ({system.config.codec.kind}): encode "
            "the frames by `wamjax data encode --weights`, and train with data.latents."
        )


def refuse_training(stages: tuple[StageConfig, ...], part: str, weights: Params) -> None:
    """Refuse stages that change weights by which latents were made.

    Raises:
        UserError: one does.
    """
    for stage in stages:
        if trains(stage.train, part, weights):
            raise UserError(
                f"Stage {stage.name} trains {part}/..., and data.latents are those of its weights "
                f'as they are: leave them out of its patterns, as "(?!{part}/).*" does.'
            )


def flat(weights: Params | None) -> dict[str, np.ndarray]:
    """Weights by path."""
    return {} if weights is None else {k: np.asarray(v) for k, v in leaves_by_path(weights).items()}
