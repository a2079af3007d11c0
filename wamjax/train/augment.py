"""Image augmentation on the device: one draw per window and camera, the same for all its frames.

    crop         a box of `crop_area` of the frame, stretched to the whole frame (bilinear)
    brightness   x + d,                    d in [-brightness, brightness]
    contrast     m + f (x - m),            f in [1 - contrast, 1 + contrast], m the mean per channel
    saturation   y + f (x - y),            y = 0.299 R + 0.587 G + 0.114 B
    hue          the plane across grey turned by 2 pi h, h in [-hue, hue] (YIQ)

with x in 0 ... 1, in that order, cut to 0 ... 1 at the end. Only frames change; masks, proprio and
actions do not. The kinds are Octo's (arXiv 2405.12213, scripts/configs/finetune_config.py).
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.records import Batch
from wamjax.core.typing import Array, Float, Key, UInt8, typed

# RGB to luma and the two chroma axes (NTSC); its inverse brings them back.
YIQ = (
    (0.299, 0.587, 0.114),
    (0.5959, -0.2746, -0.3213),
    (0.2115, -0.5227, 0.3112),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How far frames are changed while training; the defaults change nothing.

    Attributes:
        crop_area: smallest and largest share of the frame's area that is kept, in (0, 1].
        crop_aspect: smallest and largest width by height of the box, relative to the frame's.
        crop_views: cameras that are cropped; empty means all. A wrist camera is better left whole.
        brightness, contrast, saturation: largest change, in [0, 1).
        hue: largest turn, in turns, in [0, 0.5].
    """

    crop_area: tuple[float, float] = (1.0, 1.0)
    crop_aspect: tuple[float, float] = (1.0, 1.0)
    crop_views: tuple[int, ...] = ()
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.crop_area
        if not 0 < low <= high <= 1:
            raise ValueError(f"crop_area must be two shares in (0, 1], got {self.crop_area}")
        low, high = self.crop_aspect
        if not 0 < low <= high:
            raise ValueError(f"crop_aspect must be two positive numbers, got {self.crop_aspect}")
        for name in ("brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if not 0 <= self.hue <= 0.5:
            raise ValueError(f"hue must be in [0, 0.5], got {self.hue}")

    @property
    def crops(self) -> bool:
        """Whether a box is drawn."""
        return (*self.crop_area, *self.crop_aspect) != (1.0, 1.0, 1.0, 1.0)

    @property
    def colours(self) -> bool:
        """Whether colours are changed."""
        return any((self.brightness, self.contrast, self.saturation, self.hue))


# What Octo draws while it is fine-tuned.
OCTO = AugmentConfig(
    crop_area=(0.8, 1.0),
    crop_aspect=(0.9, 1.1),
    brightness=0.1,
    contrast=0.1,
    saturation=0.1,
    hue=0.05,
)


def augmented(config: AugmentConfig, batch: Batch, key: Key) -> Batch:
    """The batch with its frames changed; a goal is changed as a frame of its window.

    A config that changes nothing gives the very same batch, of any type.
    """
    if not (config.crops or config.colours):
        return batch
    frames = jnp.asarray(batch.frames)
    if batch.goal is None:
        return dataclasses.replace(batch, frames=augment(config, frames, key))
    whole = jnp.concatenate([frames, jnp.asarray(batch.goal)[:, :, None]], axis=2)
    changed = augment(config, whole, key)
    return dataclasses.replace(batch, frames=changed[:, :, :-1], goal=changed[:, :, -1])


@typed
def augment(
    config: AugmentConfig, frames: UInt8[Array, "B V T H W 3"], key: Key
) -> UInt8[Array, "B V T H W 3"]:
    """Frames as the config has them changed; the very same frames if it changes nothing."""
    if not (config.crops or config.colours):
        return frames
    values = frames.astype(jnp.float32) / 255.0
    keys = named_keys(key, "crop", "colour")
    if config.crops:
        values = _crop(config, values, keys["crop"])
    if config.colours:
        values = _colour(config, values, keys["colour"])
    return jnp.round(jnp.clip(values, 0.0, 1.0) * 255.0).astype(jnp.uint8)


def _crop(config: AugmentConfig, values: Float[Array, "B V T H W 3"], key: Key) -> Array:
    shape, (height, width) = values.shape[:2], values.shape[3:5]
    keys = named_keys(key, "area", "aspect", "x", "y")
    low, high = config.crop_area
    area = jax.random.uniform(keys["area"], shape, minval=low, maxval=high)
    low, high = (math.log(bound) for bound in config.crop_aspect)
    aspect = jnp.exp(jax.random.uniform(keys["aspect"], shape, minval=low, maxval=high))
    # No side longer than the frame's.
    across = jnp.minimum(jnp.sqrt(area * aspect), 1.0)
    along = jnp.minimum(jnp.sqrt(area / aspect), 1.0)
    if config.crop_views:
        chosen = jnp.isin(jnp.arange(shape[1]), jnp.asarray(config.crop_views))
        across, along = jnp.where(chosen, across, 1.0), jnp.where(chosen, along, 1.0)
    left = jax.random.uniform(keys["x"], shape) * (1.0 - across)
    top = jax.random.uniform(keys["y"], shape) * (1.0 - along)
    rows, columns = _resample(top, along, height), _resample(left, across, width)
    values = jnp.einsum("BVij,BVTjwc->BVTiwc", rows, values)
    return jnp.einsum("BVij,BVThjc->BVThic", columns, values)


def _resample(start: Float[Array, "B V"], share: Float[Array, "B V"], size: int) -> Array:
    """[B, V, size, size]: weights by which `share` of a side, from `start`, fills the side."""
    cells = jnp.arange(size, dtype=jnp.float32)
    centre = (start[..., None] + share[..., None] * (cells + 0.5) / size) * size - 0.5
    centre = jnp.clip(centre, 0.0, size - 1.0)
    return jnp.maximum(1.0 - jnp.abs(centre[..., None] - cells), 0.0)


def _colour(config: AugmentConfig, values: Float[Array, "B V T H W 3"], key: Key) -> Array:
    shape = (*values.shape[:2], 1, 1, 1, 1)
    keys = named_keys(key, "brightness", "contrast", "saturation", "hue")

    def draw(name: str, bound: float) -> Array:
        return jax.random.uniform(keys[name], shape, minval=-bound, maxval=bound)

    values = values + draw("brightness", config.brightness)
    mean = values.mean((2, 3, 4), keepdims=True)
    values = mean + (1.0 + draw("contrast", config.contrast)) * (values - mean)
    forth = jnp.asarray(YIQ)
    back = jnp.linalg.inv(forth)
    luma, first, second = jnp.split(values @ forth.T, 3, axis=-1)
    gain = 1.0 + draw("saturation", config.saturation)
    turn = 2 * math.pi * draw("hue", config.hue)
    cos, sin = gain * jnp.cos(turn), gain * jnp.sin(turn)
    turned = jnp.concatenate([luma, cos * first - sin * second, sin * first + cos * second], -1)
    return turned @ back.T
