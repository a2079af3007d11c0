"""What goes into the model: one value per segment, and latents as such values."""

import flax.struct
from einops import rearrange

from wamjax.core.typing import Array, Float, Int, typed


@flax.struct.dataclass
class Tokens:
    """One value per segment, in the order of the layout, and which tokens are real.

    Attributes:
        values: per segment [B, count, features]: what its port embeds.
        real: bool [B, N], False for padding (missing camera, text behind the end).
        domain: int [B], for models with weights per domain.
    """

    values: tuple[Array, ...]
    real: Array
    domain: Int[Array, " B"] | None = None


@typed
def tokens_from_latents(
    latents: Float[Array, "B L h w c"], patch: int
) -> Float[Array, "B N features"]:
    """Squares of `patch` x `patch` latents as tokens, in time, row, column order."""
    return rearrange(latents, "B L (h p) (w q) c -> B (L h w) (p q c)", p=patch, q=patch)


@typed
def latents_from_tokens(
    tokens: Float[Array, "B N features"], shape: tuple[int, int, int], patch: int
) -> Float[Array, "B L h w c"]:
    """The inverse of `tokens_from_latents`; `shape` is (L, rows, columns) of the token grid."""
    frames, rows, columns = shape
    return rearrange(
        tokens,
        "B (L h w) (p q c) -> B L (h p) (w q) c",
        L=frames,
        h=rows,
        w=columns,
        p=patch,
        q=patch,
    )
