"""FastWAM (arXiv 2603.16666, yuantianyuan01/FastWAM): video co-training, actions without video.

video    30 layers of Wan2.2-5B over the first frame (clean) and the next two latent frames
action   an expert of width 1024 in the same attention, with text and proprio as its own memory

The published weights differ at the edges: proprio becomes a word of the text, which both experts
read; actions stand at 0, 1, ... and leave by one linear map.

form          actions read                       at test time
first_frame   the first frame ("uncond")         one prefill, ten steps of the action expert
joint         all video                          video and actions side by side
idm           a second copy of the video         video first, then actions on its result
no_video      the first frame; no video loss     as first_frame
release       as first_frame, with those edges: the weights for LIBERO
robotwin      the same for RoboTwin: three cameras, two arms
"""

import dataclasses
from typing import Any, Literal, assert_never, get_args

from wamjax.flow.levels import LevelLaw, LevelsConfig
from wamjax.model.config import Port, Stack, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment, Stream
from wamjax.model.visibility import Visibility
from wamjax.recipes.backbones import WAN_ROTARY, wan
from wamjax.recipes.blueprint import Blueprint, Learning, Lesson, Phase, Recipe, Shape, Size, Walk
from wamjax.recipes.objectives import sees

Form = Literal["first_frame", "joint", "idm", "no_video", "release", "robotwin"]

SHAPES: dict[Size, Shape] = {
    "full": Shape(
        words=128, text=4096, rows=7, columns=14, latent=192, chunk=32, action=7, proprio=8
    ),
    "tiny": Shape(words=8, text=16, rows=4, columns=4, latent=432, chunk=8, action=7, proprio=7),
}
# Three cameras in 384 x 320 pixels.
ROBOTWIN: dict[Size, Shape] = {
    "full": dataclasses.replace(SHAPES["full"], rows=12, columns=10, action=14, proprio=14),
    "tiny": SHAPES["tiny"],
}
# (width, feed-forward width) of video and of action; (layers, heads, head_dim)
Widths = tuple[tuple[int, int], tuple[int, int], tuple[int, int, int]]
WIDTHS: dict[Size, Widths] = {
    "full": ((3072, 14336), (1024, 4096), (30, 24, 128)),
    "tiny": ((48, 96), (32, 64), (2, 2, 12)),
}

VIDEO: Visibility = (
    ("video/clean", "video/clean", "all"),
    ("video/clean", "text/clean", "all"),
    ("video/noisy", "video/noisy", "all"),
    ("video/noisy", "video/clean", "all"),
    ("video/noisy", "text/clean", "all"),
)
ACTION = sees(("action/noisy",), ("video/clean", "text/clean", "proprio/clean"))
RELEASED: Visibility = (
    ("video/clean", "proprio/clean", "all"),
    ("video/noisy", "proprio/clean", "all"),
)
TABLES: dict[Form, Visibility] = {
    "first_frame": VIDEO + ACTION,
    "joint": VIDEO + ACTION + sees(("action/noisy",), ("video/noisy",)),
    "idm": VIDEO
    + ACTION
    + sees(("video/cond",), ("video/clean", "text/clean"))
    + sees(("action/noisy",), ("video/cond",)),
    "no_video": VIDEO + ACTION,
    "release": VIDEO + ACTION + RELEASED,
    "robotwin": VIDEO + ACTION + RELEASED,
}
OF_RELEASE: tuple[Form, ...] = ("release", "robotwin")
LEVELS = LevelsConfig(video=LevelLaw(shift=5.0), action=LevelLaw(shift=5.0))
COTRAIN = Learning(levels=LEVELS, pixel_shift=5.0, weight="bell")
LEARNING: dict[Form, Learning] = {
    "first_frame": COTRAIN,
    "joint": COTRAIN,
    "idm": COTRAIN,
    "no_video": dataclasses.replace(COTRAIN, lessons=(Lesson(losses=(("action", 1.0),)),)),
    "release": COTRAIN,
    "robotwin": COTRAIN,
}


