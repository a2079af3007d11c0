"""What was sampled, as actions, frames and values."""

import jax.numpy as jnp

from wamjax.codec.paint import read
from wamjax.core.typing import Array, Float, UInt8
from wamjax.recipes.blueprint import Blueprint
from wamjax.recipes.parts import to_uint8
from wamjax.recipes.planning import Frames, value_of
from wamjax.recipes.reader import Reader
from wamjax.recipes.scene import Scene


def chunk_of(blueprint: Blueprint, read: Array) -> Float[Array, "B K A"]:
    """The actions of a chunk, out of what stands at its tokens."""
    shape = blueprint.shape
    return read.reshape(read.shape[0], -1, shape.action)[:, -shape.chunk :]


def frames_of(reader: Reader, scene: Scene, changes: Array) -> UInt8[Array, "B W F H W 3"]:
    """The predicted frames of each view, from what was denoised at the video's tokens."""
    views: dict[int, list[Array]] = {}
    start = 0
    for phase in reader.blueprint.phases(imagine=True):
        for segment in (s for s in phase.segments if s.kind == "video/noisy"):
            own = changes[:, start : start + segment.count]
            views.setdefault(segment.view, []).append(reader.undo(scene, segment, own))
            start += segment.count
    whole = [jnp.concatenate(parts, axis=1) for _, parts in sorted(views.items())]
    return to_uint8(jnp.stack(whole, axis=1))


def painted_answer(reader: Reader, scene: Scene, frames: Frames) -> dict[str, Array]:
    """What is read out of latent frames that were denoised."""
    result, views = {}, {}
    shape = reader.blueprint.shape
    for place, own in frames.items():
        rows = own.shape[0]
        kind, _, number = reader.learning.painted[place].partition(" ")
        frame = own.reshape(rows, shape.rows, shape.columns, -1)
        match kind:
            case "action":
                numbers = read(frame, shape.chunk * shape.action)
                result["action"] = numbers.reshape(rows, shape.chunk, shape.action)
            case "camera":
                views[int(number)] = reader.moved(scene, int(number), own)
            case "state":
                result["proprio"] = read(frame, scene.state.shape[1])
            case "value":
                result["value"] = value_of(own)
            case _:
                raise ValueError(f"nothing can be read out of a frame that holds {kind}")
    if views:
        result["frames"] = to_uint8(jnp.stack([views[view] for view in sorted(views)], axis=1))
    return result
