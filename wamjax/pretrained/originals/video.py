"""The video transformers, as diffusers has them."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from einops import rearrange

from wamjax.core.typing import Params
from wamjax.model.config import WamConfig
from wamjax.model.segments import Segment
from wamjax.model.tokens import latents_from_tokens, tokens_from_latents
from wamjax.pretrained import cosmos, ltx, wan
from wamjax.pretrained.denoiser import prediction
from wamjax.pretrained.originals.base import Module, Original, Values, as_torch

GRID = (3, 4, 6)
"""Latent frames, rows and columns of the small input."""
WORDS, PICTURE, ALL_WORDS = 16, 8, 512
FPS = 16
CHANNELS_FIRST, CHANNELS_LAST = "B L h w c -> B c L h w", "B c L h w -> B L h w c"


def wan_module(sizes: wan.Sizes) -> Module:
    """diffusers' WanTransformer3DModel, with a picture where the sizes have one."""
    options: dict[str, Any] = {
        "num_attention_heads": sizes.heads,
        "attention_head_dim": sizes.head_dim,
        "in_channels": sizes.channels + sizes.beside,
        "out_channels": sizes.channels,
        "text_dim": sizes.text,
        "ffn_dim": sizes.mlp,
        "num_layers": sizes.depth,
    }
    if sizes.image:
        options |= {"image_dim": sizes.image, "added_kv_proj_dim": sizes.width}
    return Module("diffusers", "WanTransformer3DModel", options)


def cosmos_module(sizes: cosmos.Sizes, *, padding: bool) -> Module:
    """diffusers' CosmosTransformer3DModel; without `padding` that mask is one of the channels that
    come in."""
    options = {
        "in_channels": sizes.channels + cosmos.MASKS - padding,
        "out_channels": sizes.channels,
        "num_attention_heads": sizes.heads,
        "attention_head_dim": sizes.head_dim,
        "num_layers": sizes.depth,
        "mlp_ratio": sizes.mlp / sizes.width,
        "text_embed_dim": sizes.text,
        "adaln_lora_dim": sizes.rank,
        "rope_scale": (1.0, 3.0, 3.0),
        "concat_padding_mask": padding,
        "extra_pos_embed_type": None,
    }
    return Module("diffusers", "CosmosTransformer3DModel", options)


def ltx_module(sizes: ltx.Sizes) -> Module:
    """diffusers' LTXVideoTransformer3DModel."""
    options = {
        "in_channels": sizes.channels,
        "out_channels": sizes.channels,
        "num_attention_heads": sizes.heads,
        "attention_head_dim": sizes.head_dim,
        "cross_attention_dim": sizes.width,
        "num_layers": sizes.depth,
        "caption_channels": sizes.text,
    }
    return Module("diffusers", "LTXVideoTransformer3DModel", options)


def _drawn(rng: np.random.Generator, channels: int, text: int, words: int) -> dict[str, Any]:
    """Latents, words and one noise level."""
    return {
        "latents": rng.normal(size=(1, *GRID, channels)).astype(np.float32),
        "text": rng.normal(size=(1, words, text)).astype(np.float32),
        "sigma": rng.uniform(size=(1, 1)).astype(np.float32),
    }


def _first(latents: np.ndarray) -> Any:
    return as_torch(rearrange(latents, CHANNELS_FIRST))


def _video(patch: int, **place: float) -> Segment:
    frames, height, width = GRID
    return Segment(
        stream="video",
        copy="noisy",
        frames=frames,
        rows=height // patch,
        columns=width // patch,
        **place,  # pyright: ignore[reportArgumentType]
    )


