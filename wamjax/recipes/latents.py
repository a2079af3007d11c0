"""What of a system can be computed before training: the latents of its frozen video codec.

    encode   uint8 frames of whole windows -> latents of the cameras that the system has latents of

Text is not among it: every system here trains its text encoder (`text/...` is among the weights of
each first stage), so that an embedding from before would be that of other weights.
"""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from wamjax.codec.patch import PatchCodec
from wamjax.core.typing import Array, Float, Params, UInt8
from wamjax.recipes.assembly import AnySystem
from wamjax.recipes.codecs import PublishedCodec
from wamjax.recipes.learner import Learner
from wamjax.recipes.parts import call, pixels
from wamjax.recipes.system import System


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoding:
    """The codec of a system, and what else is read of frames.

    Attributes:
        codec: kind and settings, plain JSON.
        part: name of its weights among the system's; None if it has none.
        shape: (W, L, h, w, c), of the latents of a window.
        pixels: places, among a window's frames, of those that other networks read as pixels.
        encode: (weights of the system, uint8 [B, V, T, H, W, 3]) -> float [B, W, L, h, w, c].
        published: the codec, if its weights are those of a checkpoint.
    """

    codec: dict[str, Any]
    part: str | None
    shape: tuple[int, int, int, int, int]
    pixels: tuple[int, ...]
    encode: Callable[[Params, UInt8[Array, "B V T H W 3"]], Float[Array, "B W L h w c"]]
    published: PublishedCodec | None = None


def encoding_of(system: AnySystem) -> Encoding:
    """What can be encoded before such a system is trained.

    Raises:
        ValueError: it has no latents.
    """
    return _of_system(system) if isinstance(system, System) else _of_learner(system)


def settings(codec: nn.Module, views: int) -> dict[str, Any]:
    """Kind and settings of a codec, and how many cameras it encodes."""
    own = {
        field.name: getattr(codec, field.name)
        for field in dataclasses.fields(codec)
        if field.name not in ("parent", "name")
    }
    # As JSON: tuples are lists.
    return json.loads(json.dumps({"kind": type(codec).__name__, "views": views, **own}))


def _of_system(system: System) -> Encoding:
    c, parts = system.config, system.parts

    def encode(params: Params, frames: Array) -> Array:
        return jnp.stack(parts.encode(params, pixels(frames)), axis=1)

    return Encoding(
        codec=settings(parts.codec, c.predicted_views),
        part="codec" if c.codec.has_weights else None,
        shape=(
            c.predicted_views,
            *parts.codec.latent_shape(c.history + c.future, c.image_size, c.image_size),
        ),
        pixels=_pixels(system),
        encode=encode,
        published=parts.codec if isinstance(parts.codec, PublishedCodec) else None,
    )


def _pixels(system: System) -> tuple[int, ...]:
    """Keypoints are found in the newest frame of the history, and in those that are foreseen."""
    c = system.config
    if system.parts.context is None:
        return ()
    return tuple(range(c.history - 1, c.history + (c.future if c.plan.queries else 0)))


def _of_learner(learner: Learner) -> Encoding:
    c, reader = learner.config, learner.reader
    views = _views(learner)
    if not views:
        raise ValueError(
            f"{learner.name} has no latents: it learns the encoders of its frames, and nothing can "
            "be encoded before"
        )
    codec, frames = PatchCodec(patch=reader.patch), c.history + c.future

    def encode(params: Params, shown: Array) -> Array:
        own = [pixels(shown[:, view]) for view in range(views)]
        return jnp.stack([call(codec, {}, one, method="encode") for one in own], axis=1)

    return Encoding(
        codec=settings(codec, views),
        part=None,
        shape=(views, *codec.latent_shape(frames, c.image_size, c.image_size)),
        pixels=tuple(range(frames)) if _looks(learner) else (),
        encode=encode,
    )


def _views(learner: Learner) -> int:
    """How many cameras, the first ones, have latents in the sequence."""
    reader = learner.reader
    seen = {-1}
    for segment in learner.blueprint.training.segments:
        if segment.stream not in ("video", "image") or segment.stream in reader.encoded:
            continue
        kind, _, number = reader.content(segment).partition(" ")
        if not kind or kind == "camera":
            seen.add(int(number) if kind else segment.view)
    return max(seen) + 1


def _looks(learner: Learner) -> bool:
    """Whether another network reads the frames."""
    features = any(s.stream == "feature" for s in learner.blueprint.training.segments)
    return bool(features or learner.reader.encoded or learner.reader.between)
