"""DreamZero (arXiv 2602.15922, dreamzero0/dreamzero): video and actions denoised together.

Block by block, behind the clean video of all blocks before:

    clean video copy, noisy video, actions, states; the first latent frame is block 0

    query                  may see
    clean video, block i   clean video of blocks 0..i
    noisy video, block i   clean video of blocks before i; noisy video, actions, state of block i
    action, block i        the same
    state, block i         itself

One level per block, shared by its video and its actions; past actions are never in the context.

    form      levels                                 at test time
    base      shared, shift 5                        both walk 1 -> 0 side by side
    flash     video by Beta(7, 1), action uniform    the video stops at 0.8
    release   as base, on the published network      as base
    wan22     likewise, on Wan2.2-5B                 as base

The published network also reads CLIP's features of the first frame, beside the text. Its actions
and states enter and leave by two and three layers; a state stands at its block's number and at the
noise level of its actions, so that it enters with them in every step. On Wan2.2-5B neither the mask
nor the first frame's latents stand beside the video.

Both laws lie near noise already: those of the tiny form, on pixels, are the published ones.
"""

import dataclasses
from typing import Literal, get_args

from wamjax.flow.levels import LevelLaw, LevelsConfig
from wamjax.model.config import Clock, Port, Stack, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Copy, Segment, Stream
from wamjax.model.visibility import Visibility
from wamjax.recipes.backbones import WAN_ROTARY, wan
from wamjax.recipes.blueprint import Blueprint, Learning, Phase, Recipe, Shape, Size, Walk

Form = Literal["base", "flash", "release", "wan22"]

SHAPES: dict[Size, Shape] = {
    "full": Shape(
        words=512,
        text=4096,
        rows=22,
        columns=40,
        past=1,
        future=2,
        latent=144,
        chunk=24,
        action=32,
        proprio=64,
    ),
    "tiny": Shape(
        words=8,
        text=16,
        rows=4,
        columns=4,
        past=1,
        future=2,
        latent=972,
        chunk=8,
        action=7,
        proprio=7,
    ),
}
# 160 x 320 pixels of three cameras.
OF_WAN22: dict[Size, Shape] = {
    "full": dataclasses.replace(SHAPES["full"], rows=5, columns=10, latent=192),
    "tiny": dataclasses.replace(SHAPES["tiny"], latent=432),
}
# width, feed-forward width, layers, heads, head_dim
Widths = tuple[int, int, int, int, int]
WIDTHS: dict[Size, Widths] = {"full": (5120, 13824, 40, 40, 128), "tiny": (96, 192, 2, 4, 24)}
WIDTHS_OF_WAN22: dict[Size, Widths] = {
    "full": (3072, 14336, 30, 24, 128),
    "tiny": WIDTHS["tiny"],
}
# Of the published network: features of the first frame (how many, how wide), and the width between
# the layers of a state's encoder and of the actions' decoder.
EDGES: dict[Size, tuple[int, int, int]] = {"full": (257, 1280, 1024), "tiny": (4, 16, 32)}
BLOCKS = {"full": 4, "tiny": 2}
STEPS: dict[Form, int] = {"base": 16, "flash": 1, "release": 16, "wan22": 16}
# Steps at which the network is asked; in the published code these eight, where it is not told to
# choose by the velocities' cosine.
ASKED = (0, 1, 2, 6, 10, 13, 14, 15)
EVALUATED: dict[Form, tuple[int, ...]] = {
    "base": tuple(range(0, 16, 2)),
    "flash": (),
    "release": ASKED,
    "wan22": ASKED,
}
OF_RELEASE: tuple[Form, ...] = ("release", "wan22")
MUTUAL = ("video/noisy", "action/noisy")
TABLE: Visibility = (
    ("video/clean", "video/clean", "past"),
    *((query, "video/clean", "before") for query in MUTUAL),
    *((query, key, "same") for query in MUTUAL for key in (*MUTUAL, "proprio/clean")),
    ("proprio/clean", "proprio/clean", "itself"),
    *(
        (query, "text/clean", "all")
        for query in ("video/clean", "video/noisy", "action/noisy", "proprio/clean")
    ),
)
PICTURE: Visibility = tuple(
    (query, "image/clean", relation) for query, key, relation in TABLE if key == "text/clean"
)
BASE = Learning(
    beside=(("video", "first_frame"),),
    levels=LevelsConfig(coupling="shared", video=LevelLaw(shift=5.0), action=LevelLaw(shift=5.0)),
    weight="bell",
    apart=True,
)
LEARNING: dict[Form, Learning] = {
    "base": BASE,
    "release": dataclasses.replace(BASE, encoded=(("image", "first"),)),
    "wan22": dataclasses.replace(BASE, beside=(), encoded=(("image", "first"),)),
    "flash": Learning(
        beside=(("video", "first_frame"),),
        levels=LevelsConfig(video=LevelLaw(law="beta", alpha=7.0, beta=1.0)),
        weight="bell",
        apart=True,
    ),
}


def model(widths: Widths, out: int) -> WamConfig:
    """Wan2.1-I2V's trunk, with actions and states as tokens of it; `out` values of a video token
    are predicted, where not all are."""
    width, mlp, depth, heads, head_dim = widths
    return WamConfig(
        stacks=(
            Stack(
                name="main",
                depth=depth,
                heads=heads,
                head_dim=head_dim,
                experts=(wan("video", width, mlp),),
                rotary=WAN_ROTARY,
            ),
        ),
        ports=(
            Port(stream="text", into="text", embed="mlp", width=width, kind=False),
            Port(
                stream="video",
                into="video",
                kind=False,
                head="table",
                out=out,
            ),
            Port(stream="proprio", into="video", embed="mlp", kind=False, positions="line"),
            Port(
                stream="action",
                into="video",
                embed="timed",
                kind=False,
                positions="line",
                head="table",
            ),
        ),
    )


