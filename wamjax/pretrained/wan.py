"""Wan's transformers (arXiv 2503.20314), with diffusers' names and with the original ones.

    diffusers   huggingface/diffusers, src/diffusers/models/transformers/transformer_wan.py
    original    Wan-Video/Wan2.1, wan/modules/model.py

Both have the same tensors. The affine norm before cross-attention is `norm2` in diffusers and
`norm3` originally. A patch of their convolution is (channel, row, column), ours (row, column,
channel).
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping

from wamjax.core.typing import PyTree
from wamjax.model.config import Clock, Cross, Expert, Port, Rotary, Stack, WamConfig
from wamjax.model.segments import Stream
from wamjax.pretrained.denoiser import weights_of
from wamjax.pretrained.family import Family
from wamjax.pretrained.modules import (
    AFFINE,
    BIAS,
    FROM_HEADS,
    LINEAR,
    SCALE,
    SIX,
    TO_HEADS,
    Module,
    Part,
    rules,
)
from wamjax.pretrained.table import Rule, Table

PATCH = 2

PATCHES = (Part(".weight", "/kernel", "w c 1 p q -> (p q c) w"), BIAS)
ROWS = (Part("", "", "1 n w -> n w"),)

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
IMAGE = "condition_embedder.image_embedder"
# Of the image branch.
OF_IMAGE: tuple[Module, ...] = (
    (f"{IMAGE}.norm1", "img_emb.proj.0", "embed_image/norm", AFFINE, None),
    (f"{IMAGE}.ff.net.0.proj", "img_emb.proj.1", "embed_image/in/one", LINEAR, None),
    (f"{IMAGE}.ff.net.2", "img_emb.proj.3", "embed_image/out", LINEAR, None),
    (f"{IMAGE}.norm2", "img_emb.proj.4", "embed_image/norm_out", AFFINE, None),
)
SEEN = "video_image_memory"
OF_IMAGE_LAYER: tuple[Module, ...] = (
    ("attn2.add_k_proj", "cross_attn.k_img", f"{SEEN}/kv", TO_HEADS, 0),
    ("attn2.add_v_proj", "cross_attn.v_img", f"{SEEN}/kv", TO_HEADS, 1),
    ("attn2.norm_added_k", "cross_attn.norm_k_img", f"{SEEN}/key_norm/norm", SCALE, None),
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
LAYERS = ("blocks.{layer}.", "stack_video/layers/")


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of the model: widths of the feed-forward part, of a word, of a latent; layers of heads.

    Attributes:
        image: width of CLIP's features of a picture that is told; 0 for no such branch.
        beside: channels of a mask and of a picture's latents that come in behind the noisy ones.
    """

    heads: int
    head_dim: int
    depth: int
    mlp: int
    text: int
    channels: int
    image: int = 0
    beside: int = 0

    @property
    def width(self) -> int:
        return self.heads * self.head_dim


SIZES: Mapping[str, Sizes] = {
    "wan2.2-ti2v-5b": Sizes(heads=24, head_dim=128, depth=30, mlp=14336, text=4096, channels=48),
    "wan2.1-t2v-1.3b": Sizes(heads=12, head_dim=128, depth=30, mlp=8960, text=4096, channels=16),
    "wan2.1-t2v-14b": Sizes(heads=40, head_dim=128, depth=40, mlp=13824, text=4096, channels=16),
    "wan2.1-i2v-14b": Sizes(
        heads=40, head_dim=128, depth=40, mlp=13824, text=4096, channels=16, image=1280, beside=20
    ),
}


def table(sizes: Sizes, layout: str = "diffusers") -> Table:
    """Their names, in one of `LAYOUTS`, in the tree of `config`'s model."""
    place = LAYOUTS.index(layout)
    above = (*MODULES, *OF_IMAGE) if sizes.image else MODULES
    each = (*OF_LAYER, *OF_IMAGE_LAYER) if sizes.image else OF_LAYER
    return table_of(sizes, rules(above, place), rules(each, place, *LAYERS))


def table_of(sizes: Sizes, *named: Iterable[Rule]) -> Table:
    """The table of rules for weights of these sizes."""
    return Table(
        rules=tuple(itertools.chain(*named)),
        counts={"layer": sizes.depth},
        sizes={"h": sizes.heads, "s": 6, "p": PATCH, "q": PATCH},
    )


def config(sizes: Sizes, *, scan_layers: bool = True) -> WamConfig:
    """Our model with Wan's settings: streams text and video, both in their own ports.

    Where it is told a picture, that is the stream image: CLIP's features, behind its norms.
    """
    expert = Expert(
        name="video",
        width=sizes.width,
        mlp=sizes.mlp,
        modulation="table",
        qk_norm="full",
        cross=Cross(memory="text", beside="image" if sizes.image else ""),
        clock=Clock(features=256, scale=1000.0, fastest=1.0, slowest=1e-4, closed=False),
    )
    out = PATCH**2 * sizes.channels if sizes.beside else 0
    picture = Port(stream="image", into="image", embed="normed_mlp", width=sizes.width, kind=False)
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
            *((picture,) if sizes.image else ()),
            Port(stream="video", into="video", kind=False, head="table", out=out),
        ),
        patch=PATCH,
        scan_layers=scan_layers,
    )


def target(sizes: Sizes) -> PyTree:
    """Shapes of our weights; nothing of full size is made."""
    features: dict[Stream, int] = {"text": sizes.text}
    if sizes.image:
        features["image"] = sizes.image
    features["video"] = PATCH**2 * (sizes.channels + sizes.beside)
    return weights_of(config(sizes), tuple(features.items()))


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
