"""The name table of the LTX-Video 0.9 autoencoder: names of diffusers.

Source: diffusers, autoencoder_kl_ltx.py. In the files of LTX-Video itself, which hold transformer
and autoencoder together, the names are others.
"""

from collections.abc import Iterator
from typing import NamedTuple

from wamjax.codec.ltx_vae import LTXVAE
from wamjax.pretrained.table import Rule, Table

CONVOLUTION = "o i t h w -> t h w i o"
POINTWISE = "o i 1 1 1 -> i o"


class Names(NamedTuple):
    """Of what is in a stage, theirs and ours; `turn` changes the width."""

    block: str
    turn: str
    scaled: str
    ours: str


SIDES = {
    "encoder": Names("down_blocks", "conv_out", "downsamplers.0", "down"),
    "decoder": Names("up_blocks", "conv_in", "upsamplers.0.conv", "up"),
}


def table(codec: LTXVAE) -> Table:
    """The rules of one size."""
    return Table(rules=tuple(_rules(codec)))


def _rules(codec: LTXVAE) -> Iterator[Rule]:
    yield Rule("latents_mean", "mean")
    yield Rule("latents_std", "std")
    stages = range(len(codec.widths))
    for side, order in (("encoder", stages), ("decoder", reversed(stages))):
        for name in ("conv_in", "conv_out"):
            yield from _convolution(f"{side}.{name}", f"{side}/{name}")
        for place in range(codec.resnets[-1]):
            there = f"{side}.mid_block.resnets.{place}"
            yield from _resnet(there, f"{side}/middle_resnet_{place}", shortcut=False)
        for number, stage in enumerate(order):
            yield from _stage(codec, side, number, stage)


def _stage(codec: LTXVAE, side: str, number: int, stage: int) -> Iterator[Rule]:
    """The stage that is called by `number` on this side, and is the encoder's `stage`."""
    names = SIDES[side]
    there, here = f"{side}.{names.block}.{number}", f"{side}/stage_{number}"
    for place in range(codec.resnets[stage]):
        yield from _resnet(f"{there}.resnets.{place}", f"{here}_resnet_{place}", shortcut=False)
    if len({*codec.widths[stage : stage + 2]}) == 2:
        yield from _resnet(f"{there}.{names.turn}", f"{here}_turn", shortcut=True)
    if codec.scaled[stage]:
        yield from _convolution(f"{there}.{names.scaled}", f"{here}_{names.ours}")


def _convolution(theirs: str, ours: str, turn: str = CONVOLUTION) -> Iterator[Rule]:
    yield Rule(f"{theirs}.conv.weight", f"{ours}/kernel", turn)
    yield Rule(f"{theirs}.conv.bias", f"{ours}/bias")


def _resnet(theirs: str, ours: str, *, shortcut: bool) -> Iterator[Rule]:
    for name in ("conv1", "conv2"):
        yield from _convolution(f"{theirs}.{name}", f"{ours}/{name}")
    if shortcut:
        yield Rule(f"{theirs}.norm3.weight", f"{ours}/shortcut_norm/scale")
        yield Rule(f"{theirs}.norm3.bias", f"{ours}/shortcut_norm/bias")
        yield from _convolution(f"{theirs}.conv_shortcut", f"{ours}/shortcut", POINTWISE)
