"""diffusers' Wan at any size, and its weights in our tree."""

from collections.abc import Mapping
from typing import Any

import diffusers
import jax.numpy as jnp
import numpy as np
import torch

from wamjax.core.typing import Array, Params
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
from wamjax.model.tokens import Tokens, latents_from_tokens, tokens_from_latents
from wamjax.model.wam import Wam
from wamjax.pretrained.moves import ours as moved
from wamjax.pretrained.wan import PATCH, Sizes, config, table, target

TABLE = (
    ("video/noisy", "video/noisy", "all"),
    ("video/noisy", "text/clean", "all"),
)


def ours(
    sizes: Sizes,
    words: int,
    grid: tuple[int, int, int],
    *,
    pieces: int = 1,
    scan_layers: bool = True,
) -> Wam:
    """Our model of `words` of text and (frames, rows, columns) tokens in `pieces` segments."""
    frames, rows, columns = grid
    of_piece = {"frames": frames // pieces, "rows": rows, "columns": columns}
    segments = (
        Segment(stream="text", frames=words),
        *(
            Segment(stream="video", copy="noisy", start=place, **of_piece)
            for place in range(pieces)
        ),
    )
    features = (("text", sizes.text), ("video", PATCH**2 * sizes.channels))
    return Wam(config(sizes, scan_layers=scan_layers), Layout(segments, TABLE), features)


def told(model: Wam, latents: Array, text: Array, sigma: Array) -> tuple[Any, ...]:
    """What `Wam.denoise` is given: latents [B, L, h, w, c], text [B, X, W], one sigma a segment."""
    parts = jnp.split(latents, len(model.layout.segments) - 1, axis=1)
    values = (text, *(tokens_from_latents(part, PATCH) for part in parts))
    real = jnp.ones((len(text), int(model.layout.starts()[-1])), bool)
    return model.layout, Tokens(values, real), {"video": sigma}


def denoised(model: Wam, params: Params, latents: Array, text: Array, sigma: Array) -> Array:
    """The prediction for noisy latents, in their shape."""
    given = told(model, latents, text, sigma)
    out = model.apply({"params": params}, *given, method="denoise")
    assert isinstance(out, dict)
    _, frames, height, width, _ = latents.shape
    # diffusers' output tokens are (row, column, channel) too, before it folds them back.
    return latents_from_tokens(out["video"], (frames, height // PATCH, width // PATCH), PATCH)


def reference(sizes: Sizes, seed: int, noise: float) -> diffusers.WanTransformer3DModel:
    """diffusers' model with noise on every weight."""
    torch.manual_seed(seed)
    model = diffusers.WanTransformer3DModel(
        patch_size=(1, PATCH, PATCH),
        num_attention_heads=sizes.heads,
        attention_head_dim=sizes.head_dim,
        in_channels=sizes.channels,
        out_channels=sizes.channels,
        text_dim=sizes.text,
        freq_dim=256,
        ffn_dim=sizes.mlp,
        num_layers=sizes.depth,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32,
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(noise * torch.randn_like(weight))
    return model.eval()


def converted(sizes: Sizes, state: Mapping[str, np.ndarray]) -> Params:
    """diffusers' weights in our tree."""
    return moved(table(sizes), state, target(sizes))
