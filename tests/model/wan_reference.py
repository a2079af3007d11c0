"""diffusers' Wan at any size, and its weights in our tree."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import diffusers
import jax
import jax.numpy as jnp
import numpy as np
import torch

from wamjax.core.typing import Array, Params
from wamjax.model.config import Port, Stack, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
from wamjax.model.wam import Tokens, Wam, latents_from_tokens, tokens_from_latents
from wamjax.recipes.backbones import WAN_ROTARY, wan

TABLE = (
    ("video/noisy", "video/noisy", "all"),
    ("video/noisy", "text/clean", "all"),
)
PATCH = 2


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of the model: widths of the feed-forward part, of a word, of a latent; layers of heads."""

    heads: int
    head_dim: int
    depth: int
    mlp: int
    text: int
    channels: int

    @property
    def width(self) -> int:
        return self.heads * self.head_dim


def config(sizes: Sizes, *, scan_layers: bool = True) -> WamConfig:
    """Ours."""
    return WamConfig(
        stacks=(
            Stack(
                name="video",
                depth=sizes.depth,
                heads=sizes.heads,
                head_dim=sizes.head_dim,
                experts=(wan("video", sizes.width, sizes.mlp),),
                rotary=WAN_ROTARY,
            ),
        ),
        ports=(
            Port(stream="text", into="text", embed="mlp", width=sizes.width, kind=False),
            Port(stream="video", into="video", kind=False, head="table"),
        ),
        patch=PATCH,
        scan_layers=scan_layers,
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


def converted(sizes: Sizes, state: Mapping[str, np.ndarray]) -> dict:
    """diffusers' weights in our tree."""
    width, heads, head_dim = sizes.width, sizes.heads, sizes.head_dim

    def linear(name: str) -> dict:
        return {"kernel": state[f"{name}.weight"].T, "bias": state[f"{name}.bias"]}

    def headed(names: list[str]) -> dict:
        kernels = [state[f"{name}.weight"].T.reshape(width, heads, head_dim) for name in names]
        biases = [state[f"{name}.bias"].reshape(heads, head_dim) for name in names]
        if len(names) == 1:
            return {"kernel": kernels[0], "bias": biases[0]}
        return {"kernel": np.stack(kernels, 2), "bias": np.stack(biases, 1)}

    def back(name: str) -> dict:
        kernel = state[f"{name}.weight"].T.reshape(heads, head_dim, width)
        return {"kernel": kernel, "bias": state[f"{name}.bias"]}

    def normed(name: str) -> dict:
        return {"norm": {"scale": state[f"{name}.weight"]}}

    layers = []
    for place in range(sizes.depth):
        b = f"blocks.{place}"
        layers.append(
            {
                "video_in": {
                    "modulation": {"table": state[f"{b}.scale_shift_table"][0]},
                    "qkv": headed([f"{b}.attn1.to_{x}" for x in "qkv"]),
                    "query_norm": normed(f"{b}.attn1.norm_q"),
                    "key_norm": normed(f"{b}.attn1.norm_k"),
                },
                "video_memory": {
                    "kv": headed([f"{b}.attn2.to_{x}" for x in "kv"]),
                    "key_norm": normed(f"{b}.attn2.norm_k"),
                },
                "video_out": {
                    "out": back(f"{b}.attn1.to_out.0"),
                    "memory_norm": {
                        "scale": state[f"{b}.norm2.weight"],
                        "bias": state[f"{b}.norm2.bias"],
                    },
                    "memory_q": headed([f"{b}.attn2.to_q"]),
                    "memory_query_norm": normed(f"{b}.attn2.norm_q"),
                    "memory_out": back(f"{b}.attn2.to_out.0"),
                    "mlp": {
                        "up": linear(f"{b}.ffn.net.0.proj"),
                        "down": linear(f"{b}.ffn.net.2"),
                    },
                },
            }
        )
    # A patch of diffusers' convolution is (channel, row, column), ours (row, column, channel).
    patch = state["patch_embedding.weight"][:, :, 0].transpose(2, 3, 1, 0).reshape(-1, width)
    embedder = "condition_embedder"
    shared = linear(f"{embedder}.time_proj")
    return {
        "stack_video": {"layers": jax.tree.map(lambda *rows: np.stack(rows), *layers)},
        "embed_text": {
            "in": {"one": linear(f"{embedder}.text_embedder.linear_1")},
            "out": linear(f"{embedder}.text_embedder.linear_2"),
        },
        "embed_video": {"in": {"one": {"kernel": patch, "bias": state["patch_embedding.bias"]}}},
        "level_video": {
            "in": linear(f"{embedder}.time_embedder.linear_1"),
            "out": linear(f"{embedder}.time_embedder.linear_2"),
            "shared": {
                "kernel": shared["kernel"].reshape(width, 6, width),
                "bias": shared["bias"].reshape(6, width),
            },
        },
        "head_video": {
            "table": state["scale_shift_table"][0],
            "out": {"one": linear("proj_out")},
        },
    }
