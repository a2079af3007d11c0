"""Published codecs as checkpoint families; the names in a file tell which layout it has."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from wamjax.codec.ltx_vae import LTXVAE
from wamjax.codec.wan_sizes import WAN21, WAN22
from wamjax.codec.wan_vae import WanVAE
from wamjax.core.tree import leaves_by_path
from wamjax.core.typing import Params
from wamjax.pretrained import ltx_vae, wan_vae
from wamjax.pretrained.convert import own_names
from wamjax.pretrained.family import Family
from wamjax.pretrained.moves import ours
from wamjax.pretrained.table import Table
from wamjax.pretrained.tensors import Tensors

Published = WanVAE | LTXVAE

# Layouts of a codec's names.
LAYOUTS: Mapping[type, Mapping[str, Callable[[Any], Table]]] = {
    WanVAE: {
        "diffusers": functools.partial(wan_vae.table, layout="diffusers"),
        "original": functools.partial(wan_vae.table, layout="original"),
    },
    LTXVAE: {"diffusers": ltx_vae.table},
}


def target(codec: Published) -> Params:
    """Shapes of the codec's weights."""
    side = codec.strides[1]
    frames = jax.ShapeDtypeStruct((1, 1, side, side, 3), jnp.float32)
    return nn.unbox(jax.eval_shape(codec.init, jax.random.key(0), frames)["params"])


def read(tensors: Tensors, codec: Published) -> Params:
    """The codec's weights of a checkpoint in any layout, or of a converted tree; float32.

    Raises:
        UserError: the tensors are not those of this codec; what differs is told.
    """
    family, names = family_of(codec), tensors.shapes
    shapes = family.target()
    table = own_names(shapes)
    if names.keys() != leaves_by_path(shapes).keys():
        table = family.layouts[family.layout_of(names)]()
    return ours(table, {name: tensors.read(name) for name in names}, shapes)


def family_of(codec: Published, name: str = "", licence: str = "") -> Family:
    """The family of the checkpoints of one size."""
    (time, side), layouts = codec.strides, LAYOUTS[type(codec)]
    return Family(
        name=name,
        about=f"video autoencoder, {time} x {side} x {side}, {codec.channels} channels",
        licence=licence,
        layouts={layout: functools.partial(make, codec) for layout, make in layouts.items()},
        target=functools.partial(target, codec),
    )


FAMILIES = (
    family_of(WAN21, "wan2.1-vae", "wan"),
    family_of(WAN22, "wan2.2-vae", "wan"),
    family_of(LTXVAE(), "ltx-vae-0.9", "ltx"),
)
