"""Motus's published policies (arXiv 2512.13030), with their own names.

Source: thu-ml/Motus, models/{motus,wan_model,action_expert,und_expert}.py (0473ccb, ae861b0,
88f6fe3, 76ff036). Three experts in one attention: Wan 2.2 TI2V's own under Wan's original names,
one for state, actions and registers, and one for the states of Qwen3-VL. A file of theirs
(DeepSpeed's, everything below "module.") holds each expert again under other names, the frozen
Qwen3-VL and the fixed places, which are not read. This is the tree of the recipe motus in the form
release.
"""

import dataclasses
import functools
from collections.abc import Iterator

from wamjax.core.typing import PyTree
from wamjax.model.config import Expert, Port, WamConfig
from wamjax.model.segments import Stream
from wamjax.pretrained import wan
from wamjax.pretrained.denoiser import weights_of
from wamjax.pretrained.family import Family
from wamjax.pretrained.modules import BACK, LINEAR, SCALE, SIX, Module, Part, rules
from wamjax.pretrained.table import Rule, Table

ORIGINAL = wan.LAYOUTS.index("original")
VIDEO, ACTION, MIND = "video_model.wan_model.", "action_expert.", "und_expert."
# The same modules again, below those that run them; Qwen3-VL, which has a family of its own; places
# that follow from their number; what continued training in chunks adds, zeros before it.
NOT_READ = (
    r"(video|und|action)_module\..*",
    r"vlm_model\..*",
    r"action_expert\.input_encoder\.pos_embedding",
    r"pipeline_(chunk|stage)_embedding\.weight",
)

# Queries, keys and values, [3, heads, width, head].
TOGETHER = (Part("", "/kernel", "k h w d -> w h k d"),)


def _three(theirs: str, ours: str) -> tuple[Module, ...]:
    """Linear maps with SiLU between them."""
    places = ((0, "in/one"), (2, "mix"), (4, "out"))
    return tuple(
        (f"{theirs}.{at}", f"{theirs}.{at}", f"{ours}/{end}", LINEAR, None) for at, end in places
    )


def _of_layer(expert: str, ours: str) -> tuple[Module, ...]:
    """What a layer of a small expert holds, below "blocks.N."."""
    rows = (
        (f"wan_{expert}_qkv", f"{ours}_in/qkv", TOGETHER),
        (f"wan_{expert}_norm_q", f"{ours}_in/query_norm/norm", SCALE),
        (f"wan_{expert}_norm_k", f"{ours}_in/key_norm/norm", SCALE),
        (f"wan_{expert}_o", f"{ours}_out/out", BACK),
        ("ffn.0", f"{ours}_out/mlp/up", LINEAR),
        ("ffn.2", f"{ours}_out/mlp/down", LINEAR),
    )
    return tuple((name, name, path, held, None) for name, path, held in rows)


OF_ACTION: tuple[Module, ...] = (
    *_three("input_encoder.state_encoder", "embed_proprio"),
    *_three("input_encoder.action_encoder", "embed_action"),
    ("registers", "registers", "embed_register/table", (Part("", "", "1 r w -> r w"),), None),
    ("time_embedding.0", "time_embedding.0", "level_action/in", LINEAR, None),
    ("time_embedding.2", "time_embedding.2", "level_action/out", LINEAR, None),
    ("time_projection.1", "time_projection.1", "level_action/shared", SIX, None),
    ("decoder.modulation", "decoder.modulation", "head_action/table", wan.ROWS, None),
    ("decoder.action_head.0", "decoder.action_head.0", "head_action/out/one", LINEAR, None),
)
OF_ACTION_LAYER: tuple[Module, ...] = (
    ("modulation", "modulation", "action_in/modulation/table", wan.ROWS, None),
    *_of_layer("action", "action"),
)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of the video expert; (width, feed-forward width) of the action and the understanding expert;
    width of what Qwen3-VL tells; widths of an action and of a state; registers."""

    video: wan.Sizes
    acting: tuple[int, int] = (1024, 4096)
    mind: tuple[int, int] = (512, 2048)
    told: int = 2048
    action: int = 14
    proprio: int = 14
    registers: int = 4


ROBOTWIN = Sizes(wan.SIZES["wan2.2-ti2v-5b"])


def table(sizes: Sizes) -> Table:
    """Their names in the tree of `config`'s model."""
    layers = "stack_main/layers/"

    def named() -> Iterator[Rule]:
        yield from rules(wan.MODULES, ORIGINAL, VIDEO)
        yield from rules(wan.OF_LAYER, ORIGINAL, f"{VIDEO}blocks.{{layer}}.", layers)
        yield from rules(OF_ACTION, ORIGINAL, ACTION)
        yield from rules(OF_ACTION_LAYER, ORIGINAL, f"{ACTION}blocks.{{layer}}.", layers)
        yield from rules(_three("vlm_adapter", "embed_feature"), ORIGINAL, MIND)
        mind = _of_layer("und", "understanding")
        yield from rules(mind, ORIGINAL, f"{MIND}blocks.{{layer}}.", layers)

    return dataclasses.replace(wan.table_of(sizes.video, named()), ignored=NOT_READ)


def config(sizes: Sizes) -> WamConfig:
    """Wan's model, and both small experts in its attention."""
    base = wan.config(sizes.video)
    (stack,), (text, video) = base.stacks, base.ports
    (trunk,) = stack.experts
    width, mlp = sizes.acting
    acting = dataclasses.replace(
        trunk, name="action", width=width, mlp=mlp, cross=None, attention_bias=False
    )
    width, mlp = sizes.mind
    mind = Expert(
        name="understanding",
        width=width,
        mlp=mlp,
        norm_weights=False,
        eps=1e-5,
        modulation="none",
        qk_norm="full",
        qk_eps=1e-5,
        attention_bias=False,
    )
    port = functools.partial(Port, into="action", kind=False, positions="none", fixed_place=True)
    return dataclasses.replace(
        base,
        stacks=(dataclasses.replace(stack, name="main", experts=(trunk, acting, mind)),),
        ports=(
            text,
            dataclasses.replace(video, level_of="video"),
            port(stream="proprio", embed="silu_mlp", level_of="action"),
            port(stream="register", embed="words", level_of="action"),
            port(stream="action", embed="silu_mlp", head="table"),
            Port(
                stream="feature",
                into="understanding",
                embed="silu_mlp",
                kind=False,
                positions="none",
            ),
        ),
    )


def target(sizes: Sizes) -> PyTree:
    """Shapes of our weights; nothing of full size is made."""
    features: dict[Stream, int] = {
        "text": sizes.video.text,
        "video": wan.PATCH**2 * sizes.video.channels,
        "proprio": sizes.proprio,
        "register": sizes.registers,
        "action": sizes.action,
        "feature": sizes.told,
    }
    return weights_of(config(sizes), tuple(features.items()), ("video", "action"))


FAMILIES = (
    Family(
        name="motus",
        about="all weights of the recipe motus, form release",
        licence="motus",
        layouts={"original": functools.partial(table, ROBOTWIN)},
        target=functools.partial(target, ROBOTWIN),
        recipe="motus",
        form="release",
    ),
)
