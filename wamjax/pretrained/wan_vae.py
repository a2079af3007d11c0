"""Name tables of the Wan autoencoders: names of diffusers, and of the original .pth files.

         ours                       diffusers                original
         encoder/stage_1_resnet_0   encoder.                 encoder.
    2.1                               down_blocks.3            downsamples.3
    2.2                               down_blocks.1.resnets.0  downsamples.1.downsamples.0
                        .../conv1     .conv1                   .residual.2

In 2.1 the places of all stages are counted through, but in the decoder of diffusers.
Sources: diffusers, scripts/convert_wan_to_diffusers.py; Wan-Video/Wan2.1 and Wan2.2, wan/modules.
"""

import itertools
from collections.abc import Iterator
from typing import Literal, NamedTuple

from wamjax.codec.wan_vae import WanVAE
from wamjax.pretrained.table import Rule, Table

Layout = Literal["diffusers", "original"]


class Places(NamedTuple):
    """Where stages lie: `flat` counts the places of all stages, `place` those of one."""

    encoder: str
    down: str
    decoder: str
    up: str


# (layout, residual paths as in 2.2)
PLACES: dict[tuple[Layout, bool], Places] = {
    ("diffusers", False): Places(
        "encoder.down_blocks.{flat}",
        "encoder.down_blocks.{flat}",
        "decoder.up_blocks.{stage}.resnets.{place}",
        "decoder.up_blocks.{stage}.upsamplers.0",
    ),
    ("diffusers", True): Places(
        "encoder.down_blocks.{stage}.resnets.{place}",
        "encoder.down_blocks.{stage}.downsampler",
        "decoder.up_blocks.{stage}.resnets.{place}",
        "decoder.up_blocks.{stage}.upsampler",
    ),
    ("original", False): Places(
        "encoder.downsamples.{flat}",
        "encoder.downsamples.{flat}",
        "decoder.upsamples.{flat}",
        "decoder.upsamples.{flat}",
    ),
    ("original", True): Places(
        "encoder.downsamples.{stage}.downsamples.{place}",
        "encoder.downsamples.{stage}.downsamples.{place}",
        "decoder.upsamples.{stage}.upsamples.{place}",
        "decoder.upsamples.{stage}.upsamples.{place}",
    ),
}

# Ours -> theirs.
NAMES: dict[Layout, dict[str, str]] = {
    "diffusers": {
        "conv_in": "conv_in",
        "middle/resnet_0": "mid_block.resnets.0",
        "middle/attention": "mid_block.attentions.0",
        "middle/resnet_1": "mid_block.resnets.1",
        "norm_out": "norm_out",
        "conv_out": "conv_out",
        "to_moments": "quant_conv",
        "from_latents": "post_quant_conv",
        "norm1": "norm1",
        "conv1": "conv1",
        "norm2": "norm2",
        "conv2": "conv2",
        "shortcut": "conv_shortcut",
    },
    "original": {
        "conv_in": "conv1",
        "middle/resnet_0": "middle.0",
        "middle/attention": "middle.1",
        "middle/resnet_1": "middle.2",
        "norm_out": "head.0",
        "conv_out": "head.2",
        "to_moments": "conv1",
        "from_latents": "conv2",
        "norm1": "residual.0",
        "conv1": "residual.2",
        "norm2": "residual.3",
        "conv2": "residual.6",
        "shortcut": "shortcut",
    },
}

