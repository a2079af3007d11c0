"""Tapped video models: DiT4DiT (arXiv 2603.10448) and mimic-video (arXiv 2512.15692).

    low      the layers of Cosmos-Predict2-2B up to the tap, over the first frame and the future
    high     the layers above it, needed for the video loss alone
    action   a diffusion transformer that cross-attends to what `low` ends with

The video stays at one noise level while the actions walk; at test time it passes once, as pure
noise, and the layers above the tap do not run at all. Or it is walked to a level between first.

    form         trained                                            tapped at
    dit4dit      video and actions together, end to end             noise (1)
    mimic_video  the video first; then the actions, on a frozen tap noise (1)
    partial      mimic_video's weights                              a level between, after ten steps
"""

import dataclasses
from typing import Any, Literal, get_args

from wamjax.flow.levels import LevelLaw, LevelsConfig
from wamjax.model.config import Cross, Expert, Port, Stack, Take, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
from wamjax.model.visibility import Visibility
from wamjax.recipes.backbones import COSMOS_ROTARY, LINE_ROTARY, WAN_CLOCK, cosmos
from wamjax.recipes.blueprint import Blueprint, Learning, Lesson, Phase, Recipe, Shape, Size
from wamjax.recipes.objectives import sees

Form = Literal["dit4dit", "mimic_video", "partial"]
# Noise level at which the video of `partial` stops.
BETWEEN = 0.5
SHAPES: dict[Size, Shape] = {
    "full": Shape(
        words=512,
        text=1024,
        rows=30,
        columns=40,
        past=2,
        future=14,
        latent=64,
        chunk=16,
        action=10,
        proprio=10,
    ),
    "tiny": Shape(words=8, text=16, rows=4, columns=4, latent=432, chunk=8, action=7, proprio=7),
}
# (width, feed-forward width, heads, head_dim, rank) of video; layers below and above the tap;
# (width, feed-forward width, heads, head_dim, layers) of the action part
WIDTHS = {
    "full": ((2048, 8192, 16, 128, 256), (19, 9), (512, 2048, 8, 64, 8)),
    "tiny": ((96, 192, 4, 24, 8), (2, 1), (64, 128, 4, 16, 2)),
}
VIDEO = ("video/clean", "video/noisy")
ACTION = ("proprio/clean", "action/noisy")
TABLE: Visibility = (
    ("video/clean", "video/clean", "all"),
    ("video/noisy", "video/clean", "all"),
    ("video/noisy", "video/noisy", "all"),
    *((query, "text/clean", "all") for query in VIDEO),
    *sees(ACTION, ACTION),
    *((query, key, "all") for query in ACTION for key in VIDEO),
)
LEVELS = LevelsConfig(
    video=LevelLaw(law="logit_normal"), action=LevelLaw(law="beta", alpha=1.5, beta=1.0)
)
JOINT, STAGED = (
    Learning(
        levels=LEVELS,
        pixel_shift=5.0,
        lessons=(Lesson(losses=(("video", 2.0), ("action", 1.0))),),
    ),
    Learning(
        levels=LEVELS,
        pixel_shift=5.0,
        lessons=(
            Lesson(name="video", fraction=0.5, losses=(("video", 1.0),)),
            Lesson(name="action", fraction=0.5, losses=(("action", 1.0),), train=(".*action.*",)),
        ),
    ),
)
LEARNING: dict[Form, Learning] = {"dit4dit": JOINT, "mimic_video": STAGED, "partial": STAGED}


def model(size: Size) -> WamConfig:
    """The video model cut at the tap, and the reader of the tap."""
    (width, mlp, heads, head_dim, rank), (below, above), (thin, thin_mlp, few, short, layers) = (
        WIDTHS[size]
    )
    shared: dict[str, Any] = {"heads": heads, "head_dim": head_dim, "rotary": COSMOS_ROTARY}
    return WamConfig(
        stacks=(
            Stack(
                name="low", depth=below, experts=(cosmos("low", width, mlp, rank=rank),), **shared
            ),
            Stack(
                name="action",
                depth=layers,
                heads=few,
                head_dim=short,
                experts=(
                    Expert(
                        name="action",
                        width=thin,
                        mlp=thin_mlp,
                        cross=Cross(memory="low"),
                        clock=WAN_CLOCK,
                    ),
                ),
                rotary=LINE_ROTARY,
            ),
            Stack(
                name="high",
                depth=above,
                experts=(cosmos("high", width, mlp, rank=rank),),
                takes=(Take(stack="low", kinds=VIDEO, expert="high", mapped=False),),
                **shared,
            ),
        ),
        ports=(
            Port(stream="text", into="text", embed="as_is", width=SHAPES[size].text, kind=False),
            Port(stream="video", into="low", kind=False, head="low_rank", bias=False),
            Port(stream="proprio", into="action", kind=False, positions="line"),
            Port(stream="action", into="action", kind=False, positions="line", head="modulated"),
        ),
    )


def hidden(size: Size, form: Form = "dit4dit") -> Blueprint:
    """The policy: the tapped future, then ten steps of the action part."""
    shape = SHAPES[size]
    grid = shape.grid
    given = (
        Segment(stream="text", frames=shape.words),
        Segment(stream="video", frames=shape.past, **grid),
    )
    future = Segment(
        stream="video", copy="noisy", frames=shape.future, start=shape.past, block=1, **grid
    )
    state = Segment(stream="proprio")
    action = Segment(stream="action", copy="noisy", frames=shape.chunk, start=1, block=1)
    shown = Phase(segments=(future,), levels=(("video", 1.0, 0.0),), steps=10)
    stopped = dataclasses.replace(shown, levels=(("video", 1.0, BETWEEN),), writes=(future,))
    act = Phase(segments=(state, action), levels=(("action", 1.0, 0.0),), steps=10)
    between = form == "partial"
    return Blueprint(
        shape=shape,
        learning=LEARNING[form],
        imagine=(shown,),
        model=model(size),
        features=(
            ("text", shape.text),
            ("video", shape.latent),
            ("proprio", shape.proprio),
            ("action", shape.action),
        ),
        training=Layout((*given, future, state, action), TABLE),
        # Pure noise never moves: it belongs to what is given.
        given=given if between else (*given, future),
        program=(stopped, act) if between else (act,),
    )


RECIPES = (
    Recipe(
        name="hidden",
        kind="WAM",
        coupling="tap_cross",
        objective="joint, or two_stage on a frozen tap (mimic_video)",
        source="arXiv 2603.10448 (DiT4DiT), arXiv 2512.15692 (mimic-video)",
        parts="Cosmos-Predict2-2B and the action part",
        published=None,
        deviations=(
            "Sizes of the action part are not published in what was read: 8 layers of 512.",
            "DiT4DiT draws the noise level of what is tapped apart from that of the video loss; "
            "here one pass and one level serve both.",
            "The tap stands behind layer 19 of 28.",
            "partial: the level at which the future is tapped is tuned for each task in the "
            "publication; here it is 0.5, reached in ten steps of an even grid.",
            "Cosmos' extra input channels (condition mask, padding mask) are not there.",
        ),
        forms=get_args(Form),
        build=hidden,
    ),
)
