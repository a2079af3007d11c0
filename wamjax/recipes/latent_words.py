"""Latent words of a scene: what the codec of latent actions is taught, and what it says.

    frozen features of camera 0, now and at the chunk's end -> LatentActions -> words

Its two stages are lessons of a recipe's training, before the one in which its words are predicted.
Codes that no example is nearest to are drawn towards slots of the batch (published: put on them).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from wamjax.codec.latent_action import LatentActions, Stage, dynamics_loss
from wamjax.codec.quantise import code_counts, revival_loss
from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Float, Int, Key, Params
from wamjax.recipes.parts import call

REVIVAL = 0.25


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both trees of weights; where both have a weight, that of the first."""
    both = {name: other[name] for name in other if name not in one}
    for name, tree in one.items():
        nested = isinstance(tree, Mapping) and name in other
        both[name] = _joined(tree, other[name]) if nested else tree
    return both


@dataclasses.dataclass(frozen=True)
class LatentWords:
    """The codec in both of its stages, over the same weights."""

    codec: LatentActions

    def _at(self, stage: Stage) -> LatentActions:
        return self.codec.clone(stage=stage)

    def init(self, key: Key, tokens: int, features: int, text: int) -> dict[str, Any]:
        """Fresh weights of both stages, boxed.

        Args:
            tokens, features: of a frame. text: width of the instruction's tokens.
        """
        keys = named_keys(key, "irrelevant", "central")
        frame = jnp.zeros((1, tokens, features))
        told = self._at("irrelevant").init(
            keys["irrelevant"], frame, frame, jnp.zeros((1, 1, text))
        )
        alone = self._at("central").init(keys["central"], frame, frame)
        return _joined(told["params"], alone["params"])

    def loss(
        self,
        params: Params,
        stage: Stage,
        before: Float[Array, "B N F"],
        after: Float[Array, "B N F"],
        text: Float[Array, "B X W"],
        key: Key,
    ) -> Float[Array, ""]:
        """Of one of the stages; the instruction is told where it belongs."""
        codec = self._at(stage)
        given = (before, after, text) if stage == "irrelevant" else (before, after)
        made = call(codec, params, *given)
        slots = call(codec, params, *given, method="slots_between")[stage]
        seen = jax.lax.stop_gradient(slots).reshape(-1, slots.shape[-1])
        counts = code_counts(made.quantised[stage].index, codec.codes)
        revived = revival_loss(params[f"codebook_{stage}"]["codes"], counts, seen, key)
        return dynamics_loss(made, after) + REVIVAL * revived

    def words(
        self, params: Params, before: Float[Array, "B N F"], after: Float[Array, "B N F"]
    ) -> Int[Array, "B n"]:
        """What a policy is to predict: the words of the central set."""
        found = call(self._at("central"), params, before, after, method="encode")
        return found["central"].index