def released(widths: Widths, out: int, hidden: int) -> WamConfig:
    """The published network: with Wan's image branch, and the edges of its source.

    Args:
        hidden: width between the layers of the state's encoder and of the actions' decoder.
    """
    base = model(widths, out)
    (stack,), (text, video, proprio, action) = base.stacks, base.ports
    width, mlp, *_ = widths
    picture = Port(stream="image", into="image", embed="normed_mlp", width=width, kind=False)
    clock = Clock(
        features=width, scale=1000.0, fastest=1.0, slowest=1e-4, closed=False, sines_first=True
    )
    proprio = dataclasses.replace(proprio, embed="relu_mlp", hidden=hidden, level_of="action")
    action = dataclasses.replace(action, head="relu_mlp", hidden=hidden, clock=clock)
    trunk = wan("video", width, mlp, beside="image")
    return dataclasses.replace(
        base,
        stacks=(dataclasses.replace(stack, experts=(trunk,)),),
        ports=(text, picture, video, proprio, action),
    )


def dreamzero(size: Size, form: Form = "base") -> Blueprint:
    """Training on a first frame and several blocks; one block behind the clean video."""
    small = form == "wan22"
    shape = (OF_WAN22 if small else SHAPES)[size]
    widths = (WIDTHS_OF_WAN22 if small else WIDTHS)[size]
    return assembled(shape, widths, form, BLOCKS[size], EDGES[size])


def assembled(
    shape: Shape, widths: Widths, form: Form, blocks: int, edges: tuple[int, int, int]
) -> Blueprint:
    """The same at any size; `edges` as in `EDGES`."""
    grid = shape.grid
    whole_network = form in OF_RELEASE
    pieces, picture, hidden = edges
    # 16 latent channels, 4 of mask and 16 of the first frame, in squares of 2 x 2.
    out = shape.latent * 4 // 9 if LEARNING[form].beside else 0

    def video(copy: Copy, block: int) -> Segment:
        first = block == 0
        return Segment(
            stream="video",
            copy=copy,
            frames=1 if first else shape.future,
            start=0 if first else 1 + (block - 1) * shape.future,
            block=block,
            **grid,
        )

    def state(block: int) -> Segment:
        stride = 1 if whole_network else shape.chunk
        return Segment(stream="proprio", start=(block - 1) * stride, block=block)

    def action(block: int) -> Segment:
        return Segment(
            stream="action",
            copy="noisy",
            frames=shape.chunk,
            start=(block - 1) * shape.chunk,
            block=block,
        )

    told = (Segment(stream="text", frames=shape.words),)
    told += (Segment(stream="image", frames=pieces),) if whole_network else ()
    numbers = range(1, blocks + 1)
    trained = (
        *(video("clean", block) for block in range(blocks + 1)),
        *(video("noisy", block) for block in numbers),
        *(action(block) for block in numbers),
        *(state(block) for block in numbers),
    )
    last = blocks
    end = 0.8 if form == "flash" else 0.0
    levels: tuple[tuple[Stream, float, float], ...] = (("video", 1.0, end), ("action", 1.0, 0.0))
    beside = (state(last),) if whole_network else ()
    sampled = Phase(
        segments=(video("noisy", last), action(last), *beside),
        levels=levels,
        steps=STEPS[form],
        evaluated=EVALUATED[form],
        guidance=2,
    )
    # Where the video stops half-way, a future is walked to its end apart.
    whole = dataclasses.replace(
        sampled,
        levels=(("video", 1.0, 0.0), ("action", 1.0, 0.0)),
        steps=STEPS["base"],
        evaluated=EVALUATED["base"],
    )
    images: tuple[tuple[Stream, int], ...] = (("image", picture),) if whole_network else ()
    before = () if whole_network else (state(last),)
    return Blueprint(
        shape=shape,
        learning=LEARNING[form],
        walk=Walk(
            solver="unipc",
            shifts=(("video", 5.0), ("action", 5.0)),
            guidance=(("video", 5.0),),
        ),
        model=released(widths, out, hidden) if whole_network else model(widths, out),
        features=(
            ("text", shape.text),
            *images,
            ("video", shape.latent),
            ("proprio", shape.proprio),
            ("action", shape.action),
        ),
        training=Layout((*told, *trained), TABLE + PICTURE if whole_network else TABLE),
        given=(*told, *(video("clean", block) for block in range(last)), *before),
        program=(sampled,),
        imagine=(whole,) if end else (),
    )


RECIPES = (
    Recipe(
        name="dreamzero",
        kind="WAM",
        coupling="trunk",
        objective="joint, one level per block",
        source="arXiv 2602.15922, dreamzero0/dreamzero",
        parts="Wan2.1 14B trunk",
        published=None,
        deviations=(
            "Forms base and flash have neither CLIP's features of the first frame nor their keys "
            "in cross-attention; their actions leave by Wan's norm, level and table, and read the "
            "trunk's features of the level; their states enter by a linear map before the steps, "
            "at level 0 and at the place of their first action. The publication says 14 B, which "
            "is that trunk, rounded.",
            "States see themselves alone, as in the published training; its inference lets them "
            "see everything.",
            "Velocity reuse asks the network at every second of the 16 steps, in forms release and "
            "wan22 at the eight of the published code; a test of the velocities' cosine, which can "
            "pick them there, is not here.",
            "In form flash the actions of a block share a level; in the published code each has "
            "its own.",
            "The first frame is not denoised; in the published training it is, seen by itself "
            "alone.",
            "Text is masked where it is padding, instead of being zero there.",
        ),
        build=dreamzero,
        forms=get_args(Form),
    ),
)
