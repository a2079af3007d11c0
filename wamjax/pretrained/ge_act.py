"""GE-Act's published policies (arXiv 2508.05635), with their own names.

Source: AgibotTech/Genie-Envisioner, models/ltx_models/transformer_ltx_multiview.py and
models/action_patches/patches.py (7e007c7). The video's names are those that diffusers gives
LTX-Video, with a vector for each camera and a map of it; the action expert has the same modules
under names that begin with "action_". These are the trees of the recipe ge_act in its forms
release, libero and calvin.
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

DIFFUSERS = ltx.LAYOUTS.index("diffusers")
OF_VIEWS: tuple[Module, ...] = (
    ("view_embed", "view_embed", "level_video/view", ltx.AS_IS, None),
    ("view_ada.1", "view_ada.1", "level_video/view_shared", SIX, None),
)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of the video model; heads, their width and the feed-forward width of the action expert;
    numbers of an action and of a state; cameras; the longest line of actions; latent frames of the
    longest video, 20 seconds of 30 frames."""

    video: ltx.Sizes
    heads: int = 16
    head_dim: int = 32
    mlp: int = 2048
    action: int = 14
    views: int = 3
    longest: float = 57.0
    frames: float = 75.0

    @property
    def width(self) -> int:
        return self.heads * self.head_dim


AGIBOT = Sizes(ltx.SIZES["ltx-video-2b"])
LIBERO = dataclasses.replace(AGIBOT, action=15)
CALVIN = dataclasses.replace(AGIBOT, action=22)


def _of_action(module: Module) -> Module:
    """A module of the video model as the action expert has it."""
    one, other, path, held, slot = module
    return (one, other, path.replace("video", "action"), held, slot)


def table(sizes: Sizes) -> Table:
    """Their names in the tree of `config`'s model."""
    base = ltx.table(sizes.video)
    above = (m for m in ltx.MODULES if not m[0].startswith(ltx.CAPTION))

    def named() -> Iterator[Rule]:
        yield from base.rules
        yield from rules(OF_VIEWS, DIFFUSERS)
        # Heads of the action expert are counted by another letter.
        for module in map(_of_action, above):
            yield from rules((module,), DIFFUSERS, "action_")
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
    _, *sides = ltx.CANVAS
    canvas = (sizes.frames, sides[0], sides[1])
    line = functools.partial(Port, into="action", kind=False, positions="line")
    return dataclasses.replace(
        base,
        stacks=(
            dataclasses.replace(
                stack,
                experts=(trunk,),
                rotary=Rotary(base=10_000.0, adjacent=True, canvas=canvas),
                by_view=True,
                meet_every=3,
            ),
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


FAMILIES = tuple(
    Family(
        name=name,
        about=f"all weights of the recipe ge_act, form {form}",
        licence="ge-act",
        layouts={"diffusers": functools.partial(table, sizes)},
        target=functools.partial(target, sizes),
        recipe="ge_act",
        form=form,
    )
    for name, form, sizes in (
        ("ge-act", "release", AGIBOT),
        ("ge-act-libero", "libero", LIBERO),
        ("ge-act-calvin", "calvin", CALVIN),
    )
)
