"""What every video codec offers: frames to latents and back.

A codec is a Flax module with two methods for `apply`; L latent frames stand for T frames, and the
first latent frame stands for the first frame alone, so that a still image is a video with T = 1.
"""

from typing import Protocol

from wamjax.core.typing import Array, Float


class VideoCodec(Protocol):
    """Frames float32 [B, T, H, W, 3] in [-1, 1] to latents float32 [B, L, h, w, c] and back."""

    def encode(self, frames: Float[Array, "B T H W 3"]) -> Float[Array, "B L h w c"]:
        """Latents; latent frame l is a function of the frames up to its own time only.

        Raises:
            ValueError: T, H or W does not fit the codec's strides.
        """
        ...

    def decode(self, latents: Float[Array, "B L h w c"]) -> Float[Array, "B T H W 3"]:
        """Frames; not clipped."""
        ...

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """(L, h, w, c) of a video of that size.

        Raises:
            ValueError: the size does not fit the codec's strides.
        """
        ...


def divided(
    frames: int, height: int, width: int, temporal: int, spatial: int
) -> tuple[int, int, int]:
    """(L, h, w) for strides `temporal` and `spatial`: T = 1 + temporal (L - 1).

    Raises:
        ValueError: a size that does not fit, with the nearest that would.
    """
    if frames < 1 or (frames - 1) % temporal:
        below = 1 + max(frames - 1, 0) // temporal * temporal
        raise ValueError(
            f"a codec with temporal stride {temporal} takes 1 + {temporal} n frames, "
            f"got {frames}; use {below} or {below + temporal}"
        )
    if height % spatial or width % spatial:
        raise ValueError(
            f"a codec with spatial stride {spatial} takes multiples of it, got {height} x {width}"
        )
    return 1 + (frames - 1) // temporal, height // spatial, width // spatial
