"""GE-Act's published policies (arXiv 2508.05635), with their own names.

Source: AgibotTech/Genie-Envisioner, models/ltx_models/transformer_ltx_multiview.py and
models/action_patches/patches.py, as copies of it keep them (05ab55e, 4b91ace). The video's names
are those that diffusers gives LTX-Video, with a vector for each camera and a map of it; the action
expert has the same modules under names that begin with "action_". This is the tree of the recipe
ge_act in the form release.
"""

import dataclasses
import functools
from collections.abc import Iterator

from wamjax.core.typing import PyTree
from wamjax.model.config import Cross, Port, Rotary, Stack, WamConfig
from wamjax.model.segments import Stream
from wamjax.pretrained import ltx
from wamjax.pretrained.denoiser import weights_of
from wamjax.pretrained.family import Family
from wamjax.pretrained.modules import SIX, Module, rules
from wamjax.pretrained.table import Rule, Table

# Times are latent frames: 8 frames of 25 a second.
CANVAS = (ltx.CANVAS[0] * 25 / 8, *ltx.CANVAS[1:])
DIFFUSERS = ltx.LAYOUTS.index("diffusers")
OF_VIEWS: tuple[Module, ...] = (
    ("view_embed", "view_embed", "level_video/view", ltx.AS_IS, None),
    ("view_ada.1", "view_ada.1", "level_video/view_shared", SIX, None),
)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of the video model; heads, their width and the feed-forward width of the action expert;
    numbers of an action and of a state; cameras; the longest line of actions."""

    video: ltx.Sizes
    heads: int = 16
    head_dim: int = 32
    mlp: int = 2048
    action: int = 14
    views: int = 3
    longest: float = 57.0

    @property
    def width(self) -> int:
        return self.heads * self.head_dim


AGIBOT = Sizes(ltx.SIZES["ltx-video-2b"])


def _of_action(module: Module) -> Module:
    """A module of the video model as the action expert has it."""
    one, other, path, held, slot = module
    return (one, other, path.replace("video", "action"), held, slot)


def table(sizes: Sizes) -> Table:
    """Their names in the tree of `config`'s model."""
    base = ltx.table(sizes.video)
    # Actions are told no words.
    above = (module for module in ltx.MODULES if "embed_text" not in module[2])

    def named() -> Iterator[Rule]:
        yield from base.rules
        yield from rules(OF_VIEWS, DIFFUSERS)
        yield from rules(map(_of_action, above), DIFFUSERS, "action_")
        # Heads of the action expert are counted by a letter of their own.
        layers = map(_of_action, ltx.OF_LAYER)
        for rule in rules(layers, DIFFUSERS, "action_blocks.{layer}.", "stack_action/layers/"):
            yield dataclasses.replace(rule, turn=rule.turn.replace("h", "a"))

    return dataclasses.replace(base, rules=tuple(named()), sizes={**base.sizes, "a": sizes.heads})


def config(sizes: Sizes) -> WamConfig:
    """LTX-Video's model by camera, and the action expert that reads its layers."""
    base = ltx.config(sizes.video)
    (stack,), (text, video) = base.stacks, base.ports
    (trunk,) = stack.experts
    acting = dataclasses.replace(
        trunk,
        name="action",
        width=sizes.width,
        mlp=sizes.mlp,
        cross=Cross(memory="video", layer="same", norm=False),
    )
    trunk = dataclasses.replace(trunk, views=sizes.views)
    turns = Rotary(base=10_000.0, adjacent=True, canvas=CANVAS)
    line = functools.partial(Port, into="action", kind=False, positions="line")
    return dataclasses.replace(
        base,
        stacks=(
            dataclasses.replace(stack, experts=(trunk,), rotary=turns, by_view=True, meet_every=3),
            Stack(
                name="action",
                depth=sizes.video.depth,
                heads=sizes.heads,
                head_dim=sizes.head_dim,
                experts=(acting,),
                rotary=Rotary(base=10_000.0, adjacent=True, line=sizes.longest),
            ),
        ),
        ports=(
            text,
            video,
            line(stream="proprio", through="action", embed="as_is"),
            line(stream="action", head="table", norm="layer"),
        ),
    )


def target(sizes: Sizes) -> PyTree:
    """Shapes of our weights; nothing of full size is made."""
    features: dict[Stream, int] = {
        "text": sizes.video.text,
        "video": sizes.video.channels,
        "proprio": sizes.action,
        "action": sizes.action,
    }
    return weights_of(config(sizes), tuple(features.items()), ("video", "action"))


FAMILIES = (
    Family(
        name="ge-act",
        about="all weights of the recipe ge_act, form release",
        licence="ge-act",
        layouts={"diffusers": functools.partial(table, AGIBOT)},
        target=functools.partial(target, AGIBOT),
        recipe="ge_act",
        form="release",
    ),
)
