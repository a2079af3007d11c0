"""The noise axis: what a bad lens, a moving camera or weather does to a picture.

All five corruptions are values of one short program, so that a batch of worlds with different kinds
pays for one of them, and no kind is another branch:

    x <- x displaced per pixel by at most `shift`                                    glass
    x <- (1 - w_p) x + w_p A_p x B_p^T        p = 0 .. P-1, A_p along y, B_p along x    the blurs
    x <- (x + density plasma) m / (m + density),  m = max x                         fog

A and B are H x H and W x W matrices made on the fly: Gaussian rows for a Gaussian blur, linear
interpolation at moved or scaled places for motion and zoom blur. Pass p moves 2^p steps and keeps
half of the unmoved picture, so P passes average 2^P copies.

Strengths are the ten rows that LIBERO-Plus has of each type (see ImageNet-C, arXiv 1903.12261, for
the definitions), interpolated between rows; they are in pixels of a 256-pixel picture and are
scaled by H / 256 here. Deviations: motion blur is a uniform mean over the length that has the
standard deviation of their half-Gaussian; plasma is octaves of value noise; glass displaces, then
blurs, and draws real displacements, so that it still acts below 50 pixels.
"""

import math
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Float, Int, Key, typed
from wamjax.sim.render.stages import settle
from wamjax.sim.render.textures import lattice_hash, value_noise

Corruption = Literal["none", "gaussian_blur", "motion_blur", "zoom_blur", "fog", "glass"]
CORRUPTIONS: tuple[Corruption, ...] = get_args(Corruption)
STRENGTHS = 10

# One entry per strength; lengths in pixels of a picture 256 pixels high.
_BLUR_SIGMA = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)
_MOTION_SIGMA = (2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0)
_ZOOM = (1.11, 1.16, 1.21, 1.26, 1.31, 1.36, 1.41, 1.46, 1.51, 1.56)
_FOG_DENSITY = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)
_FOG_DECAY = (3.0, 2.8, 2.5, 2.2, 2.0, 1.8, 1.6, 1.5, 1.4, 1.3)
_GLASS_SIGMA = (0.5, 0.7, 0.9, 1.0, 1.1, 1.3, 1.5, 1.8, 2.2, 2.5)
_GLASS_SHIFT = (1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0)

# A uniform mean over a length L has standard deviation L / sqrt(12), a half-Gaussian 0.603 sigma.
_LENGTH_PER_SIGMA = 0.603 * math.sqrt(12)
_MOTION_ANGLE = math.pi / 4
# Neighbouring copies of a motion blur lie at most this far apart (pixels).
_COPY_SPACING = 1.5


@typed
def corrupt(
    rgb: Float[Array, "H W 3"],
    kind: Int[Array, ""],
    strength: Float[Array, ""],
    key: Key,
) -> Float[Array, "H W 3"]:
    """A picture with one corruption; everything but the shape is traced.

    Args:
        rgb: 0..1.
        kind: index into CORRUPTIONS; 0 returns `rgb` bit for bit.
        strength: 1..10 (clipped), a row of LIBERO-Plus's table or between two.
        key: draws the direction of the motion, the fog and the displacements.

    Returns:
        0..1.
    """
    keys = named_keys(key, "angle", "place")
    place = jax.random.randint(keys["place"], (2,), 0, 1 << 20)
    row = jnp.clip(strength, 1.0, STRENGTHS) - 1.0
    below = jnp.clip(jnp.floor(row).astype(jnp.int32), 0, STRENGTHS - 2)
    share = row - below

    def value_if(name: Corruption, table: tuple[float, ...], otherwise: float) -> Array:
        """The value for this strength if this is the kind, else the value that does nothing."""
        rows = jnp.asarray(table, jnp.float32)
        value = (1.0 - share) * rows[below] + share * rows[below + 1]
        return jnp.where(kind == CORRUPTIONS.index(name), value, otherwise)

    pixel = rgb.shape[0] / 256
    x = _displaced(rgb, value_if("glass", _GLASS_SHIFT, 0.0) * pixel, place)
    sigma = value_if("gaussian_blur", _BLUR_SIGMA, 0.0) + value_if("glass", _GLASS_SIGMA, 0.0)
    length = _LENGTH_PER_SIGMA * value_if("motion_blur", _MOTION_SIGMA, 0.0) * pixel
    angle = jax.random.uniform(keys["angle"], (), minval=-_MOTION_ANGLE, maxval=_MOTION_ANGLE)
    zoom = value_if("zoom_blur", _ZOOM, 1.0)
    x = _blurred(x, sigma * pixel, length, angle, zoom)
    decay = value_if("fog", _FOG_DECAY, 2.0)
    x = _fogged(x, value_if("fog", _FOG_DENSITY, 0.0), decay, place)
    return jnp.where(kind == 0, rgb, jnp.clip(x, 0.0, 1.0))


