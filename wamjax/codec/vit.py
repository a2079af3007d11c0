"""Vision transformers (arXiv 2010.11929): frames to one vector a patch.

    SigLIP   2303.15343: what PaliGemma and OpenVLA look through
    DINOv2   2304.07193: a class token, LayerScale; with registers 2309.16588
    CLIP     2103.00020: a class token, a norm before the layers; Wan's image conditioning takes
             what enters the last layer
    V-JEPA2  2506.09985: tokens of two frames, which attend to those of all frames; places are told
             by turning queries and keys

Pixels in [-1, 1] are brought to the statistics that the encoder was trained with.
"""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from einops import rearrange

from wamjax.codec.encoder import Layers, Linear, Norm, Sight, through
from wamjax.codec.parameters import kernel
from wamjax.codec.resampling import resampling
from wamjax.core.typing import Array, Float, typed

Colour = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Pixels:
    """Mean and standard deviation of the pixels in [0, 1] that an encoder was trained with."""

    mean: Colour
    deviation: Colour


IMAGENET = Pixels((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
OPENAI = Pixels((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF = Pixels((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclasses.dataclass(frozen=True, kw_only=True)
class VitSizes:
    """The shape of an encoder.

    Attributes:
        layers: its layers.
        patch: pixels on a side of a token.
        frames: of a token; with more than one, the tokens of all frames attend to one another.
        grid: tokens on a side for which places are learned, resampled for other sizes; 0 where
            queries and keys are turned instead.
        antialias: how places are resampled, see `resampling`.
        class_token: a token before the patches, which has a learned place, too.
        registers: tokens between that and the patches, without places.
        patch_bias: of the map from pixels.
        norm_in, norm_out: a norm before the layers, and one behind them.
        pixels: what it was trained with.
    """

    layers: Layers
    patch: int
    frames: int = 1
    grid: int
    antialias: bool = False
    class_token: bool = False
    registers: int = 0
    patch_bias: bool = True
    norm_in: bool = False
    norm_out: bool = True
    pixels: Pixels

    @property
    def leading(self) -> int:
        """Tokens before those of the patches."""
        return self.class_token + self.registers


def _layers(depth: int, width: int, mlp: int, heads: int, **rest) -> Layers:
    return Layers(depth=depth, width=width, mlp=mlp, heads=heads, head_dim=width // heads, **rest)


def siglip(depth: int, width: int, mlp: int, heads: int, patch: int, grid: int) -> VitSizes:
    """Of a SigLIP, up to the pooling of its tokens."""
    layers = _layers(depth, width, mlp, heads, activation="gelu_tanh")
    return VitSizes(layers=layers, patch=patch, grid=grid, pixels=HALF)


def dinov2(
    depth: int, width: int, heads: int, *, registers: int = 0, patch: int = 14, grid: int = 37
) -> VitSizes:
    """Of a DINOv2."""
    return VitSizes(
        layers=_layers(depth, width, 4 * width, heads, layer_scale=True),
        patch=patch,
        grid=grid,
        antialias=registers > 0,
        class_token=True,
        registers=registers,
        pixels=IMAGENET,
    )


def clip(depth: int, width: int, mlp: int, heads: int, patch: int, grid: int) -> VitSizes:
    """Of a CLIP whose bend is the exact GELU, without its last norm."""
    return VitSizes(
        layers=_layers(depth, width, mlp, heads, eps=1e-5),
        patch=patch,
        grid=grid,
        class_token=True,
        patch_bias=False,
        norm_in=True,
        norm_out=False,
        pixels=OPENAI,
    )


def v_jepa2(depth: int, width: int, heads: int, *, patch: int = 16) -> VitSizes:
    """Of the encoder of a V-JEPA 2."""
    layers = _layers(depth, width, 4 * width, heads)
    return VitSizes(layers=layers, patch=patch, frames=2, grid=0, pixels=IMAGENET)


SIGLIP_BASE = siglip(12, 768, 3072, 12, patch=16, grid=14)
SIGLIP_SO400M = siglip(27, 1152, 4304, 16, patch=14, grid=16)
DINOV2_BASE = dinov2(12, 768, 12)
DINOV2_LARGE = dinov2(24, 1024, 16)
DINOV2_LARGE_REGISTERS = dinov2(24, 1024, 16, registers=4)
CLIP_HUGE = clip(31, 1280, 5120, 16, patch=14, grid=16)
"""The first 31 of the 32 layers of CLIP ViT-H/14: what Wan's image conditioning takes."""
V_JEPA2_LARGE = v_jepa2(24, 1024, 16)


def turns(
    frames: int, rows: int, columns: int, head_dim: int, base: float = 10_000.0
) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines, float32 [frames * rows * columns, head_dim], of V-JEPA 2's queries.

    A third of a head's numbers, rounded down to pairs, turns with the frame, one with the row and
    one with the column; the rest stays. Number i of n turns at base ** -(2 (i mod n/2) / n), so
    that the two of a pair turn at different rates, as they were trained.
    """
    own = head_dim // 3 // 2 * 2
    rate = base ** -(np.arange(own // 2) / (own / 2))
    places = np.indices((frames, rows, columns)).reshape(3, -1)
    angles = np.concatenate([np.tile(np.outer(place, rate), 2) for place in places], axis=1)
    angles = np.pad(angles, ((0, 0), (0, head_dim - 3 * own)))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def patches(
    dtype: jnp.dtype,
    frames: Float[Array, "B T H W 3"],
    width: int,
    count: int,
    side: int,
    *,
    merge: int = 1,
    bias: bool = True,
) -> Float[Array, "B L N D"]:
    """Patches of frames by one linear map; within a compact method, whose "patch" it is.

    Args:
        dtype: of products.
        width: D.
        count: frames of a patch.
        side: pixels on a side of a patch.
        merge: patches on a side of a square. Squares go row by row, and within each its patches.

    Raises:
        ValueError: T, H or W is not a multiple of what a square spans.
    """
    _, t, height, wide, _ = frames.shape
    whole = side * merge
    if t % count or height % whole or wide % whole:
        raise ValueError(
            f"tokens span {count} frames of {whole} x {whole} pixels, "
            f"but there are {t} frames of {height} x {wide}"
        )
    cut = rearrange(
        frames,
        "B (L t) (h m i) (w n j) c -> B L (h w m n) t i j c",
        **{"t": count, "m": merge, "n": merge, "i": side, "j": side},
    )
    axes = (None, None, None, "patch", "embed")
    return Linear((width,), axes, 4, bias, dtype, name="patch")(cut).astype(jnp.float32)


class VitEncoder(nn.Module):
    """Frames to one vector a patch.

    Attributes:
        sizes: its shape.
        dtype: of products; weights are cast to it.
    """

    sizes: VitSizes
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    @typed
    def __call__(self, frames: Float[Array, "B T H W 3"]) -> Float[Array, "B L N D"]:
        """Encode.

        Args:
            frames: float32 in [-1, 1].

        Returns:
            float32; L = T / frames of a token. `sizes.leading` tokens (class, registers) stand
            before those of the patches, which go row by row.

        Raises:
            ValueError: T, H or W is not a multiple of what a token spans.
        """
        s = self.sizes
        b, t, height, width, _ = frames.shape
        length, rows, columns = t // s.frames, height // s.patch, width // s.patch
        mean, deviation = (jnp.asarray(x, jnp.float32) for x in (s.pixels.mean, s.pixels.deviation))
        x = ((frames + 1) / 2 - mean) / deviation
        x = patches(self.dtype, x, s.layers.width, s.frames, s.patch, bias=s.patch_bias)
        sight = Sight()
        if s.grid:
            x = self._placed(x.reshape(b * length, rows * columns, -1), rows, columns)
        else:
            x = x.reshape(b, length * rows * columns, -1)
            rotation = turns(length, rows, columns, s.layers.head_dim)
            sight = Sight(rotation=(jnp.asarray(rotation[0]), jnp.asarray(rotation[1])))
        if s.norm_in:
            x = Norm(eps=s.layers.eps, name="norm_in")(x)
        x = through(s.layers, self.dtype, x, sight)
        if s.norm_out:
            x = Norm(eps=s.layers.eps, name="norm")(x)
        return x.reshape(b, length, -1, s.layers.width)

    def _placed(self, x: Float[Array, "B n D"], rows: int, columns: int) -> Float[Array, "B N D"]:
        """Learned places added, and the tokens before the patches put there."""
        s = self.sizes
        width = s.layers.width
        count = s.class_token + s.grid**2
        place = self.param("place", *kernel((count, width), (None, "embed"), fan_in=1))
        place = place.astype(jnp.float32)
        grid = place[s.class_token :].reshape(s.grid, s.grid, width)
        if (rows, columns) != (s.grid, s.grid):
            down, across = (resampling(n, s.grid, antialias=s.antialias) for n in (rows, columns))
            grid = jnp.einsum("ai,bj,ijD->abD", down, across, grid)
        x = x + grid.reshape(rows * columns, width)
        before = []
        if s.class_token:
            token = self.param("class", *kernel((width,), ("embed",), fan_in=1))
            before.append((token + place[0])[None])
        if s.registers:
            shape = (s.registers, width)
            before.append(self.param("registers", *kernel(shape, (None, "embed"), fan_in=1)))
        leading = [jnp.broadcast_to(part, (len(x), *part.shape)) for part in before]
        return jnp.concatenate([*leading, x], axis=1)
