"""Published encoders at full size, by shapes alone: their weights are split over a mesh."""

import math

import jax
import jax.numpy as jnp
import pytest

from wamjax.codec import bert, florence2, qwen3_vl, t5, vit
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.parallel.shardings import param_shardings, unbox

TEXT = {
    "UMT5-XXL": t5.T5Encoder(t5.UMT5_XXL),
    "T5 v1.1 XXL": t5.T5Encoder(t5.T5_V1_1_XXL),
    "T5-11B": t5.T5Encoder(t5.T5_11B),
    "T5-base": t5.T5Encoder(t5.T5_BASE),
    "MiniLM": bert.BertEncoder(bert.MINILM_L6),
}
VISION = {
    "SigLIP base": vit.SIGLIP_BASE,
    "SigLIP So400m": vit.SIGLIP_SO400M,
    "DINOv2 base": vit.DINOV2_BASE,
    "DINOv2 large": vit.DINOV2_LARGE_REGISTERS,
    "CLIP huge": vit.CLIP_HUGE,
    "V-JEPA2 large": vit.V_JEPA2_LARGE,
}
WORDS = tuple(jax.ShapeDtypeStruct((1, 8), kind) for kind in (jnp.int32, jnp.bool_))
BOTH = {
    "Qwen3-VL 2B": (
        qwen3_vl.Qwen3VlEncoder(qwen3_vl.QWEN3_VL_2B),
        (
            *WORDS,
            jax.ShapeDtypeStruct((1, 8, 3), jnp.int32),
            (jax.ShapeDtypeStruct((1, 2, 32, 64, 3), jnp.float32),),
        ),
    ),
    "Florence-2 large": (
        florence2.Florence2Encoder(florence2.FLORENCE2_LARGE),
        (*WORDS, jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)),
    ),
}


def inputs(name):
    if name in BOTH:
        return BOTH[name]
    if name in TEXT:
        return TEXT[name], WORDS
    sizes = VISION[name]
    side = 2 * sizes.patch
    frames = jax.ShapeDtypeStruct((1, sizes.frames, side, side, 3), jnp.float32)
    return vit.VitEncoder(sizes), (frames,)


@pytest.mark.parametrize("name", [*TEXT, *VISION, *BOTH])
def test_weights_are_split(name):
    encoder, given = inputs(name)
    boxed = jax.eval_shape(encoder.init, jax.random.key(0), *given)["params"]
    places = param_shardings(boxed, make_mesh(MeshConfig(data=1, fsdp=4, tensor=2)))
    sizes = jax.tree.map(
        lambda leaf, place: (leaf.size, math.prod(place.shard_shape(leaf.shape))),
        unbox(boxed),
        places,
    )
    flat = jax.tree.leaves(sizes, is_leaf=lambda x: isinstance(x, tuple))
    whole, own = (sum(column) for column in zip(*flat, strict=True))
    # Embeddings, and keys that are shared by heads, are split over their width alone.
    tables = sum(
        leaf.size
        for path, leaf in jax.tree_util.tree_leaves_with_path(unbox(boxed))
        if {"embedding", "word", "place", "kv"} & {step.key for step in path}
    )
    assert own < 1.01 * ((whole - tables) / 8 + tables / 4)
