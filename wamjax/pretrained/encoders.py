"""The weights of a published encoder out of whatever file holds them.

Its names tell the layout, and what stands before them: a file may be the encoder's own or that of a
whole model ("vision_model.", "model.vision_tower.vision_model.").
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from wamjax.codec.bert import MINILM_L6, BertEncoder
from wamjax.codec.florence2 import (
    FLORENCE2_BASE,
    FLORENCE2_LARGE,
    FLORENCE2_LARGE_FT,
    Florence2Encoder,
    Florence2Sizes,
    ported,
)
from wamjax.codec.qwen3_vl import QWEN3_VL_2B, Qwen3VlEncoder
from wamjax.codec.t5 import T5_11B, T5_BASE, T5_V1_1_XXL, UMT5_XXL, T5Encoder
from wamjax.codec.vit import (
    CLIP_HUGE,
    DINOV2_BASE,
    DINOV2_LARGE,
    DINOV2_LARGE_REGISTERS,
    SIGLIP_BASE,
    SIGLIP_SO400M,
    V_JEPA2_LARGE,
    VitEncoder,
)
from wamjax.core.typing import Params, PyTree
from wamjax.pretrained import bert, florence2, qwen3_vl, t5, vit
from wamjax.pretrained.bijection import unfilled
from wamjax.pretrained.family import Family
from wamjax.pretrained.load import load
from wamjax.pretrained.moves import expand
from wamjax.pretrained.table import Table
from wamjax.pretrained.tensors import Below, Tensors

Published = T5Encoder | BertEncoder | VitEncoder | Qwen3VlEncoder | Florence2Encoder

FLORENCE2_PORT: dict[str, Callable[[Any], Table]] = {
    "transformers": florence2.transformers_florence2,
    "transformers-once": functools.partial(florence2.transformers_florence2, once=True),
}
FLORENCE2 = {
    "original": florence2.original_florence2,
    "original-once": functools.partial(florence2.original_florence2, once=True),
    **FLORENCE2_PORT,
}
TABLES: dict[type, tuple[Callable[[Any], Table], ...]] = {
    T5Encoder: (t5.transformers_t5, t5.wan_umt5),
    BertEncoder: (bert.transformers_bert,),
    VitEncoder: (
        vit.transformers_siglip,
        vit.transformers_dinov2,
        vit.transformers_clip,
        vit.transformers_v_jepa2,
        vit.wan_clip,
    ),
    Qwen3VlEncoder: (qwen3_vl.transformers_qwen3_vl,),
    Florence2Encoder: tuple(FLORENCE2.values()),
}


def target(encoder: Published) -> Params:
    """Shapes of the encoder's weights."""
    told = tuple(jax.ShapeDtypeStruct((1, 1), kind) for kind in (jnp.int32, jnp.bool_))
    match encoder:
        case VitEncoder(sizes=sizes):
            given = (_frames(sizes.frames, sizes.patch),)
        case Qwen3VlEncoder(sizes=sizes):
            position = jax.ShapeDtypeStruct((1, 1, 3), jnp.int32)
            given = (*told, position, (_frames(sizes.vision.frames, sizes.vision.side),))
        case Florence2Encoder():
            given = (*told, jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32))
        case _:
            given = told
    return nn.unbox(jax.eval_shape(encoder.init, jax.random.key(0), *given)["params"])


def _frames(count: int, side: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, count, side, side, 3), jnp.float32)


def found(tensors: Tensors, encoder: Published) -> tuple[Tensors, Table]:
    """The tensors of the encoder, by the names of the table that goes with them.

    Where no table has all its names there, the first one, which then tells what is missing.
    """
    names, wanted = tensors.shapes.keys(), target(encoder)
    made = [table(encoder.sizes) for table in TABLES[type(encoder)]]
    # Others are of encoders with other parts, whose names may stand in the file, too.
    tables = [table for table in made if not unfilled(expand(table), wanted)]
    for table in tables:
        own = [move.theirs for move in expand(table)]
        before = {name.removesuffix(own[0]) for name in names if name.endswith(own[0])}
        for prefix in sorted(before):
            if all(prefix + name in names for name in own):
                return (Below(tensors, prefix) if prefix else tensors), table
    return tensors, tables[0]


