"""The weights of a published encoder out of whatever file holds them.

Its names tell the layout, and what stands before them: a file may be the encoder's own or that of a
whole model ("vision_model.", "model.vision_tower.vision_model.").
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from wamjax.codec.bert import BertEncoder
from wamjax.codec.t5 import T5Encoder
from wamjax.codec.vit import VitEncoder
from wamjax.core.typing import Params, PyTree
from wamjax.pretrained import bert, t5, vit
from wamjax.pretrained.bijection import unfilled
from wamjax.pretrained.load import load
from wamjax.pretrained.moves import expand
from wamjax.pretrained.table import Table
from wamjax.pretrained.tensors import Below, Tensors

Published = T5Encoder | BertEncoder | VitEncoder

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
}


def target(encoder: Published) -> Params:
    """Shapes of the encoder's weights."""
    if isinstance(encoder, VitEncoder):
        sizes = encoder.sizes
        shape = (1, sizes.frames, sizes.patch, sizes.patch, 3)
        given = (jax.ShapeDtypeStruct(shape, jnp.float32),)
    else:
        given = tuple(jax.ShapeDtypeStruct((1, 1), kind) for kind in (jnp.int32, jnp.bool_))
    return nn.unbox(jax.eval_shape(encoder.init, jax.random.key(0), *given)["params"])


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
