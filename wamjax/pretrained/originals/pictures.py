"""Encoders of pictures and words together, as transformers has them."""

import functools
from typing import Any

import numpy as np
from einops import rearrange

from wamjax.codec import florence2 as florence2_codec
from wamjax.codec import qwen3_vl as qwen3_vl_codec
from wamjax.codec.encoder import Layers
from wamjax.codec.qwen3 import Qwen3Sizes
from wamjax.codec.qwen3_vision import VisionSizes
from wamjax.codec.vit import IMAGENET
from wamjax.core.typing import Params
from wamjax.pretrained import florence2, qwen3_vl
from wamjax.pretrained.encoders import FLORENCE2_SIZES
from wamjax.pretrained.originals.base import Module, Original, Values, as_torch
from wamjax.pretrained.originals.inputs import (
    drawn_frames,
    drawn_words,
    of_transformers,
    pixels_of,
    run,
)


def qwen3_config(sizes: Qwen3Sizes) -> dict[str, Any]:
    """transformers' settings of the part that reads."""
    layers = sizes.layers
    half = layers.head_dim // 2
    return {
        "vocab_size": sizes.vocabulary,
        "hidden_size": layers.width,
        "intermediate_size": layers.mlp,
        "num_hidden_layers": layers.depth,
        "num_attention_heads": layers.heads,
        "num_key_value_heads": layers.kv_heads,
        "head_dim": layers.head_dim,
        "rms_norm_eps": layers.eps,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": sizes.base,
            "mrope_section": [half - sum(sizes.across), *sizes.across],
            "mrope_interleaved": True,
        },
    }


def qwen3_vision_config(sizes: VisionSizes) -> dict[str, Any]:
    """transformers' settings of the part that looks."""
    return {
        "depth": sizes.layers.depth,
        "hidden_size": sizes.layers.width,
        "intermediate_size": sizes.layers.mlp,
        "num_heads": sizes.layers.heads,
        "patch_size": sizes.patch,
        "spatial_merge_size": sizes.merge,
        "temporal_patch_size": sizes.frames,
        "out_hidden_size": sizes.out,
        "num_position_embeddings": sizes.grid**2,
        "deepstack_visual_indexes": list(sizes.taps),
    }


def qwen3_vl_module(sizes: qwen3_vl_codec.Qwen3VlSizes) -> Module:
    """The whole of Qwen3-VL; words around a picture stand as far before its pad as published."""
    picture, video = sizes.language.pads
    before = (qwen3_vl_codec.PICTURE - word for word in (qwen3_vl_codec.START, qwen3_vl_codec.END))
    start, end = (picture - distance for distance in before)
    return Module(
        "transformers",
        "Qwen3VLForConditionalGeneration",
        {
            "text_config": qwen3_config(sizes.language),
            "vision_config": qwen3_vision_config(sizes.vision),
            "image_token_id": picture,
            "video_token_id": video,
            "vision_start_token_id": start,
            "vision_end_token_id": end,
            "tie_word_embeddings": True,
        },
        "Qwen3VLConfig",
    )


