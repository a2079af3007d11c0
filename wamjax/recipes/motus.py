"""Motus (arXiv 2512.13030, thu-ml/Motus): three experts, one attention, one set of weights.

    video           Wan2.2-5B over the first frame (clean) and eight more, text by cross-attention
    action          width 1024 over the state and the actions, with four registers
    understanding   width 512 over the states of a frozen vision-language model, without a clock

Everything sees everything. Video and actions have their own noise levels, so that one set of
weights is sampled in five modes, by pinning a stream to noise (1: marginalised) or to data (0):

    mode               video      action
    joint              1 -> 0     1 -> 0
    policy             1          1 -> 0
    world model        1 -> 0     0
    inverse dynamics   0          1 -> 0
    video              1 -> 0     1

The form `release` is `joint` on the published network: state and actions enter through three layers
each, the state, the actions and the registers stand one behind the other at fixed places, all of
them at the actions' noise level (and the first frame at the video's), and the attention of both
small experts has no biases.
"""

import dataclasses
from typing import Literal, get_args

from wamjax.flow.levels import LevelLaw, LevelsConfig
from wamjax.model.config import Expert, Port, Stack, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment, Stream
from wamjax.model.visibility import Visibility
from wamjax.recipes.backbones import WAN_ROTARY, wan
from wamjax.recipes.blueprint import Blueprint, Learning, Phase, Recipe, Shape, Size, Walk

Mode = Literal["joint", "policy", "world_model", "inverse_dynamics", "video"]
Form = Literal[Mode, "release"]

SHAPES: dict[Size, Shape] = {
    "full": Shape(
        words=512,
        text=4096,
        rows=12,
        columns=10,
        future=2,
        latent=192,
        chunk=16,
        action=14,
        proprio=14,
    ),
    "tiny": Shape(words=8, text=16, rows=4, columns=4, latent=432, chunk=8, action=7, proprio=7),
}
# (width, feed-forward width) of video, action and understanding; layers, heads, head_dim;
# tokens and width of the vision-language model's states; registers
Widths = tuple[
    tuple[int, int],
    tuple[int, int],
    tuple[int, int],
    tuple[int, int, int],
    tuple[int, int],
    int,
]
WIDTHS: dict[Size, Widths] = {
    "full": ((3072, 14336), (1024, 4096), (512, 2048), (30, 24, 128), (256, 2048), 4),
    "tiny": ((48, 96), (32, 64), (24, 48), (2, 2, 12), (3, 20), 2),
}
TOKENS = (
    "video/clean",
    "video/noisy",
    "proprio/clean",
    "action/noisy",
    "register/clean",
    "feature/clean",
)
TABLE: Visibility = (
    *((query, key, "all") for query in TOKENS for key in TOKENS),
    ("video/clean", "text/clean", "all"),
    ("video/noisy", "text/clean", "all"),
)
LEVELS: dict[Form, tuple[tuple[Stream, float, float], ...]] = {
    "joint": (("video", 1.0, 0.0), ("action", 1.0, 0.0)),
    "policy": (("video", 1.0, 1.0), ("action", 1.0, 0.0)),
    "world_model": (("video", 1.0, 0.0), ("action", 0.0, 0.0)),
    "inverse_dynamics": (("video", 0.0, 0.0), ("action", 1.0, 0.0)),
    "video": (("video", 1.0, 0.0), ("action", 1.0, 1.0)),
    "release": (("video", 1.0, 0.0), ("action", 1.0, 0.0)),
}


def model(widths: Widths) -> WamConfig:
    """Three experts in one attention."""
    (width, mlp), (action, action_mlp), (mind, mind_mlp), (depth, heads, head_dim), _, _ = widths
    understanding = Expert(name="understanding", width=mind, mlp=mind_mlp, modulation="none")
    return WamConfig(
        stacks=(
            Stack(
                name="main",
                depth=depth,
                heads=heads,
                head_dim=head_dim,
                experts=(
                    wan("video", width, mlp),
                    wan("action", action, action_mlp, memory=None),
                    understanding,
                ),
                rotary=WAN_ROTARY,
            ),
        ),
        ports=(
            Port(stream="text", into="text", embed="mlp", width=width, kind=False),
            Port(stream="video", into="video", kind=False, head="table"),
            Port(stream="proprio", into="action", kind=False, positions="none"),
            Port(stream="register", into="action", embed="words", kind=False, positions="none"),
            Port(stream="action", into="action", kind=False, positions="line", head="table"),
            Port(stream="feature", into="understanding", embed="mlp", kind=False, positions="none"),
        ),
    )


