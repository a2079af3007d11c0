"""Wan's transformers (arXiv 2503.20314), with diffusers' names and with the original ones.

    diffusers   huggingface/diffusers, src/diffusers/models/transformers/transformer_wan.py
    original    Wan-Video/Wan2.1, wan/modules/model.py

Both have the same tensors. The affine norm before cross-attention is `norm2` in diffusers and
`norm3` originally. A patch of their convolution is (channel, row, column), ours (row, column,
channel).
"""

import dataclasses
import functools
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from wamjax.core.typing import PyTree
from wamjax.model.config import Clock, Cross, Expert, Port, Rotary, Stack, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment, Stream
from wamjax.model.wam import Tokens, Wam
from wamjax.pretrained.family import Family
from wamjax.pretrained.table import Rule, Table

PATCH = 2

Held = tuple[tuple[str, str, str], ...]
Module = tuple[str, str, str, Held, int | None]
# What a module of theirs holds: (their end of the name, our end of the path, turn).
LINEAR = ((".weight", "/kernel", "o i -> i o"), (".bias", "/bias", ""))
TO_HEADS = ((".weight", "/kernel", "(h d) w -> w h d"), (".bias", "/bias", "(h d) -> h d"))
FROM_HEADS = ((".weight", "/kernel", "w (h d) -> h d w"), (".bias", "/bias", ""))
SIX = ((".weight", "/kernel", "(s o) i -> i s o"), (".bias", "/bias", "(s o) -> s o"))
PATCHES = ((".weight", "/kernel", "w c 1 p q -> (p q c) w"), (".bias", "/bias", ""))
SCALE = ((".weight", "/scale", ""),)
AFFINE = ((".weight", "/scale", ""), (".bias", "/bias", ""))
ROWS = (("", "", "1 n w -> n w"),)

TEXT, TIME = "condition_embedder.text_embedder", "condition_embedder.time_embedder"
# (diffusers' module, the original one, ours, what it holds, which of several in our leaf).
MODULES: tuple[Module, ...] = (
    ("patch_embedding", "patch_embedding", "embed_video/in/one", PATCHES, None),
    (f"{TEXT}.linear_1", "text_embedding.0", "embed_text/in/one", LINEAR, None),
    (f"{TEXT}.linear_2", "text_embedding.2", "embed_text/out", LINEAR, None),
    (f"{TIME}.linear_1", "time_embedding.0", "level_video/in", LINEAR, None),
    (f"{TIME}.linear_2", "time_embedding.2", "level_video/out", LINEAR, None),
    ("condition_embedder.time_proj", "time_projection.1", "level_video/shared", SIX, None),
    ("scale_shift_table", "head.modulation", "head_video/table", ROWS, None),
    ("proj_out", "head.head", "head_video/out/one", LINEAR, None),
)
# The same of each layer, below "blocks.N." and "stack_video/layers/".
OF_LAYER: tuple[Module, ...] = (
    ("scale_shift_table", "modulation", "video_in/modulation/table", ROWS, None),
    ("attn1.to_q", "self_attn.q", "video_in/qkv", TO_HEADS, 0),
    ("attn1.to_k", "self_attn.k", "video_in/qkv", TO_HEADS, 1),
    ("attn1.to_v", "self_attn.v", "video_in/qkv", TO_HEADS, 2),
    ("attn1.norm_q", "self_attn.norm_q", "video_in/query_norm/norm", SCALE, None),
    ("attn1.norm_k", "self_attn.norm_k", "video_in/key_norm/norm", SCALE, None),
    ("attn1.to_out.0", "self_attn.o", "video_out/out", FROM_HEADS, None),
    ("norm2", "norm3", "video_out/memory_norm", AFFINE, None),
    ("attn2.to_q", "cross_attn.q", "video_out/memory_q", TO_HEADS, None),
    ("attn2.to_k", "cross_attn.k", "video_memory/kv", TO_HEADS, 0),
    ("attn2.to_v", "cross_attn.v", "video_memory/kv", TO_HEADS, 1),
    ("attn2.norm_q", "cross_attn.norm_q", "video_out/memory_query_norm/norm", SCALE, None),
    ("attn2.norm_k", "cross_attn.norm_k", "video_memory/key_norm/norm", SCALE, None),
    ("attn2.to_out.0", "cross_attn.o", "video_out/memory_out", FROM_HEADS, None),
    ("ffn.net.0.proj", "ffn.0", "video_out/mlp/up", LINEAR, None),
    ("ffn.net.2", "ffn.2", "video_out/mlp/down", LINEAR, None),
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
    "wan2.2-ti2v-5b": Sizes(heads=24, head_dim=128, depth=30, mlp=14336, text=4096, channels=48),
    "wan2.1-t2v-1.3b": Sizes(heads=12, head_dim=128, depth=30, mlp=8960, text=4096, channels=16),
    "wan2.1-t2v-14b": Sizes(heads=40, head_dim=128, depth=40, mlp=13824, text=4096, channels=16),
}