def qwen3_patches(sizes: VisionSizes, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(patches of frames [B, T, H, W, 3], one (frames, rows, columns) of them for each of B)."""
    cut = rearrange(
        frames,
        "B (L t) (h m i) (w n j) c -> B (L h w m n) (c t i j)",
        **{"t": sizes.frames, "m": sizes.merge, "n": sizes.merge},
        **{"i": sizes.patch, "j": sizes.patch},
    )
    batch, count, height, width, _ = frames.shape
    grid = [count // sizes.frames, height // sizes.patch, width // sizes.patch]
    return cut, np.array([grid] * batch)


def qwen3_vl_original(sizes: qwen3_vl_codec.Qwen3VlSizes) -> Original:
    """Qwen3-VL's, in float32: words with a picture among them."""
    grid = (2, 3)
    module = qwen3_vl_module(sizes)
    pads, around = sizes.language.pads, ("vision_start_token_id", "vision_end_token_id")
    start, end = (module.options[name] for name in around)

    def given(rng: np.random.Generator) -> Values:
        rows, columns = grid
        said = rng.integers(start, size=6)
        words = [*said[:3], start, *[pads[0]] * (rows * columns), end, *said[3:]]
        side = sizes.vision.side
        return {
            "words": np.array([words]),
            "frames": drawn_frames(rng, sizes.vision.frames, rows * side, columns * side),
        }

    def theirs(module: Any, given: Values) -> Values:
        patches, grids = qwen3_patches(sizes.vision, given["frames"])
        words = as_torch(given["words"])
        made = module.model(
            input_ids=words,
            attention_mask=words.new_ones(words.shape),
            pixel_values=as_torch(patches[0]),
            image_grid_thw=as_torch(grids),
            mm_token_type_ids=(words == pads[0]).int(),
        )
        return {"words and a picture": made.last_hidden_state.numpy()}

    def ours(weights: Params, given: Values) -> Values:
        words = given["words"]
        mask = np.ones(words.shape, bool)
        places = qwen3_vl_codec.positions(words, mask, (grid,), pads)
        encoder = qwen3_vl_codec.Qwen3VlEncoder(sizes)
        made = run(encoder, weights, words, mask, places, (given["frames"],))
        return {"words and a picture": made}

    return Original(
        module=module,
        table=functools.partial(qwen3_vl.transformers_qwen3_vl, sizes),
        given=given,
        theirs=theirs,
        ours=ours,
    )


def _bart(sizes: florence2_codec.Florence2Sizes, layers: Layers) -> dict[str, Any]:
    """With a decoder as deep, which nothing here reads."""
    return {
        "vocab_size": sizes.vocabulary,
        "d_model": layers.width,
        "encoder_layers": layers.depth,
        "encoder_ffn_dim": layers.mlp,
        "encoder_attention_heads": layers.heads,
        "decoder_layers": layers.depth,
        "decoder_ffn_dim": layers.mlp,
        "decoder_attention_heads": layers.heads,
        "max_position_embeddings": sizes.places,
    }


def florence2_module(sizes: florence2_codec.Florence2Sizes, kind: str = "Florence2Model") -> Module:
    """Florence-2's; the last word stands for cells of a picture."""
    stages, layers = sizes.vision.stages, sizes.layers
    return of_transformers(
        kind,
        "Florence2Config",
        vision_config={
            "model_type": "florence_vision",
            "depths": [stage.depth for stage in stages],
            "embed_dim": [stage.width for stage in stages],
            "num_heads": [stage.heads for stage in stages],
            "num_groups": [stage.groups for stage in stages],
            "window_size": sizes.vision.window,
            "projection_dim": layers.width,
            "max_position_embeddings": sizes.grid,
        },
        text_config={"model_type": "bart", **_bart(sizes, layers)},
        image_token_id=sizes.vocabulary - 1,
    )


def florence2_original(sizes: florence2_codec.Florence2Sizes) -> Original:
    """Florence-2's encoder, in float32: a picture with words behind it."""
    cell, side = sizes.vocabulary - 1, 64

    def given(rng: np.random.Generator) -> Values:
        picture = drawn_frames(rng, side, side)
        return {**drawn_words(rng, cell), "picture": picture}

    def theirs(module: Any, given: Values) -> Values:
        words, mask = as_torch(given["words"]), as_torch(given["mask"]).long()
        cells = words.new_full((1, sizes.tokens(side, side)), cell)
        torch_cat = functools.partial(_joined, axis=1)
        made = module(
            input_ids=torch_cat(cells, words),
            attention_mask=torch_cat(cells.new_ones(cells.shape), mask),
            pixel_values=as_torch(pixels_of(given["picture"], IMAGENET)).float(),
        )
        return {"picture and words": made.encoder_last_hidden_state.numpy()}

    def ours(weights: Params, given: Values) -> Values:
        encoder = florence2_codec.Florence2Encoder(sizes)
        made = run(encoder, weights, given["words"], given["mask"], given["picture"])
        return {"picture and words": made}

    return Original(
        module=florence2_module(sizes),
        table=functools.partial(florence2.transformers_florence2, sizes),
        given=given,
        theirs=theirs,
        ours=ours,
    )


def _joined(*parts: Any, axis: int) -> Any:
    return as_torch(np.concatenate([part.numpy() for part in parts], axis))


ORIGINALS = {
    "qwen3-vl-2b": qwen3_vl_original(qwen3_vl_codec.QWEN3_VL_2B),
    **{
        f"florence-2-{name}{end}": florence2_original(made)
        for name, sizes in FLORENCE2_SIZES.items()
        for end, made in (("", sizes), ("-port", florence2_codec.ported(sizes)))
    },
}
