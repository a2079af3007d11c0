"""LTX-Video's transformer (arXiv 2501.00103), with diffusers' names and with the original ones.

    diffusers   huggingface/diffusers, src/diffusers/models/transformers/transformer_ltx.py
    original    Lightricks/LTX-Video; in its files "model.diffusion_model." stands before every name

Both have the same tensors. A token is one latent. Times are seconds: the rotary canvas has 20 of
them, and 64 rows and columns of latents, which are 2048 pixels.
"""

import dataclasses
import functools
from collections.abc import Mapping

from wamjax.core.typing import PyTree
from wamjax.model.config import Clock, Cross, Expert, Port, Rotary, Stack, WamConfig
from wamjax.pretrained.denoiser import weights_of
from wamjax.pretrained.family import Family
from wamjax.pretrained.modules import (
    FROM_HEADS,
    LINEAR,
    SCALE,
    SIX,
    TO_HEADS,
    Module,
    Part,
    rules,
)
from wamjax.pretrained.table import Table

CANVAS = (20.0, 64.0, 64.0)
AS_IS = (Part("", ""),)

CAPTION, TIME, ORIGINAL_TIME = "caption_projection", "time_embed", "adaln_single"
CLOCK = "emb.timestep_embedder.linear"
# (diffusers' module, the original one, ours, what it holds, which of several in our leaf).
MODULES: tuple[Module, ...] = (
    ("proj_in", "patchify_proj", "embed_video/in/one", LINEAR, None),
    (f"{CAPTION}.linear_1", f"{CAPTION}.linear_1", "embed_text/in/one", LINEAR, None),
    (f"{CAPTION}.linear_2", f"{CAPTION}.linear_2", "embed_text/out", LINEAR, None),
    (f"{TIME}.{CLOCK}_1", f"{ORIGINAL_TIME}.{CLOCK}_1", "level_video/in", LINEAR, None),
    (f"{TIME}.{CLOCK}_2", f"{ORIGINAL_TIME}.{CLOCK}_2", "level_video/out", LINEAR, None),
    (f"{TIME}.linear", f"{ORIGINAL_TIME}.linear", "level_video/shared", SIX, None),
    ("scale_shift_table", "scale_shift_table", "head_video/table", AS_IS, None),
    ("proj_out", "proj_out", "head_video/out/one", LINEAR, None),
)
# The same of each layer.
OF_LAYER: tuple[Module, ...] = (
    ("scale_shift_table", "scale_shift_table", "video_in/modulation/table", AS_IS, None),
    ("attn1.to_q", "attn1.to_q", "video_in/qkv", TO_HEADS, 0),
    ("attn1.to_k", "attn1.to_k", "video_in/qkv", TO_HEADS, 1),
    ("attn1.to_v", "attn1.to_v", "video_in/qkv", TO_HEADS, 2),
    ("attn1.norm_q", "attn1.q_norm", "video_in/query_norm/norm", SCALE, None),
    ("attn1.norm_k", "attn1.k_norm", "video_in/key_norm/norm", SCALE, None),
    ("attn1.to_out.0", "attn1.to_out.0", "video_out/out", FROM_HEADS, None),
    ("attn2.to_q", "attn2.to_q", "video_out/memory_q", TO_HEADS, None),
    ("attn2.to_k", "attn2.to_k", "video_memory/kv", TO_HEADS, 0),
    ("attn2.to_v", "attn2.to_v", "video_memory/kv", TO_HEADS, 1),
    ("attn2.norm_q", "attn2.q_norm", "video_out/memory_query_norm/norm", SCALE, None),
    ("attn2.norm_k", "attn2.k_norm", "video_memory/key_norm/norm", SCALE, None),
    ("attn2.to_out.0", "attn2.to_out.0", "video_out/memory_out", FROM_HEADS, None),
    ("ff.net.0.proj", "ff.net.0.proj", "video_out/mlp/up", LINEAR, None),
    ("ff.net.2", "ff.net.2", "video_out/mlp/down", LINEAR, None),
)
LAYOUTS = ("diffusers", "original")


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of the model: widths of the feed-forward part, of a word, of a latent; layers of heads."""

    heads: int
    head_dim: int
    depth: int
    mlp: int
    text: int
    channels: int

    @property
    def width(self) -> int:
        return self.heads * self.head_dim


SIZES: Mapping[str, Sizes] = {
    "ltx-video-2b": Sizes(heads=32, head_dim=64, depth=28, mlp=8192, text=4096, channels=128),
}


def table(sizes: Sizes, layout: str = "diffusers") -> Table:
    """Their names, in one of `LAYOUTS`, in the tree of our model."""
    place = LAYOUTS.index(layout)
    layers = rules(OF_LAYER, place, "transformer_blocks.{layer}.", "stack_video/layers/")
    return Table(
        rules=(*rules(MODULES, place), *layers),
        counts={"layer": sizes.depth},
        sizes={"h": sizes.heads, "s": 6},
    )


def config(sizes: Sizes, *, scan_layers: bool = True) -> WamConfig:
    """Our model with LTX-Video's settings: streams text and video, both in their own ports."""
    expert = Expert(
        name="video",
        width=sizes.width,
        mlp=sizes.mlp,
        norm="rms",
        modulation="table",
        qk_norm="full",
        qk_eps=1e-5,
        cross=Cross(memory="text", norm=False),
        clock=Clock(features=256, scale=1000.0, fastest=1.0, slowest=1e-4, closed=False),
    )
    stack = Stack(
        name="video",
        depth=sizes.depth,
        heads=sizes.heads,
        head_dim=sizes.head_dim,
        experts=(expert,),
        rotary=Rotary(base=10_000.0, adjacent=True, canvas=CANVAS),
    )
    return WamConfig(
        stacks=(stack,),
        ports=(
            Port(stream="text", into="text", embed="mlp", width=sizes.width, kind=False),
            Port(stream="video", into="video", kind=False, head="table", norm="layer"),
        ),
        scan_layers=scan_layers,
    )


def target(sizes: Sizes) -> PyTree:
    """Shapes of our weights; nothing of full size is made."""
    return weights_of(config(sizes), (("text", sizes.text), ("video", sizes.channels)))


FAMILIES = tuple(
    Family(
        name=name,
        about=f"transformer, {sizes.depth} layers of {sizes.width}",
        licence="ltx",
        layouts={layout: functools.partial(table, sizes, layout) for layout in LAYOUTS},
        target=functools.partial(target, sizes),
    )
    for name, sizes in SIZES.items()
)
