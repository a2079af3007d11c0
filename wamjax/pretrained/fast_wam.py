"""FastWAM's published policies (arXiv 2603.16666), with their own names and with LeRobot's.

    original          yuantianyuan01/FastWAM (45d8e14), src/fastwam/models/wan22
    lerobot           huggingface/lerobot 0.6.2 (7427f31), src/lerobot/policies/fastwam/wan
    lerobot-mixtures  what LeRobot wrote before: the original names with "model." before

Two experts under Wan's original names: Wan 2.2 TI2V's own, and one for actions with the same
parts, which enter and leave by one linear map each. Proprio enters as a word: by a map to the width
of the text, then through the text maps of both experts. LeRobot keeps the layers of both experts
side by side. A file of theirs also tells its step and its type, which are no tensors. These are the
trees of the recipe fast_wam in the forms release and robotwin.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator

from wamjax.core.typing import PyTree
from wamjax.model.config import Cross, Port, WamConfig
from wamjax.model.segments import Stream
from wamjax.pretrained import wan
from wamjax.pretrained.denoiser import weights_of
from wamjax.pretrained.family import Family
from wamjax.pretrained.modules import LINEAR, Module, rules
from wamjax.pretrained.table import Rule, Table

ORIGINAL = wan.LAYOUTS.index("original")
# Layout -> (before the modules of an expert, before those of its layers, before proprio's map).
ABOVE, LAYER = "mot.mixtures.{expert}.", "mot.layers.{{layer}}.blocks.{expert}."
MIXED = ABOVE + "blocks.{{layer}}."
LAYOUTS = {
    "lerobot": (f"model.{ABOVE}", f"model.{LAYER}", "model."),
    "lerobot-mixtures": (f"model.{ABOVE}", f"model.{MIXED}", "model."),
    "original": (ABOVE, MIXED, ""),
}

# Of Wan's, what actions have otherwise: how they enter, and how they leave.
OTHERS = ("patch_embedding", "head.modulation", "head.head")
OF_ACTION: tuple[Module, ...] = (
    ("action_encoder", "action_encoder", "embed_action/in/one", LINEAR, None),
    ("head", "head", "head_action/out/one", LINEAR, None),
)
PROPRIO: tuple[Module, ...] = (
    ("proprio_encoder", "proprio_encoder", "embed_proprio_as_text/one", LINEAR, None),
)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of the video expert; widths of the action expert, of an action and of proprio."""

    video: wan.Sizes
    width: int
    mlp: int
    action: int
    proprio: int


LIBERO = Sizes(wan.SIZES["wan2.2-ti2v-5b"], width=1024, mlp=4096, action=7, proprio=8)
ROBOTWIN = dataclasses.replace(LIBERO, action=14, proprio=14)


def _of_action(module: Module) -> Module:
    """A module of the video expert as the action expert has it."""
    one, other, path, held, slot = module
    path = path.replace("embed_text", "embed_text_told").replace("video_", "action_")
    return (one, other, path.replace("level_video", "level_action"), held, slot)


def _expert(layout: str, name: str) -> Iterator[Rule]:
    above, layer, _ = (part.format(expert=name) for part in LAYOUTS[layout])
    modules, layers = wan.MODULES, wan.OF_LAYER
    if name == "action":
        shared = (module for module in modules if module[ORIGINAL] not in OTHERS)
        modules = (*map(_of_action, shared), *OF_ACTION)
        layers = tuple(map(_of_action, layers))
    yield from rules(modules, ORIGINAL, above)
    yield from rules(layers, ORIGINAL, layer, "stack_main/layers/")


def table(sizes: Sizes, layout: str = "original") -> Table:
    """Their names, in one of `LAYOUTS`, in the tree of `config`'s model."""
    experts = itertools.chain(_expert(layout, "video"), _expert(layout, "action"))
    return wan.table_of(sizes.video, experts, rules(PROPRIO, ORIGINAL, LAYOUTS[layout][2]))


def config(sizes: Sizes) -> WamConfig:
    """Wan's model and the action expert in one attention; text and proprio are told to both."""
    base = wan.config(sizes.video)
    (stack,), (text, video) = base.stacks, base.ports
    (trunk,) = stack.experts
    expert = dataclasses.replace(
        trunk, name="action", width=sizes.width, mlp=sizes.mlp, cross=Cross(memory="told")
    )
    told = dataclasses.replace(text, into="told", width=sizes.width)
    proprio = (
        Port(stream="proprio", into=port.into, through="text", width=port.width, kind=False)
        for port in (text, told)
    )
    action = Port(stream="action", into="action", kind=False, positions="line", head="linear")
    return dataclasses.replace(
        base,
        stacks=(dataclasses.replace(stack, name="main", experts=(trunk, expert)),),
        ports=(text, told, *proprio, video, action),
    )


def target(sizes: Sizes) -> PyTree:
    """Shapes of our weights; nothing of full size is made."""
    features: dict[Stream, int] = {
        "text": sizes.video.text,
        "proprio": sizes.proprio,
        "video": wan.PATCH**2 * sizes.video.channels,
        "action": sizes.action,
    }
    return weights_of(config(sizes), tuple(features.items()), ("video", "action"))


FAMILIES = tuple(
    Family(
        name=name,
        about=f"all weights of the recipe fast_wam, form {form}",
        licence="fast-wam",
        layouts={layout: functools.partial(table, sizes, layout) for layout in LAYOUTS},
        target=functools.partial(target, sizes),
        recipe="fast_wam",
        form=form,
    )
    for name, form, sizes in (
        ("fast-wam", "release", LIBERO),
        ("fast-wam-robotwin", "robotwin", ROBOTWIN),
    )
)
