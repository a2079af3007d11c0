"""All layers as one scan; keys and values of every layer go in and come out by hand."""

import flax.linen as nn
import jax.numpy as jnp

from wamjax.core.typing import AnyArray, Array
from wamjax.model.block import Block, KeyValue
from wamjax.model.config import WamConfig


class Transformer(nn.Module):
    """`depth` blocks with stacked weights (leading axis "layer").

    Call: as `Block`, with `cache` holding a leading layer axis; returns the tokens and the keys and
    values of all layers, [depth, B, N, heads, head_dim].
    """

    config: WamConfig

    @nn.compact
    def __call__(
        self,
        tokens: dict[str, Array],
        cache: KeyValue,
        level: dict[str, Array],
        counts: dict[str, tuple[int, ...]],
        angles: AnyArray,
        visible: Array,
    ) -> tuple[dict[str, Array], KeyValue]:
        def layer(block: Block, x: dict[str, Array], cached: KeyValue):
            return block(x, cached, level, counts, angles, visible)

        if self.config.remat:
            layer = nn.remat(layer, prevent_cse=False)
        scanned = nn.scan(
            layer,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            length=self.config.depth,
            metadata_params={nn.PARTITION_NAME: "layer"},
        )
        return scanned(Block(self.config, name="layers"), tokens, cache)


def empty_cache(config: WamConfig, batch: int) -> KeyValue:
    """A cache of no tokens, with which a block is an ordinary block."""
    shape = (config.depth, batch, 0, config.heads, config.head_dim)
    zero = jnp.zeros(shape, jnp.dtype(config.dtype))
    return KeyValue(zero, zero)