def read(
    tensors: Tensors, encoder: Published, shardings: PyTree | None = None, *, dtype: Any = None
) -> Params:
    """The encoder's weights of a checkpoint, tensor by tensor, see `load`.

    Raises:
        UserError: the tensors are not those of this encoder; what differs is told.
    """
    below, table = found(tensors, encoder)
    return load(below, table, target(encoder), shardings, dtype=dtype)


def _family(
    name: str,
    licence: str,
    encoder: Published,
    layouts: Mapping[str, Callable[[Any], Table]],
    more: str = "",
) -> Family:
    if isinstance(encoder, Qwen3VlEncoder):
        stacks = (encoder.sizes.vision.layers, encoder.sizes.language.layers)
    else:
        stacks = (encoder.sizes.layers,)
    sizes = [f"{stack.depth} layers of {stack.width}" for stack in stacks]
    return Family(
        name=name,
        about=f"encoder, {' and '.join(sizes)}{more}",
        licence=licence,
        layouts={key: functools.partial(made, encoder.sizes) for key, made in layouts.items()},
        target=functools.partial(target, encoder),
    )


T5 = {"transformers": t5.transformers_t5}
DINOV2 = {"transformers": vit.transformers_dinov2}
SIGLIP = {"transformers": vit.transformers_siglip}

FLORENCE2_SIZES = {
    "base": FLORENCE2_BASE,
    "large": FLORENCE2_LARGE,
    "large-ft": FLORENCE2_LARGE_FT,
}


def _florence2(name: str, sizes: Florence2Sizes) -> tuple[Family, Family]:
    """As Microsoft published it, and as transformers' port holds it, with more words."""
    after, port = " behind a DaViT", "; transformers' port"
    encoder, larger = Florence2Encoder(sizes), Florence2Encoder(ported(sizes))
    name = f"florence-2-{name}"
    return (
        _family(name, "florence-2", encoder, FLORENCE2, after),
        _family(f"{name}-port", "florence-2", larger, FLORENCE2_PORT, after + port),
    )


FAMILIES = (
    _family("umt5-xxl", "umt5", T5Encoder(UMT5_XXL), {**T5, "original": t5.wan_umt5}),
    _family("t5-v1_1-xxl", "t5", T5Encoder(T5_V1_1_XXL), T5),
    _family("t5-11b", "t5", T5Encoder(T5_11B), T5),
    _family("t5-base", "t5", T5Encoder(T5_BASE), T5),
    _family("minilm", "minilm", BertEncoder(MINILM_L6), {"transformers": bert.transformers_bert}),
    _family("siglip-base", "siglip", VitEncoder(SIGLIP_BASE), SIGLIP),
    _family("siglip-so400m", "siglip", VitEncoder(SIGLIP_SO400M), SIGLIP),
    _family("dinov2-base", "dinov2", VitEncoder(DINOV2_BASE), DINOV2),
    _family("dinov2-large", "dinov2", VitEncoder(DINOV2_LARGE), DINOV2),
    _family("dinov2-large-registers", "dinov2", VitEncoder(DINOV2_LARGE_REGISTERS), DINOV2),
    _family(
        "clip-vit-h",
        "clip-vit-h",
        VitEncoder(CLIP_HUGE),
        {"transformers": vit.transformers_clip, "original": vit.wan_clip},
    ),
    _family(
        "v-jepa2-large",
        "v-jepa2",
        VitEncoder(V_JEPA2_LARGE),
        {"transformers": vit.transformers_v_jepa2},
    ),
    _family(
        "qwen3-vl-2b",
        "qwen3-vl",
        Qwen3VlEncoder(QWEN3_VL_2B),
        {"transformers": qwen3_vl.transformers_qwen3_vl},
    ),
    *(family for name, sizes in FLORENCE2_SIZES.items() for family in _florence2(name, sizes)),
)