def model(widths: Widths) -> WamConfig:
    """Both experts in one attention."""
    (width, mlp), (action_width, action_mlp), (depth, heads, head_dim) = widths
    return WamConfig(
        stacks=(
            Stack(
                name="main",
                depth=depth,
                heads=heads,
                head_dim=head_dim,
                experts=(
                    wan("video", width, mlp),
                    wan("action", action_width, action_mlp, memory="told"),
                ),
                rotary=WAN_ROTARY,
            ),
        ),
        ports=(
            Port(stream="text", into="text", embed="mlp", width=width, kind=False),
            Port(stream="text", into="told", embed="mlp", width=action_width, kind=False),
            Port(stream="proprio", into="told", width=action_width, kind=False),
            Port(stream="video", into="video", kind=False, head="table"),
            Port(stream="action", into="action", kind=False, positions="line", head="table"),
        ),
    )


def released(widths: Widths) -> WamConfig:
    """The same with the edges of the published weights."""
    base = model(widths)
    text, told, proprio, video, action = base.ports
    words = tuple(
        dataclasses.replace(proprio, into=port.into, through="text", width=port.width)
        for port in (text, told)
    )
    action = dataclasses.replace(action, head="linear")
    return dataclasses.replace(base, ports=(text, told, *words, video, action))


def fast_wam(size: Size, form: Form = "first_frame") -> Blueprint:
    """The system in one of its forms."""
    shapes = ROBOTWIN if form == "robotwin" else SHAPES
    return assembled(shapes[size], WIDTHS[size], form)


def assembled(shape: Shape, widths: Widths, form: Form, steps: int = 10) -> Blueprint:
    """The same at any size."""
    grid = shape.grid
    future: dict[str, Any] = {
        "frames": shape.future,
        "start": shape.past,
        "block": 1,
        **grid,
    }
    stride = shape.future / shape.chunk
    # Places of the actions: their own count, or the time of the frame that they lead to.
    line = (0.0, 1.0) if form in OF_RELEASE else (stride, stride)
    given = (
        Segment(stream="text", frames=shape.words),
        Segment(stream="proprio"),
        Segment(stream="video", frames=shape.past, **grid),
    )
    video = Segment(stream="video", copy="noisy", **future)
    again = Segment(stream="video", copy="cond", **future)
    action = Segment(
        stream="action", copy="noisy", frames=shape.chunk, start=line[0], stride=line[1], block=1
    )
    act = Phase(segments=(action,), levels=(("action", 1.0, 0.0),), steps=steps)
    imagine: tuple[Phase, ...] = ()
    match form:
        case "first_frame" | "release" | "robotwin":
            trained, program = (video, action), (act,)
            imagine = (Phase(segments=(video,), levels=(("video", 1.0, 0.0),), steps=steps),)
        case "no_video":
            trained, program = (action,), (act,)
        case "joint":
            trained = (video, action)
            levels: tuple[tuple[Stream, float, float], ...] = (
                ("video", 1.0, 0.0),
                ("action", 1.0, 0.0),
            )
            program = (Phase(segments=trained, levels=levels, steps=steps),)
        case "idm":
            trained = (video, again, action)
            see = Phase(
                segments=(video,), levels=(("video", 1.0, 0.0),), steps=steps, writes=(again,)
            )
            program = (see, act)
        case _:
            assert_never(form)
    return Blueprint(
        shape=shape,
        learning=LEARNING[form],
        walk=Walk(shifts=(("video", 5.0), ("action", 5.0))),
        imagine=imagine,
        model=released(widths) if form in OF_RELEASE else model(widths),
        features=(
            ("text", shape.text),
            ("proprio", shape.proprio),
            ("video", shape.latent),
            ("action", shape.action),
        ),
        training=Layout((*given, *trained), TABLES[form]),
        given=given,
        program=program,
    )


RECIPES = (
    Recipe(
        name="fast_wam",
        kind="WAM",
        coupling="mot",
        objective="cotrain (first_frame, release), joint, two_stage (idm), direct (no_video)",
        source="arXiv 2603.16666, yuantianyuan01/FastWAM",
        parts="Wan2.2-5B video expert and action expert",
        published="6 B",
        # On LIBERO.
        executed=10,
        deviations=(
            "All forms but release and robotwin: actions stand along time where the video does, "
            "not at 0, 1, ..., and leave by Wan's norm, level and table before the linear map; "
            "proprio has a map of its own to the action expert's memory, and the video does not "
            "read it.",
            "Text is masked where it is padding, instead of being zero there.",
        ),
        build=fast_wam,
        forms=get_args(Form),
    ),
)
