"""All layers of a stack, as one scan or one behind the other.

Keys and values of every layer go in and come out by hand, with a leading axis of layers.
"""

import operator
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from wamjax.core.typing import Array
from wamjax.model.block import Block, KeyValue, Sight
from wamjax.model.config import Remat, Stack, Ways
from wamjax.model.layers import Normed
from wamjax.model.modulation import Noise
from wamjax.model.remat import ENTERS, policy
from wamjax.model.stacking import LAYERS
from wamjax.parallel.activations import constrain


@flax.struct.dataclass
class Layered:
    """Something that differs from layer to layer, with a leading axis of layers."""

    values: Any


class Transformer(nn.Module):
    """`depth` blocks: with stacked weights (leading axis "layer"), or each with its own.

    Call: as `Block`, with `cache` and `held` having a leading layer axis, and a memory either the
    same for all layers or `Layered`. Returns the tokens, the keys and values of all layers
    [depth, B, N, heads, head_dim], those of the memories, and, if `keep`, the tokens behind every
    layer, expert -> [depth, B, N_e, D_e]. Experts with `norm_out` norm what leaves the last layer.
    """

    stack: Stack
    ways: Ways = Ways()
    remat: Remat = "none"
    scan_layers: bool = True

    @nn.compact
    def __call__(
        self,
        tokens: dict[str, Array],
        cache: KeyValue,
        memory: Mapping[str, Array | Layered],
        held: Mapping[str, KeyValue],
        noise: Mapping[str, Noise],
        sight: Sight,
        keep: bool = False,
    ) -> tuple[dict[str, Array], KeyValue, dict[str, KeyValue], dict[str, Array]]:
        layered = {name: m.values for name, m in memory.items() if isinstance(m, Layered)}
        fixed = {
            name: constrain(m, "batch", None, None)
            for name, m in memory.items()
            if not isinstance(m, Layered)
        }

        def layer(block: Block, x: dict[str, Array], xs: tuple):
            cached, own, had, meets = xs
            x = {name: constrain(part, "batch", "token", None) for name, part in x.items()}
            x = {name: checkpoint_name(part, ENTERS) for name, part in x.items()}
            x, new, stored = block(x, cached, fixed | own, had, noise, sight, meets)
            return x, (new, stored, x if keep else {})

        if self.remat != "none":
            layer = nn.remat(layer, prevent_cse=False, policy=policy(self.remat))
        every, places = self.stack.meet_every, np.arange(self.stack.depth)
        xs = (cache, layered, dict(held), jnp.asarray(places % every == 0) if every else None)
        if self.scan_layers:
            scanned = nn.scan(
                layer,
                variable_axes={"params": 0},
                split_rngs={"params": True},
                length=self.stack.depth,
                metadata_params={nn.PARTITION_NAME: "layer"},
            )
            block = Block(self.stack, self.ways, name=LAYERS)
            x, (new, stored, kept) = scanned(block, tokens, xs)
            return self._left(x), new, stored, kept
        x, made = tokens, []
        for place in range(self.stack.depth):
            block = Block(self.stack, self.ways, name=f"{LAYERS}_{place}")
            x, out = layer(block, x, jax.tree.map(operator.itemgetter(place), xs))
            made.append(out)
        new, stored, kept = jax.tree.map(lambda *parts: jnp.stack(parts), *made)
        return self._left(x), new, stored, kept

    def _left(self, x: dict[str, Array]) -> dict[str, Array]:
        """The tokens as they leave the stack."""
        norms = {
            e.name: Normed(e.norm, eps=e.eps, from_one=e.from_one, name=f"{e.name}_norm_out")
            for e in self.stack.experts
            if e.norm_out and e.name in x
        }
        return x | {name: norm(x[name]) for name, norm in norms.items()}


def empty_cache(stack: Stack, batch: int, dtype: jnp.dtype) -> KeyValue:
    """A cache of no tokens, with which a block is an ordinary block."""
    zero = jnp.zeros((stack.depth, batch, 0, stack.key_heads, stack.head_dim), dtype)
    return KeyValue(zero, zero)