def _blurred(x: Array, sigma: Array, length: Array, angle: Array, zoom: Array) -> Array:
    """Gaussian blur (one pass), else the mean of 2^P moved and scaled copies (P passes)."""
    height, width, _ = x.shape
    longest = _LENGTH_PER_SIGMA * _MOTION_SIGMA[-1] * height / 256
    passes = max(2, math.ceil(math.log2(longest / _COPY_SPACING)))
    copies = 2**passes
    is_gaussian = sigma > 0
    step = length / copies
    # Columns beside channels: both products are then plain matrix products without transposes.
    x = x.transpose(0, 2, 1)
    for number in range(passes):
        factor = zoom ** (2**number / (copies - 1))
        moved = 2**number * step
        along_y = _operator(height, sigma, factor, moved * jnp.sin(angle))
        along_x = _operator(width, sigma, factor, moved * jnp.cos(angle))
        precision = jax.lax.Precision.HIGHEST
        rows = jnp.dot(along_y, x.reshape(height, 3 * width), precision=precision)
        both = jnp.dot(rows.reshape(3 * height, width), along_x.T, precision=precision)
        both = both.reshape(x.shape)
        weight = jnp.where(is_gaussian, 1.0 if number == 0 else 0.0, 0.5)
        x = x + weight * (both - x)
    return x.transpose(0, 2, 1)


def _operator(count: int, sigma: Array, factor: Array, moved: Array) -> Array:
    """[count, count] matrix whose rows are weights over the old places.

    Gaussians of width sigma, integrated over each pixel, or where sigma is 0, linear interpolation
    at (i - middle) / factor + middle + moved, kept inside the picture.
    """
    index = jnp.arange(count, dtype=jnp.float32)
    offset = index[None, :] - index[:, None]
    width = jnp.maximum(sigma, 0.1)
    bell = norm.cdf((offset + 0.5) / width) - norm.cdf((offset - 0.5) / width)
    bell = bell / bell.sum(axis=1, keepdims=True)
    middle = (count - 1) / 2
    source = jnp.clip((index - middle) / factor + middle + moved, 0.0, count - 1.0)
    hat = jnp.maximum(0.0, 1.0 - jnp.abs(index[None, :] - source[:, None]))
    return jnp.where(sigma > 0, bell, hat)


def _displaced(x: Array, reach: Array, place: Array) -> Array:
    """Each pixel from up to `reach` pixels away, along x and then along y, twice."""
    height, width, _ = x.shape
    row = jnp.arange(height, dtype=jnp.int32)[:, None] + place[0]
    column = jnp.arange(width, dtype=jnp.int32)[None, :] + place[1]
    row, column = jnp.broadcast_arrays(row, column)
    most = math.ceil(_GLASS_SHIFT[-1] * height / 256)
    for draw in range(2):
        for axis in (1, 0):
            noise = lattice_hash(row + 7919 * (2 * draw + axis), column)
            offset = (reach * (2.0 * noise - 1.0))[:, :, None]
            pad = [(most, most) if a == axis else (0, 0) for a in range(3)]
            wide = settle(jnp.pad(x, pad, mode="edge"))
            x = jnp.zeros_like(x)
            for shift in range(-most, most + 1):
                weight = jnp.maximum(0.0, 1.0 - jnp.abs(offset - shift))
                start = most + shift
                x += weight * jax.lax.slice_in_dim(
                    wide, start, start + (height, width)[axis], axis=axis
                )
    return x


def _fogged(x: Array, density: Array, decay: Array, place: Array) -> Array:
    """Under white fog: octaves of noise, each `decay` times weaker than the one twice as coarse."""
    height, width, _ = x.shape
    row = jnp.arange(height, dtype=jnp.float32)[:, None]
    column = jnp.arange(width, dtype=jnp.float32)[None, :]
    plasma = jnp.zeros((height, width))
    octaves = max(1, math.ceil(math.log2(height)) - 1)
    for octave in range(octaves):
        cells = 2.0 ** (octave + 1) / height
        offset = place.astype(jnp.float32) / 64 + 37.0 * octave
        noise = value_noise(
            *jnp.broadcast_arrays(row * cells + offset[0], column * cells + offset[1])
        )
        plasma += decay**-octave * noise
    plasma = settle(plasma)
    low, high = plasma.min(), plasma.max()
    plasma = (plasma - low) / jnp.maximum(high - low, 1e-6)
    most = jnp.maximum(x.max(), 1e-6)
    return (x + density * plasma[:, :, None]) * (most / (most + density))
