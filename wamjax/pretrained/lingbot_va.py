"""LingBot-VA's released transformer (arXiv 2601.21998), with its own names.

Source: Robbyant/lingbot-va, wan_va/modules/model.py. Wan 2.2 TI2V's trunk under diffusers' names,
but for the edges: patches enter by a linear map, (channel, row, column) one behind the other;
actions have a map in, a map out and a clock of their own. The text part of that clock's copy is
never used. This is the tree of the recipe lingbot_va in the form release.
"""

import dataclasses
import functools

from wamjax.core.typing import PyTree
from wamjax.model.config import Port, WamConfig
from wamjax.model.segments import Stream
from wamjax.pretrained import wan
from wamjax.pretrained.denoiser import weights_of
from wamjax.pretrained.family import Family
from wamjax.pretrained.modules import BIAS, LINEAR, SIX, Module, Part, rules
from wamjax.pretrained.table import Table

SIZES = wan.SIZES["wan2.2-ti2v-5b"]
ACTIONS = 30
TABLE = "out"
UNUSED = (r"condition_embedder_action\.text_embedder\..*",)

FLAT = (Part(".weight", "/kernel", "w (c p q) -> (p q c) w"), BIAS)
CLOCK = "condition_embedder_action"
OWN: tuple[Module, ...] = tuple(
    (name, name, path, held, None)
    for name, path, held in (
        ("patch_embedding_mlp", "embed_video/in/one", FLAT),
        ("action_embedder", "embed_action/in/one", LINEAR),
        ("action_proj_out", "head_action/out/one", LINEAR),
        ("scale_shift_table", f"table_{TABLE}", wan.ROWS),
        (f"{CLOCK}.time_embedder.linear_1", "level_video_action/in", LINEAR),
        (f"{CLOCK}.time_embedder.linear_2", "level_video_action/out", LINEAR),
        (f"{CLOCK}.time_proj", "level_video_action/shared", SIX),
    )
)
# Of Wan's, what is here under another name.
OTHERS = ("patch_embedding", "scale_shift_table")


def table(sizes: wan.Sizes) -> Table:
    """Its names in the tree of `config`'s model."""
    shared = [module for module in wan.MODULES if module[0] not in OTHERS]
    layers = rules(wan.OF_LAYER, 0, "blocks.{layer}.", "stack_main/layers/")
    made = wan.table_of(sizes, rules((*shared, *OWN), 0), layers)
    return dataclasses.replace(made, ignored=UNUSED)


def config(sizes: wan.Sizes) -> WamConfig:
    """Wan's model with actions as tokens of its trunk."""
    base = wan.config(sizes)
    (trunk,), (text, video) = base.stacks, base.ports
    action = Port(
        stream="action",
        into="video",
        kind=False,
        head="table",
        own_level=True,
        shared_table=TABLE,
    )
    return dataclasses.replace(
        base,
        stacks=(dataclasses.replace(trunk, name="main"),),
        ports=(text, dataclasses.replace(video, shared_table=TABLE), action),
    )


def target(sizes: wan.Sizes, actions: int) -> PyTree:
    """Shapes of our weights; nothing of full size is made."""
    patch = wan.PATCH**2 * sizes.channels
    features: dict[Stream, int] = {"text": sizes.text, "video": patch, "action": actions}
    return weights_of(config(sizes), tuple(features.items()), ("video", "action"))


FAMILIES = (
    Family(
        name="lingbot-va",
        about="all weights of the recipe lingbot_va",
        licence="lingbot-va",
        layouts={"diffusers": functools.partial(table, SIZES)},
        target=functools.partial(target, SIZES, ACTIONS),
        recipe="lingbot_va",
    ),
)
