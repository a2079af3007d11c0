"""What happened between two frames, as a few discrete words, learned without actions.

    o, o'     features of a frame and of a later one (a frozen image encoder's)
    slots   = encoder(o, o')            inverse dynamics: read off beside the later frame
    words   = vector quantiser(slots)   n of them, C codes
    o'_     = decoder(o, words)         forward dynamics: the words are all that it knows of o'
    loss    = |o'_ - o'|^2 + codebook and commitment terms

Two stages (UniVLA, arXiv 2505.06111), with the same weights going on:

    stage        sets of slots                 both sides are also told
    irrelevant   irrelevant                    the instruction's tokens
    central      irrelevant (codes frozen),    nothing
                 central

In the first the words need not say what the instruction says, and keep the rest; in the second new
words take over what is left, and these are the ones that a policy predicts.
"""

from typing import Literal

import flax.linen as nn
import flax.struct
import jax.numpy as jnp

from wamjax.codec.parameters import kernel
from wamjax.codec.quantise import Quantised, VectorQuantiser
from wamjax.codec.space_time import Map, blocks
from wamjax.core.typing import Array, Float, Int, typed

Stage = Literal["irrelevant", "central"]
SETS: dict[Stage, tuple[Stage, ...]] = {
    "irrelevant": ("irrelevant",),
    "central": ("irrelevant", "central"),
}
"""The sets of slots of each stage."""


@flax.struct.dataclass
class Dynamics:
    """What the codec makes of two frames.

    Attributes:
        predicted: float [B, N, F], the later frame's features.
        quantised: set -> its slots, values [B, n, code width] and words [B, n].
    """

    predicted: Array
    quantised: dict[str, Quantised]


class _Encoder(nn.Module):
    """Two frames -> the slots beside the later one, [B, slots, code width]."""

    sets: tuple[Stage, ...]
    width: int
    heads: int
    depth: int
    slots: int
    code_width: int

    @nn.compact
    def __call__(self, before: Array, after: Array, text: Array | None) -> dict[str, Array]:
        d, size = self.width, before.shape[:2]
        x = Map(d, (None, "embed"), name="embed")(jnp.stack([before, after], axis=1))
        x = x + self.param("place", *kernel((size[1], d), (None, "embed"), fan_in=d))
        extra = [
            jnp.broadcast_to(
                self.param(f"{name}_slots", *kernel((self.slots, d), (None, "embed"), fan_in=d)),
                (size[0], 2, self.slots, d),
            )
            for name in self.sets
        ]
        if text is not None:
            told = Map(d, ("text", "embed"), name="embed_text")(text)
            extra.append(jnp.repeat(told[:, None], 2, axis=1))
        x = jnp.concatenate([*extra[: len(self.sets)], x, *extra[len(self.sets) :]], axis=2)
        x = x + self.param("frame", *kernel((2, 1, d), (None, None, "embed"), fan_in=d))
        x, _ = blocks(d, self.heads, self.depth, time=True, name="layers")(x, None)
        return {
            name: Map(self.code_width, ("embed", None), name=f"{name}_out")(
                x[:, 1, place * self.slots : (place + 1) * self.slots]
            )
            for place, name in enumerate(self.sets)
        }


class _Decoder(nn.Module):
    """A frame and the words -> the later frame's features."""

    width: int
    heads: int
    depth: int

    @nn.compact
    def __call__(self, before: Array, codes: dict[str, Array], text: Array | None) -> Array:
        d, places = self.width, before.shape[1]
        x = Map(d, (None, "embed"), name="embed")(before)
        x = x + self.param("place", *kernel((places, d), (None, "embed"), fan_in=d))
        parts = [x]
        for name, code in codes.items():
            slot = self.param(f"{name}_place", *kernel((code.shape[1], d), (None, "embed")))
            parts.append(Map(d, (None, "embed"), name=f"{name}_in")(code) + slot)
        if text is not None:
            parts.append(Map(d, ("text", "embed"), name="embed_text")(text))
        x = jnp.concatenate(parts, axis=1)[:, None]
        x, _ = blocks(d, self.heads, self.depth, time=False, name="layers")(x, None)
        return Map(before.shape[-1], ("embed", None), name="out")(x[:, 0, :places])


class LatentActions(nn.Module):
    """The codec.

    Attributes:
        stage: see the table above.
        width: D of the tokens inside. heads, depth: of encoder and decoder.
        slots: n of a set. codes: C of a set. code_width: of a code.
        commitment: weight of the commitment term.
    """

    stage: Stage
    width: int
    heads: int
    depth: int
    slots: int = 4
    codes: int = 16
    code_width: int = 128
    commitment: float = 0.25

    def setup(self) -> None:
        sets, inside = SETS[self.stage], (self.width, self.heads, self.depth)
        self.encoder = _Encoder(sets, *inside, self.slots, self.code_width)
        self.decoder = _Decoder(*inside)
        self.codebook = {
            name: VectorQuantiser(
                self.codes, self.code_width, self.commitment, frozen=name != self.stage
            )
            for name in sets
        }

    @typed
    def __call__(
        self,
        before: Float[Array, "B N F"],
        after: Float[Array, "B N F"],
        text: Float[Array, "B X W"] | None = None,
    ) -> Dynamics:
        """Encode, quantise, decode.

        Args:
            before, after: features of both frames, of the same places.
            text: tokens of the instruction, in the stage "irrelevant" alone.

        Raises:
            ValueError: text where the stage has none, or none where it has.
        """
        quantised = self.encode(before, after, text)
        codes = {name: found.value for name, found in quantised.items()}
        return Dynamics(self.decoder(before, codes, text), quantised)

    def encode(
        self,
        before: Float[Array, "B N F"],
        after: Float[Array, "B N F"],
        text: Float[Array, "B X W"] | None = None,
    ) -> dict[str, Quantised]:
        """The words of each set; those of the stage's own set are what a policy predicts."""
        slots = self.slots_between(before, after, text)
        return {name: self.codebook[name](slots[name]) for name in slots}

    def slots_between(
        self,
        before: Float[Array, "B N F"],
        after: Float[Array, "B N F"],
        text: Float[Array, "B X W"] | None = None,
    ) -> dict[str, Float[Array, "B n D"]]:
        """The slots of each set before they are quantised, from which dead codes restart."""
        if (text is not None) != (self.stage == "irrelevant"):
            told = "needs" if self.stage == "irrelevant" else "is not told"
            raise ValueError(f"the stage {self.stage!r} {told} the instruction")
        return self.encoder(before, after, text)

    def decode(
        self,
        before: Float[Array, "B N F"],
        words: dict[str, Int[Array, "B n"]],
        text: Float[Array, "B X W"] | None = None,
    ) -> Float[Array, "B N F"]:
        """The later frame's features, out of the words of every set."""
        codes = {name: self.codebook[name].lookup(words[name]) for name in SETS[self.stage]}
        return self.decoder(before, codes, text)


@typed
def dynamics_loss(made: Dynamics, after: Float[Array, "B N F"]) -> Float[Array, ""]:
    """Mean squared error of the features, and the quantisers' terms."""
    error = jnp.square(made.predicted - after).mean()
    return sum((found.loss for found in made.quantised.values()), error)