# Layer -> (theirs, ours, turn) of each weight.
CONVOLUTION = ((".weight", "/kernel", "o i t h w -> t h w i o"), (".bias", "/bias", ""))
POINTWISE = ((".weight", "/kernel", "o i 1 1 1 -> i o"), (".bias", "/bias", ""))
NORM = ((".gamma", "/scale", "c 1 1 1 -> c"),)
ATTENTION = (
    (".norm.gamma", "/norm/scale", "c 1 1 -> c"),
    (".to_qkv.weight", "/qkv/kernel", "o i 1 1 -> i o"),
    (".to_qkv.bias", "/qkv/bias", ""),
    (".proj.weight", "/out/kernel", "o i 1 1 -> i o"),
    (".proj.bias", "/out/bias", ""),
)
RESAMPLING = (
    (".resample.1.weight", "/kernel", "o i h w -> h w i o"),
    (".resample.1.bias", "/bias", ""),
)
IN_TIME = (
    (".time_conv.weight", "/time_kernel", "o i t h w -> t h w i o"),
    (".time_conv.bias", "/time_bias", ""),
)
Layer = tuple[tuple[str, str, str], ...]


def table(codec: WanVAE, layout: Layout) -> Table:
    """The rules of one size; our paths are those of the codec's weights."""
    return Table(rules=tuple(_Rules(codec, layout).all()))


class _Rules:
    def __init__(self, codec: WanVAE, layout: Layout) -> None:
        self.codec = codec
        self.names = NAMES[layout]
        self.places = PLACES[layout, codec.residual]

    def all(self) -> Iterator[Rule]:
        for name in ("to_moments", "from_latents"):
            yield from _layer(POINTWISE, self.names[name], name)
        for side in ("encoder", "decoder"):
            yield from self.side(side)
        codec = self.codec
        widths = [codec.base * m for m in (1, *codec.multipliers)]
        yield from self.stages("encoder", widths, codec.temporal, codec.resnets)
        widths = [
            codec.decoder_base * m for m in reversed((*codec.multipliers, codec.multipliers[-1]))
        ]
        yield from self.stages("decoder", widths, codec.temporal[::-1], codec.resnets + 1)

    def side(self, side: str) -> Iterator[Rule]:
        """What stands around the stages."""
        for name, layer in (
            ("conv_in", CONVOLUTION),
            ("middle/attention", ATTENTION),
            ("norm_out", NORM),
            ("conv_out", CONVOLUTION),
        ):
            yield from _layer(layer, f"{side}.{self.names[name]}", f"{side}/{name}")
        for name in ("middle/resnet_0", "middle/resnet_1"):
            yield from self.resnet(f"{side}.{self.names[name]}", f"{side}/{name}", False)

    def stages(
        self, side: str, widths: list[int], temporal: tuple[bool, ...], resnets: int
    ) -> Iterator[Rule]:
        """`widths`: before the first stage, and behind each."""
        up = side == "decoder"
        place, resample = self.places[2:] if up else self.places[:2]
        for stage, (width, out) in enumerate(itertools.pairwise(widths)):
            if up and stage and not self.codec.residual:
                width //= 2  # what is doubled loses half its channels
            at = {"stage": stage}
            for number in range(resnets):
                where = place.format(**at, place=number, flat=stage * (resnets + 1) + number)
                shortcut = number == 0 and width != out
                yield from self.resnet(where, f"{side}/stage_{stage}_resnet_{number}", shortcut)
            if stage == len(temporal):
                continue
            where = resample.format(**at, place=resnets, flat=stage * (resnets + 1) + resnets)
            layer = (*RESAMPLING, *(IN_TIME if temporal[stage] else ()))
            yield from _layer(layer, where, f"{side}/stage_{stage}_{'up' if up else 'down'}")

    def resnet(self, theirs: str, ours: str, shortcut: bool) -> Iterator[Rule]:
        layers = {"norm1": NORM, "conv1": CONVOLUTION, "norm2": NORM, "conv2": CONVOLUTION}
        for name, layer in (*layers.items(), *([("shortcut", POINTWISE)] if shortcut else [])):
            yield from _layer(layer, f"{theirs}.{self.names[name]}", f"{ours}/{name}")


def _layer(layer: Layer, theirs: str, ours: str) -> Iterator[Rule]:
    for their_end, our_end, turn in layer:
        yield Rule(theirs + their_end, ours + our_end, turn)
