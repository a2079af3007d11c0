"""Cosmos-Predict2's transformer (arXiv 2501.03575), with diffusers' names and NVIDIA's.

    diffusers   huggingface/diffusers, src/diffusers/models/transformers/transformer_cosmos.py
    original    nvidia-cosmos/cosmos-predict2; in its files "net." stands before every name

Both have the same tensors. What enters are the latents' channels, then a mask of what is given,
then one of padding; their patch is (channel, row, column), ours (row, column, channel). What leaves
is (row, column, channel) in both. Queries and keys are normed with 1e-6 in the original and with
1e-5 in diffusers.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping

from wamjax.core.typing import PyTree
from wamjax.model.config import Clock, Cross, Expert, Port, Rotary, Stack, WamConfig
from wamjax.pretrained.denoiser import weights_of
from wamjax.pretrained.family import Family
from wamjax.pretrained.modules import BACK, HEADS, MATRIX, SCALE, VECTORS, Module, Part, rules
from wamjax.pretrained.table import Table

PATCH = 2
MASKS = 2
"""Channels beside the latents': of what is given, and of padding."""

PATCHES = (Part(".weight", "/kernel", "w (c p q) -> (p q c) w"),)
TWO = (Part(".weight", "/kernel", "(z o) i -> i z o"),)
DOWN = (Part(".weight", "/kernel", "o i -> i o", 1),)

TIME = "time_embed.t_embedder"
# (diffusers' module, the original one, ours, what it holds, which of several in our leaf).
MODULES: tuple[Module, ...] = (
    ("patch_embed.proj", "x_embedder.proj.1", "embed_video/in/one", PATCHES, None),
    (f"{TIME}.linear_1", "t_embedder.1.linear_1", "level_video/in", MATRIX, None),
    (f"{TIME}.linear_2", "t_embedder.1.linear_2", "level_video/shared", VECTORS, None),
    ("time_embed.norm", "t_embedding_norm", "level_video/norm", SCALE, None),
    ("norm_out.linear_1", "final_layer.adaln_modulation.1", "head_video/modulation/down", MATRIX,
     None),
    ("norm_out.linear_2", "final_layer.adaln_modulation.2", "head_video/modulation/up", TWO, None),
    ("proj_out", "final_layer.linear", "head_video/out/one", MATRIX, None),
)  # fmt: skip
# The same of each layer.
OF_LAYER: tuple[Module, ...] = (
    ("attn1.to_q", "self_attn.q_proj", "video_in/qkv", HEADS, 0),
    ("attn1.to_k", "self_attn.k_proj", "video_in/qkv", HEADS, 1),
    ("attn1.to_v", "self_attn.v_proj", "video_in/qkv", HEADS, 2),
    ("attn1.norm_q", "self_attn.q_norm", "video_in/query_norm/norm", SCALE, None),
    ("attn1.norm_k", "self_attn.k_norm", "video_in/key_norm/norm", SCALE, None),
    ("attn1.to_out.0", "self_attn.output_proj", "video_out/out", BACK, None),
    ("attn2.to_q", "cross_attn.q_proj", "video_out/memory_q", HEADS, None),
    ("attn2.to_k", "cross_attn.k_proj", "video_memory/kv", HEADS, 0),
    ("attn2.to_v", "cross_attn.v_proj", "video_memory/kv", HEADS, 1),
    ("attn2.norm_q", "cross_attn.q_norm", "video_out/memory_query_norm/norm", SCALE, None),
    ("attn2.norm_k", "cross_attn.k_norm", "video_memory/key_norm/norm", SCALE, None),
    ("attn2.to_out.0", "cross_attn.output_proj", "video_out/memory_out", BACK, None),
    ("ff.net.0.proj", "mlp.layer1", "video_out/mlp/up", MATRIX, None),
    ("ff.net.2", "mlp.layer2", "video_out/mlp/down", MATRIX, None),
)
# Parts of a layer that are modulated, in diffusers and originally.
MODULATED = (("norm1", "self_attn"), ("norm2", "cross_attn"), ("norm3", "mlp"))
LAYOUTS = ("diffusers", "original")
LAYERS = ("transformer_blocks.{layer}.", "blocks.{layer}.")
NO_WEIGHTS = (r"(.*\.)?_extra_state", r"pos_embedder\..*", r"accum_\w+")
"""Names in original files of counters and of tables that are computed."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of the model: widths of the feed-forward part, of a word, of a latent; layers of heads; rank
    of the modulation."""

    heads: int
    head_dim: int
    depth: int
    mlp: int
    text: int
    channels: int
    rank: int

    @property
    def width(self) -> int:
        return self.heads * self.head_dim


