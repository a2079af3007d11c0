"""GE-Act (arXiv 2508.05635): a narrow expert reads the video model's layers of the same depth.

    video    28 layers of LTX-Video 2B over sparse memory frames (clean) and the future (noise)
    action   28 layers of width 512: attention among state and actions, then to the video's output
             of the same depth

At test time the video passes once at maximum noise; its layers stay, and only the expert walks.
The system's own code may not be copied: this follows the published facts alone.

The form `release` is the published network: cameras see one another in every third layer, each has
a vector beside that of the noise level, and the state enters by the actions' map, at the place
before the first of them. The forms `libero` and `calvin` are the same at the shapes of those
weights. On LIBERO an action has the state of its own step behind it, and the state stands behind
zeros.
"""

import dataclasses
from typing import Literal, get_args

from wamjax.model.config import Cross, Port, Stack, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
from wamjax.model.visibility import Visibility
from wamjax.recipes.backbones import LINE_ROTARY, LTX_ROTARY, ltx
from wamjax.recipes.blueprint import (
    Blueprint,
    Learning,
    Lesson,
    NoisyHistory,
    Phase,
    Recipe,
    Shape,
    Size,
)
from wamjax.recipes.objectives import sees

Form = Literal["usual", "release", "libero", "calvin"]

SHAPES: dict[Size, Shape] = {
    "full": Shape(
        words=128,
        text=4096,
        views=3,
        rows=6,
        columns=8,
        past=4,
        future=2,
        latent=128,
        chunk=54,
        action=14,
        proprio=14,
    ),
    "tiny": Shape(
        words=8,
        text=16,
        views=2,
        rows=4,
        columns=4,
        past=2,
        latent=432,
        chunk=8,
        action=7,
        proprio=7,
    ),
}
LIBERO = dataclasses.replace(
    SHAPES["full"], views=2, rows=8, columns=8, chunk=36, action=15, proprio=15
)
FULL: dict[Form, Shape] = {
    "usual": SHAPES["full"],
    "release": SHAPES["full"],
    "libero": LIBERO,
    "calvin": dataclasses.replace(LIBERO, chunk=54, action=22, proprio=22),
}
# Cameras that have a vector; LIBERO and CALVIN show two.
CAMERAS: dict[Size, int] = {"full": 3, "tiny": 2}
# (width, feed-forward width, heads, head_dim) of video and action; layers
Part = tuple[int, int, int, int]
Widths = tuple[Part, Part, int]
WIDTHS: dict[Size, Widths] = {
    "full": ((2048, 8192, 32, 64), (512, 2048, 16, 32), 28),
    "tiny": ((96, 192, 8, 12), (48, 96, 4, 12), 2),
}
VIDEO = ("video/clean", "video/noisy")
ACTION = ("proprio/clean", "action/noisy")
TABLE: Visibility = (
    *sees(VIDEO, VIDEO),
    *((query, "text/clean", "all") for query in VIDEO),
    *sees(ACTION, ACTION),
    *((query, key, "all") for query in ACTION for key in VIDEO),
)
# First the video, then both at maximum video noise, on the actions alone. The frames of the
# memory stand two strides apart.
LEARNING = Learning(
    memory=2,
    noisy_history=NoisyHistory(share=1.0, least=0.01, most=0.1),
    pixel_shift=5.0,
    lessons=(
        Lesson(name="video", fraction=0.5, losses=(("video", 1.0),)),
        Lesson(name="action", fraction=0.5, losses=(("action", 1.0),), pins=(("video", 1.0),)),
    ),
)


LONGEST = 57.0
"""Of the actions, in their rotary positions."""
CANVAS = (75.0, 64.0, 64.0)
"""20 seconds of 30 frames in latents of 8, as the release counts them; 2048 x 2048 pixels."""


def model(widths: Widths) -> WamConfig:
    """Two stacks; the second reads the first, layer by layer."""
    (width, mlp, heads, head_dim), (action, action_mlp, few, short), depth = widths
    return WamConfig(
        stacks=(
            Stack(
                name="video",
                depth=depth,
                heads=heads,
                head_dim=head_dim,
                experts=(ltx("video", width, mlp, cross=Cross(memory="text", norm=False)),),
                rotary=LTX_ROTARY,
            ),
            Stack(
                name="action",
                depth=depth,
                heads=few,
                head_dim=short,
                experts=(
                    ltx("action", action, action_mlp, cross=Cross(memory="video", layer="same")),
                ),
                rotary=LINE_ROTARY,
            ),
        ),
        ports=(
            Port(stream="text", into="text", embed="mlp", width=width, kind=False),
            Port(stream="video", into="video", kind=True, head="table", norm="layer"),
            Port(stream="proprio", into="action", kind=False, positions="line"),
            Port(stream="action", into="action", kind=False, positions="line", head="table"),
        ),
    )