def released(widths: Widths) -> WamConfig:
    """The same with the edges and the small experts of the published weights."""
    base = model(widths)
    (stack,), (text, video, proprio, register, action, feature) = base.stacks, base.ports
    trunk, acting, mind = stack.experts
    acting = dataclasses.replace(acting, attention_bias=False)
    mind = dataclasses.replace(
        mind, attention_bias=False, norm_weights=False, eps=1e-5, qk_norm="full", qk_eps=1e-5
    )
    placed = {"fixed_place": True, "positions": "none"}
    return dataclasses.replace(
        base,
        stacks=(dataclasses.replace(stack, experts=(trunk, acting, mind)),),
        ports=(
            text,
            dataclasses.replace(video, level_of="video"),
            dataclasses.replace(proprio, embed="silu_mlp", level_of="action", **placed),
            dataclasses.replace(register, level_of="action", **placed),
            dataclasses.replace(action, embed="silu_mlp", **placed),
            dataclasses.replace(feature, embed="silu_mlp"),
        ),
    )


def motus(size: Size, form: Form = "joint") -> Blueprint:
    """The system, sampled in one of its modes, or on the published network."""
    return assembled(SHAPES[size], WIDTHS[size], form)


def assembled(shape: Shape, widths: Widths, form: Form, steps: int = 10) -> Blueprint:
    """The same at any size."""
    *_, (states, width), registers = widths
    grid = shape.grid
    # Places of the actions: the time of the frame that they lead to, or their own count behind the
    # state; what stands at their noise level enters in their block.
    whole = form == "release"
    start, stride = (1.0, 1.0) if whole else (shape.future / shape.chunk,) * 2
    beside, last = (1, shape.chunk + 1.0) if whole else (0, 0.0)
    text = Segment(stream="text", frames=shape.words)
    rest = (
        Segment(stream="video", frames=shape.past, block=beside, **grid),
        Segment(stream="proprio", block=beside),
        Segment(stream="register", frames=registers, start=last, block=beside),
        Segment(stream="feature", frames=states),
        Segment(
            stream="video", copy="noisy", frames=shape.future, start=shape.past, block=1, **grid
        ),
        Segment(
            stream="action", copy="noisy", frames=shape.chunk, start=start, stride=stride, block=1
        ),
    )
    imagine = (Phase(segments=rest, levels=LEVELS["video"], steps=steps),)
    return Blueprint(
        shape=shape,
        walk=Walk(shifts=(("video", 5.0), ("action", 5.0))),
        imagine=imagine if form == "policy" else (),
        learning=Learning(
            encoded=(("feature", "all"),),
            levels=LevelsConfig(video=LevelLaw(shift=5.0), action=LevelLaw(shift=5.0)),
            pixel_shift=5.0,
        ),
        model=released(widths) if whole else model(widths),
        features=(
            ("text", shape.text),
            ("video", shape.latent),
            ("proprio", shape.proprio),
            ("register", registers),
            ("action", shape.action),
            ("feature", width),
        ),
        training=Layout((text, *rest), TABLE),
        # Everything sees everything: only the text's keys do not change from step to step.
        given=(text,),
        program=(Phase(segments=rest, levels=LEVELS[form], steps=steps),),
        answers=("video",) if form in ("world_model", "video") else ("action",),
    )


RECIPES = (
    Recipe(
        name="motus",
        kind="hybrid",
        coupling="mot",
        objective="joint, independent levels",
        source="arXiv 2512.13030, thu-ml/Motus",
        parts="video (5.00 B), action (641.5 M) and understanding (253.5 M) experts",
        published="5.895 B",
        deviations=(
            "The vision-language model (Qwen3-VL-2B, frozen) is outside; its states are an input.",
            "All forms but release: state and actions enter through one layer, actions stand along "
            "time where the video does, first frame, state and registers have noise level 0, the "
            "small experts' attention has biases, and the understanding expert's norms weights.",
            "The publication says that levels are logit-normal; as in the source they are uniform, "
            "with shift 5.",
        ),
        build=motus,
        forms=get_args(Form),
    ),
)