def table(sizes: Sizes, layout: str = "diffusers") -> Table:
    """Their names, in one of `LAYOUTS`, in the tree of `network`."""
    place = LAYOUTS.index(layout)
    above = ((("", ""), module) for module in MODULES)
    layers = ((("blocks.{layer}.", "stack_video/layers/"), module) for module in OF_LAYER)
    rules = []
    for (before, below), (*names, ours, held, slot) in (*above, *layers):
        for end, leaf, turn in held:
            # The axis of several stands before that of a head: [width, heads, several, head].
            at = None if slot is None else (2 if end == ".weight" else 1, slot)
            rules.append(Rule(f"{before}{names[place]}{end}", f"{below}{ours}{leaf}", turn, at))
    return Table(
        rules=tuple(rules),
        counts={"layer": sizes.depth},
        sizes={"h": sizes.heads, "s": 6, "p": PATCH, "q": PATCH},
    )


def config(sizes: Sizes, *, scan_layers: bool = True) -> WamConfig:
    """Our model with Wan's settings: streams text and video, both in their own ports."""
    expert = Expert(
        name="video",
        width=sizes.width,
        mlp=sizes.mlp,
        modulation="table",
        qk_norm="full",
        cross=Cross(memory="text"),
        clock=Clock(features=256, scale=1000.0, fastest=1.0, slowest=1e-4, closed=False),
    )
    return WamConfig(
        stacks=(
            Stack(
                name="video",
                depth=sizes.depth,
                heads=sizes.heads,
                head_dim=sizes.head_dim,
                experts=(expert,),
                rotary=Rotary(base=10_000.0, adjacent=True),
            ),
        ),
        ports=(
            Port(stream="text", into="text", embed="mlp", width=sizes.width, kind=False),
            Port(stream="video", into="video", kind=False, head="table"),
        ),
        patch=PATCH,
        scan_layers=scan_layers,
    )


def target(sizes: Sizes) -> PyTree:
    """Shapes of our weights; nothing of full size is made."""
    segments = (Segment(stream="text", frames=1), Segment(stream="video", copy="noisy"))
    layout = Layout(
        segments,
        (("video/noisy", "video/noisy", "all"), ("video/noisy", "text/clean", "all")),
    )
    features: tuple[tuple[Stream, int], ...] = (
        ("text", sizes.text),
        ("video", PATCH**2 * sizes.channels),
    )
    model = Wam(config(sizes), layout, features)
    tokens = Tokens(
        tuple(jnp.zeros((1, 1, width)) for _, width in features), jnp.ones((1, 2), bool)
    )
    level = {"video": jnp.zeros((1, 1))}
    init = functools.partial(model.init, method="denoise")
    made = jax.eval_shape(
        lambda key: nn.unbox(init(key, model.layout, tokens, level)), jax.random.key(0)
    )
    return made["params"]


FAMILIES = tuple(
    Family(
        name=name,
        about=f"transformer, {sizes.depth} layers of {sizes.width}",
        licence="wan",
        layouts={layout: functools.partial(table, sizes, layout) for layout in LAYOUTS},
        target=functools.partial(target, sizes),
    )
    for name, sizes in SIZES.items()
)
