"""DreamZero (arXiv 2602.15922, dreamzero0/dreamzero): video and actions denoised together.

Block by block, behind the clean video of all blocks before:

    clean video copy, noisy video, actions, states; the first latent frame is block 0

    query                  may see
    clean video, block i   clean video of blocks 0..i
    noisy video, block i   clean video of blocks before i; noisy video, actions, state of block i
    action, block i        the same
    state, block i         itself

One level per block, shared by its video and its actions; past actions are never in the context.

    form    levels                                   at test time
    base    shared, shift 5                          both walk 1 -> 0 side by side
    flash   video by Beta(7, 1), action uniform      the video stops at 0.8

Both laws lie near noise already: those of the tiny form, on pixels, are the published ones.
"""

import dataclasses
from typing import Literal, get_args

from wamjax.flow.levels import LevelLaw, LevelsConfig
from wamjax.model.config import Port, Stack, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Copy, Segment, Stream
from wamjax.model.visibility import Visibility
from wamjax.recipes.backbones import WAN_ROTARY, wan
from wamjax.recipes.blueprint import Blueprint, Learning, Phase, Recipe, Shape, Size, Walk

Form = Literal["base", "flash"]

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
# width, feed-forward width, layers, heads, head_dim
WIDTHS = {"full": (5120, 13824, 40, 40, 128), "tiny": (96, 192, 2, 4, 24)}
BLOCKS = {"full": 4, "tiny": 2}
STEPS: dict[Form, int] = {"base": 16, "flash": 1}
# Steps at which the network is asked; published as a number, which steps is not verified.
EVALUATED: dict[Form, tuple[int, ...]] = {"base": tuple(range(0, 16, 2)), "flash": ()}
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
LEARNING: dict[Form, Learning] = {
    "base": Learning(
        beside=(("video", "first_frame"),),
        levels=LevelsConfig(
            coupling="shared", video=LevelLaw(shift=5.0), action=LevelLaw(shift=5.0)
        ),
        weight="bell",
        apart=True,
    ),
    "flash": Learning(
        beside=(("video", "first_frame"),),
        levels=LevelsConfig(video=LevelLaw(law="beta", alpha=7.0, beta=1.0)),
        weight="bell",
        apart=True,
    ),
}


def model(size: Size) -> WamConfig:
    """Wan2.1-I2V's trunk, with actions and states as tokens of it."""
    width, mlp, depth, heads, head_dim = WIDTHS[size]
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
            # 16 latent channels, 4 of mask and 16 of the first frame, in squares of 2 x 2.
            Port(
                stream="video",
                into="video",
                kind=False,
                head="table",
                out=SHAPES[size].latent * 4 // 9,
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


def dreamzero(size: Size, form: Form = "base") -> Blueprint:
    """Training on a first frame and several blocks; one block behind the clean video."""
    shape, blocks = SHAPES[size], BLOCKS[size]
    grid = shape.grid

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
        return Segment(stream="proprio", start=(block - 1) * shape.chunk, block=block)

    def action(block: int) -> Segment:
        return Segment(
            stream="action",
            copy="noisy",
            frames=shape.chunk,
            start=(block - 1) * shape.chunk,
            block=block,
        )

    text = Segment(stream="text", frames=shape.words)
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
    sampled = Phase(
        segments=(video("noisy", last), action(last)),
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
    return Blueprint(
        shape=shape,
        learning=LEARNING[form],
        walk=Walk(
            solver="unipc",
            shifts=(("video", 5.0), ("action", 5.0)),
            guidance=(("video", 5.0),),
        ),
        model=model(size),
        features=(
            ("text", shape.text),
            ("video", shape.latent),
            ("proprio", shape.proprio),
            ("action", shape.action),
        ),
        training=Layout((text, *trained), TABLE),
        given=(text, *(video("clean", block) for block in range(last)), state(last)),
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
            "CLIP features of the first frame and their keys in cross-attention are not there; the "
            "publication says 14 B, which is the trunk without them, rounded.",
            "States see themselves alone, as in the published training; its inference lets them "
            "see everything.",
            "Velocity reuse asks the network at every second of the 16 steps; published, a test of "
            "the velocities' cosine picks about as many of them.",
        ),
        build=dreamzero,
        forms=get_args(Form),
    ),
)