def _predicted(
    config: WamConfig,
    weights: Params,
    segments: Sequence[Segment],
    given: Values,
    beside: Sequence[np.ndarray],
    patch: int,
) -> Mapping[str, np.ndarray]:
    """Ours, as latents."""
    tokens = np.asarray(tokens_from_latents(jnp.asarray(given["latents"]), patch))
    values = (*beside, tokens)
    made = prediction(config, weights, tuple(segments), values, {"video": given["sigma"]})["video"]
    frames, height, width = GRID
    grid = (frames, height // patch, width // patch)
    return {"transformer": np.asarray(latents_from_tokens(made, grid, patch))}


def wan_original(sizes: wan.Sizes) -> Original:
    """Wan's, in float32."""

    def given(rng: np.random.Generator) -> Values:
        # diffusers takes the last 512 of what is told as text, and those before as the picture.
        words = ALL_WORDS if sizes.image else WORDS
        drawn = _drawn(rng, sizes.channels + sizes.beside, sizes.text, words)
        if sizes.image:
            drawn["image"] = rng.normal(size=(1, PICTURE, sizes.image)).astype(np.float32)
        return drawn

    def theirs(module: Any, given: Values) -> Values:
        told = [as_torch(given[name]) for name in ("text", "image") if name in given]
        made = module(_first(given["latents"]), as_torch(1000 * given["sigma"][:, 0]), *told)
        return {"transformer": rearrange(made.sample.numpy(), CHANNELS_LAST)}

    def ours(weights: Params, given: Values) -> Values:
        told = [given[name] for name in ("text", "image") if name in given]
        segments = [Segment(stream="text", frames=told[0].shape[1])]
        if sizes.image:
            segments.append(Segment(stream="image", frames=PICTURE))
        segments.append(_video(wan.PATCH))
        return _predicted(wan.config(sizes), weights, segments, given, told, wan.PATCH)

    return Original(
        module=wan_module(sizes),
        table=lambda: wan.table(sizes, "diffusers"),
        given=given,
        theirs=theirs,
        ours=ours,
    )


def cosmos_original(sizes: cosmos.Sizes) -> Original:
    """Cosmos-Predict2's, in float32, with diffusers' epsilon in the norms of queries and keys."""

    def given(rng: np.random.Generator) -> Values:
        return _drawn(rng, sizes.channels + cosmos.MASKS, sizes.text, WORDS)

    def theirs(module: Any, given: Values) -> Values:
        told = as_torch(given["sigma"][:, 0]), as_torch(given["text"])
        made = module(_first(given["latents"]), *told, fps=FPS)
        return {"transformer": rearrange(made.sample.numpy(), CHANNELS_LAST)}

    def ours(weights: Params, given: Values) -> Values:
        video = _video(cosmos.PATCH, stride=24 / FPS)
        segments = (Segment(stream="text", frames=WORDS), video)
        config = cosmos.config(sizes, qk_eps=1e-5)
        return _predicted(config, weights, segments, given, [given["text"]], cosmos.PATCH)

    return Original(
        # The masks are channels like the others, so that both are drawn.
        module=cosmos_module(sizes, padding=False),
        table=lambda: cosmos.table(sizes, "diffusers"),
        given=given,
        theirs=theirs,
        ours=ours,
    )


def ltx_original(sizes: ltx.Sizes) -> Original:
    """LTX-Video's, in float32."""

    def given(rng: np.random.Generator) -> Values:
        return _drawn(rng, sizes.channels, sizes.text, WORDS)

    def theirs(module: Any, given: Values) -> Values:
        made = module(
            as_torch(rearrange(given["latents"], "B L h w c -> B (L h w) c")),
            as_torch(given["text"]),
            as_torch(1000 * given["sigma"]),
            as_torch(np.ones(given["text"].shape[:2], bool)),
            *GRID,
            rope_interpolation_scale=(8 / FPS, 32, 32),
        ).sample.numpy()
        frames, height, width = GRID
        return {
            "transformer": rearrange(made, "B (L h w) c -> B L h w c", L=frames, h=height, w=width)
        }

    def ours(weights: Params, given: Values) -> Values:
        segments = (Segment(stream="text", frames=WORDS), _video(1, stride=8 / FPS))
        return _predicted(ltx.config(sizes), weights, segments, given, [given["text"]], 1)

    return Original(
        module=ltx_module(sizes),
        table=lambda: ltx.table(sizes, "diffusers"),
        given=given,
        theirs=theirs,
        ours=ours,
    )


ORIGINALS = {
    **{name: wan_original(sizes) for name, sizes in wan.SIZES.items()},
    **{name: cosmos_original(sizes) for name, sizes in cosmos.SIZES.items()},
    **{name: ltx_original(sizes) for name, sizes in ltx.SIZES.items()},
    "cosmos-policy": cosmos_original(cosmos.SIZES["cosmos-predict2-2b"]),
}
