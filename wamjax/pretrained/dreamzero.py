"""DreamZero's published policies (arXiv 2602.15922), with their own names.

Source: dreamzero0/dreamzero (ab790c1), groot/vla/model/dreamzero/modules, and the configs beside
it. Wan's original names with its image branch, in the trunk of Wan 2.1 I2V or of Wan 2.2 TI2V, and
three small networks at the edges. Those have a first axis for embodiments, of which the source
makes one, and matrices that stand as ours do. A file holds the frozen encoders beside it. These are
the trees of the recipe dreamzero in the forms release and wan22.
"""

import dataclasses
import functools
from collections.abc import Iterator

from wamjax.core.typing import PyTree
from wamjax.model.config import Clock, Port, WamConfig
from wamjax.model.segments import Stream
from wamjax.pretrained import wan
from wamjax.pretrained.denoiser import weights_of
from wamjax.pretrained.family import Family
from wamjax.pretrained.modules import Module, Part, rules
from wamjax.pretrained.table import Rule, Table

ORIGINAL = wan.LAYOUTS.index("original")
ABOVE = "action_head.model."
# UMT5-XXL, CLIP ViT-H and the autoencoder, which have families of their own.
FROZEN = (r"action_head\.(text_encoder|image_encoder|vae)\..*",)

# Of the one embodiment.
ONE = (Part(".W", "/kernel", "1 i o -> i o"), Part(".b", "/bias", "1 o -> o"))
EDGES: tuple[Module, ...] = tuple(
    (name, name, path, ONE, None)
    for name, path in (
        ("state_encoder.layer1", "embed_proprio/in/one"),
        ("state_encoder.layer2", "embed_proprio/out"),
        ("action_encoder.W1", "embed_action/in/one"),
        ("action_encoder.W2", "embed_action/mix"),
        ("action_encoder.W3", "embed_action/out"),
        ("action_decoder.layer1", "head_action/in"),
        ("action_decoder.layer2", "head_action/out/one"),
    )
)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of Wan's model; between the layers of a state's encoder and of the actions' decoder; widths
    of an action and of a state."""

    trunk: wan.Sizes
    hidden: int = 1024
    action: int = 32
    proprio: int = 64


WAN21 = Sizes(wan.SIZES["wan2.1-i2v-14b"])
WAN22 = Sizes(dataclasses.replace(wan.SIZES["wan2.2-ti2v-5b"], image=WAN21.trunk.image))


def table(sizes: Sizes) -> Table:
    """Its names in the tree of `config`'s model."""

    def named() -> Iterator[Rule]:
        yield from rules((*wan.MODULES, *wan.OF_IMAGE, *EDGES), ORIGINAL, ABOVE)
        layer, stack = ABOVE + "blocks.{layer}.", "stack_main/layers/"
        yield from rules((*wan.OF_LAYER, *wan.OF_IMAGE_LAYER), ORIGINAL, layer, stack)

    return dataclasses.replace(wan.table_of(sizes.trunk, named()), ignored=FROZEN)


def config(sizes: Sizes) -> WamConfig:
    """Wan's model with actions and states as tokens of its trunk."""
    base = wan.config(sizes.trunk)
    (trunk,) = base.stacks
    line = functools.partial(Port, into="video", kind=False, positions="line", hidden=sizes.hidden)
    clock = Clock(
        features=sizes.trunk.width,
        scale=1000.0,
        fastest=1.0,
        slowest=1e-4,
        closed=False,
        sines_first=True,
    )
    return dataclasses.replace(
        base,
        stacks=(dataclasses.replace(trunk, name="main"),),
        ports=(
            *base.ports,
            line(stream="proprio", embed="relu_mlp", level_of="action"),
            line(stream="action", embed="timed", clock=clock, head="relu_mlp"),
        ),
    )


def target(sizes: Sizes) -> PyTree:
    """Shapes of our weights; nothing of full size is made."""
    trunk = sizes.trunk
    features: dict[Stream, int] = {
        "text": trunk.text,
        "image": trunk.image,
        "video": wan.PATCH**2 * (trunk.channels + trunk.beside),
        "proprio": sizes.proprio,
        "action": sizes.action,
    }
    return weights_of(config(sizes), tuple(features.items()), ("video", "action"))


FAMILIES = tuple(
    Family(
        name=name,
        about=f"all weights of the recipe dreamzero, form {form}",
        licence="dreamzero",
        layouts={"original": functools.partial(table, sizes)},
        target=functools.partial(target, sizes),
        recipe="dreamzero",
        form=form,
    )
    for name, form, sizes in (
        ("dreamzero", "release", WAN21),
        ("dreamzero-wan22", "wan22", WAN22),
    )
)