def released(widths: Widths, views: int) -> WamConfig:
    """The same as the published network."""
    base = model(widths)
    (video, action), (text, frames, state, chunk) = base.stacks, base.ports
    (trunk,), (acting,) = video.experts, action.experts
    turns = dataclasses.replace(LINE_ROTARY, line=LONGEST, adjacent=True)
    acting = dataclasses.replace(acting, cross=Cross(memory="video", layer="same", norm=False))
    return dataclasses.replace(
        base,
        stacks=(
            dataclasses.replace(
                video,
                experts=(dataclasses.replace(trunk, views=views),),
                rotary=dataclasses.replace(LTX_ROTARY, canvas=CANVAS),
                by_view=True,
                meet_every=3,
            ),
            dataclasses.replace(action, experts=(acting,), rotary=turns),
        ),
        ports=(
            text,
            dataclasses.replace(frames, kind=False),
            dataclasses.replace(state, through="action", embed="as_is"),
            dataclasses.replace(chunk, norm="layer"),
        ),
    )


def ge_act(size: Size, form: Form = "usual") -> Blueprint:
    """The policy: one video pass, then ten steps of the expert."""
    shape = FULL[form] if size == "full" else SHAPES[size]
    return assembled(shape, WIDTHS[size], form, CAMERAS[size])


def assembled(shape: Shape, widths: Widths, form: Form, cameras: int) -> Blueprint:
    """The same at any size; so many cameras have vectors, of which the first are shown."""
    grid = shape.grid
    text = Segment(stream="text", frames=shape.words)
    past = tuple(
        Segment(stream="video", frames=shape.past, view=view, **grid) for view in range(shape.views)
    )
    future = tuple(
        Segment(
            stream="video",
            copy="noisy",
            frames=shape.future,
            start=shape.past,
            block=1,
            view=view,
            **grid,
        )
        for view in range(shape.views)
    )
    state = Segment(stream="proprio")
    action = Segment(stream="action", copy="noisy", frames=shape.chunk, start=1, block=1)
    return Blueprint(
        shape=shape,
        learning=LEARNING,
        imagine=(Phase(segments=(*past, *future), levels=(("video", 1.0, 0.0),), steps=10),),
        model=model(widths) if form == "usual" else released(widths, cameras),
        features=(
            ("text", shape.text),
            ("video", shape.latent),
            ("proprio", shape.proprio),
            ("action", shape.action),
        ),
        training=Layout((text, *past, *future, state, action), TABLE),
        # The future stands at maximum noise and never moves: it belongs to what is given.
        given=(text, *past, *future),
        program=(Phase(segments=(state, action), levels=(("action", 1.0, 0.0),), steps=10),),
    )


RECIPES = (
    Recipe(
        name="ge_act",
        kind="WAM",
        coupling="layer_cross",
        objective="two_stage (video, then actions at maximum video noise)",
        source="arXiv 2508.05635, AgibotTech/Genie-Envisioner",
        parts="LTX-Video 2B and the action expert",
        published="2.2 B",
        counted="arXiv 2603.22078",
        explained=False,
        # On LIBERO, where a chunk has 36.
        executed=8,
        deviations=(
            "The tiny form's memory is now and one frame two strides before; published, four that "
            "reach 500 to 900 frames back, at even or random steps.",
            "The memory has 1 to 10 % noise in training, one level for each camera, of which the "
            "video is told; the release's code draws one level for a batch, of up to 10 % (LIBERO: "
            "1 %), and tells the video 0.",
            "A chunk takes 10 steps; for AgiBot World the release's config says 5.",
            "Form usual: cameras see one another in every layer (published: in every third) and "
            "have no vector beside that of the noise level, but one on their tokens; the state "
            "enters by a map of its own; actions stand at 0, 1, ... without a longest line, read "
            "the video behind a norm of theirs and leave by an RMS norm, not a layer norm; time on "
            "the rotary canvas counts latent frames of LTX's 25 frames a second, not 30.",
            "The robustness study prints 2.2 B for the whole system; what it counts is not said.",
        ),
        build=ge_act,
        forms=get_args(Form),
    ),
)