SIZES: Mapping[str, Sizes] = {
    "cosmos-predict2-2b": Sizes(
        heads=16, head_dim=128, depth=28, mlp=8192, text=1024, channels=16, rank=256
    ),
}


def modulations() -> Iterator[Module]:
    """Of a layer: a map down for each part, which stand side by side in ours, and one up."""
    for part, (norm, name) in enumerate(MODULATED):
        names, below = (norm, f"adaln_modulation_{name}"), "video_in/modulation"
        yield f"{names[0]}.linear_1", f"{names[1]}.1", f"{below}/down", DOWN, part
        yield f"{names[0]}.linear_2", f"{names[1]}.2", f"{below}/up_{part}", VECTORS, None


def table(sizes: Sizes, layout: str = "diffusers", *, stack: str = "video") -> Table:
    """Their names, in one of `LAYOUTS`, in the tree of a model with Cosmos' trunk.

    Args:
        stack: in which the trunk stands.
    """
    place = LAYOUTS.index(layout)
    layers = rules((*OF_LAYER, *modulations()), place, LAYERS[place], f"stack_{stack}/layers/")
    return Table(
        rules=(*rules(MODULES, place), *layers),
        counts={"layer": sizes.depth},
        sizes={"h": sizes.heads, "s": 3, "z": 2, "p": PATCH, "q": PATCH},
        ignored=NO_WEIGHTS if layout == "original" else (),
    )


def config(
    sizes: Sizes, *, qk_eps: float = 1e-6, stack: str = "video", scan_layers: bool = True
) -> WamConfig:
    """Our model with Cosmos-Predict2's settings; text enters as it is."""
    expert = Expert(
        name="video",
        width=sizes.width,
        mlp=sizes.mlp,
        activation="exact_gelu",
        modulation="low_rank",
        rank=sizes.rank,
        qk_norm="head",
        qk_eps=qk_eps,
        bias=False,
        cross=Cross(memory="text"),
        clock=Clock(features=sizes.width, fastest=1.0, slowest=1e-4, closed=False),
    )
    trunk = Stack(
        name=stack,
        depth=sizes.depth,
        heads=sizes.heads,
        head_dim=sizes.head_dim,
        experts=(expert,),
        rotary=Rotary(base=10_000.0, stretch=(1.0, 3.0, 3.0)),
    )
    out = PATCH**2 * sizes.channels
    return WamConfig(
        stacks=(trunk,),
        ports=(
            Port(stream="text", into="text", embed="as_is", width=sizes.text, kind=False),
            Port(stream="video", into="video", kind=False, head="low_rank", bias=False, out=out),
        ),
        patch=PATCH,
        scan_layers=scan_layers,
    )


def target(sizes: Sizes, *, stack: str = "video") -> PyTree:
    """Shapes of our weights; nothing of full size is made."""
    entering = PATCH**2 * (sizes.channels + MASKS)
    model = config(sizes, stack=stack)
    return weights_of(model, (("text", sizes.text), ("video", entering)))


SIZE_OF_POLICY = SIZES["cosmos-predict2-2b"]
FAMILIES = (
    *(
        Family(
            name=name,
            about=f"transformer, {sizes.depth} layers of {sizes.width}",
            licence="cosmos",
            layouts={layout: functools.partial(table, sizes, layout) for layout in LAYOUTS},
            target=functools.partial(target, sizes),
        )
        for name, sizes in SIZES.items()
    ),
    # Actions, state and value are painted into latent frames: no weight is new.
    Family(
        name="cosmos-policy",
        about="all weights of the recipe cosmos_policy",
        licence="cosmos-policy",
        layouts={"original": functools.partial(table, SIZE_OF_POLICY, "original", stack="main")},
        target=functools.partial(target, SIZE_OF_POLICY, stack="main"),
        recipe="cosmos_policy",
    ),
)
