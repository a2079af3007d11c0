"""LingBot-VA (arXiv 2601.21998, robbyant/lingbot-va): video and actions, block after block.

    training     noisy video, clean video, noisy action, clean action of the whole episode

    block(video frame f) = 2 floor(f / chunk),  block(actions behind frame f) = that + 1

    query    key      allowed
    clean    clean    key block <= query block
    noisy    clean    key block <  query block
    noisy    noisy    key block == query block
    clean    noisy    never

So the noisy actions of a chunk see its clean video (inverse dynamics), and no action sees noisy
video. At test time a chunk's video is denoised and written to the cache, then its actions; what was
predicted goes with the chunk, and what was observed takes its place (recipes.episode).

The paper also learns forward dynamics: half of the examples are shown the actions that lead to a
chunk's video, which then see and are seen by nothing but

    query    key      allowed
    cond     clean    key block <  query block
    cond     cond     key block == query block
    noisy    cond     video queries, key block == query block

    dynamics   velocity of video[i] given video[< i], actions[< i]
    forward    velocity of video[i] given video[< i], actions[< i], actions[i]
    inverse    velocity of actions[i] given video[<= i], actions[< i]

Loss: one of the first two by the role that an example draws, weight 1 each, and always the third.

    form         actions                                        cameras, chunk, steps
    release      tokens in the video's trunk                    RoboTwin
    paper        an expert of width 768 in the same attention   RoboTwin
    async        the paper's weights: while a chunk is executed, forward dynamics imagine what it
                 will lead to, and the next chunk is sampled behind that (recipes.episode)
    deployed     the paper's weights as its robots run them: the video stops at noise level 0.4
                 after 3 steps, and the actions read it there
    world_model  the paper's weights: the video that known actions lead to
    real_robot   as the release                                 three cameras side by side (franka)
"""

import dataclasses
from typing import Literal, assert_never, get_args

from wamjax.core.by_frame import per_frame
from wamjax.flow.levels import LevelLaw, LevelsConfig
from wamjax.model.config import Port, Stack, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Copy, Segment, Stream
from wamjax.model.visibility import Visibility
from wamjax.recipes.backbones import WAN_ROTARY, wan
from wamjax.recipes.blueprint import (
    Blueprint,
    Learning,
    NoisyHistory,
    Phase,
    Recipe,
    Role,
    Shape,
    Size,
    Walk,
)

Form = Literal["release", "paper", "async", "deployed", "world_model", "real_robot"]

ROBOTWIN: dict[Size, Shape] = {
    "full": Shape(
        words=512,
        text=4096,
        rows=12,
        columns=10,
        past=2,
        future=2,
        latent=192,
        chunk=32,
        action=30,
        proprio=0,
    ),
    "tiny": Shape(
        words=8,
        text=16,
        rows=4,
        columns=4,
        past=2,
        future=2,
        latent=432,
        chunk=8,
        action=7,
        proprio=0,
    ),
}
# 210 tokens a latent frame: three cameras of 224 x 320 in a row, a token for 32 x 32 pixels.
FRANKA: dict[Size, Shape] = {
    "full": dataclasses.replace(
        ROBOTWIN["full"], rows=7, columns=30, past=4, future=4, chunk=4 * 20
    ),
    "tiny": dataclasses.replace(ROBOTWIN["tiny"], past=4, future=4, chunk=4 * 4),
}
# (width, feed-forward width) of video and action; layers, heads, head_dim
WIDTHS = {
    "full": ((3072, 14336), (768, 1536), (30, 24, 128)),
    "tiny": ((96, 192), (48, 96), (2, 4, 24)),
}
STREAMS: tuple[Stream, ...] = ("video", "action")
TABLE: Visibility = (
    *((f"{q}/clean", f"{k}/clean", "past") for q in STREAMS for k in STREAMS),
    *((f"{q}/noisy", f"{k}/clean", "before") for q in STREAMS for k in STREAMS),
    *((f"{q}/noisy", f"{k}/noisy", "same") for q in STREAMS for k in STREAMS),
    *((f"{q}/{copy}", "text/clean", "all") for q in STREAMS for copy in ("clean", "noisy")),
)
# Executed actions that stand beside the noisy video they lead to, in its time block.
FORWARD: Visibility = (
    ("action/cond", "text/clean", "all"),
    *(("action/cond", f"{k}/clean", "before") for k in STREAMS),
    ("action/cond", "action/cond", "same"),
    ("video/noisy", "action/cond", "same"),
)
ROLES = (Role(share=0.5), Role(share=0.5, given=("action/cond",)))
OF_PAPER: tuple[Form, ...] = ("paper", "async", "deployed", "world_model")


@dataclasses.dataclass(frozen=True)
class Setting:
    """A published setting: shapes, time blocks that are seen, steps of video and of actions, and
    the noise level at which the video stops."""

    shapes: dict[Size, Shape]
    window: dict[Size, int]
    steps: tuple[int, int]
    stop: float = 0.0


SIMULATED = Setting(ROBOTWIN, {"full": 72, "tiny": 6}, (25, 50))
DEPLOYED = dataclasses.replace(SIMULATED, steps=(3, 10), stop=0.4)
REAL = Setting(FRANKA, {"full": 30, "tiny": 6}, (5, 10))
SETTINGS: dict[Form, Setting] = {
    "release": SIMULATED,
    "paper": SIMULATED,
    "async": SIMULATED,
    "deployed": DEPLOYED,
    "world_model": SIMULATED,
    "real_robot": REAL,
}
LEVELS = LevelsConfig(video=LevelLaw(shift=5.0), action=LevelLaw())


def model(size: Size, form: Form) -> WamConfig:
    """One trunk, or two experts in one attention."""
    (width, mlp), (action, action_mlp), (depth, heads, head_dim) = WIDTHS[size]
    video, split = wan("video", width, mlp), form in OF_PAPER
    # The released trunk norms both streams' predictions by one table, and has two clocks.
    table = "" if split else "out"
    experts = (video, wan("action", action, action_mlp, memory=None)) if split else (video,)
    return WamConfig(
        stacks=(
            Stack(
                name="main",
                depth=depth,
                heads=heads,
                head_dim=head_dim,
                experts=experts,
                rotary=WAN_ROTARY,
            ),
        ),
        ports=(
            Port(stream="text", into="text", embed="mlp", width=width, kind=False),
            Port(stream="video", into="video", kind=False, head="table", shared_table=table),
            Port(
                stream="action",
                into="action" if split else "video",
                kind=False,
                head="table",
                own_level=not split,
                shared_table=table,
            ),
        ),
    )


def piece(shape: Shape, stream: Stream, copy: Copy, frame: int) -> Segment:
    """The video tokens of a latent frame, or the actions that follow it."""
    block = 2 * (frame // shape.future)
    if stream == "video":
        return Segment(
            stream="video",
            copy=copy,
            rows=shape.rows,
            columns=shape.columns,
            start=frame,
            block=block,
        )
    count = per_frame(shape.chunk, shape.future)
    step = 1 / (count + 1)
    return Segment(
        stream="action",
        copy=copy,
        frames=count,
        start=frame + step,
        stride=step,
        block=block if copy == "cond" else block + 1,
        corner=(-1.0, -1.0),
    )


def observed(shape: Shape, frames: range) -> tuple[Segment, ...]:
    """What is written for latent frames that were seen, and for the actions that followed."""
    return tuple(piece(shape, stream, "clean", frame) for frame in frames for stream in STREAMS)


def sampled(
    shape: Shape, form: Form, setting: Setting
) -> tuple[tuple[Phase, ...], int, tuple[Stream, ...]]:
    """The program of a form, how many of its phases foresee, and what it answers."""
    video_steps, action_steps = setting.steps
    ahead = range(shape.past, shape.past + shape.future)
    behind = range(ahead.stop, ahead.stop + shape.future)

    def run(stream: Stream, copy: Copy, frames: range) -> tuple[Segment, ...]:
        return tuple(piece(shape, stream, copy, frame) for frame in frames)

    def chunk(frames: range) -> tuple[Phase, ...]:
        return (
            Phase(
                segments=run("video", "noisy", frames),
                levels=(("video", 1.0, setting.stop),),
                steps=video_steps,
                guidance=2,
                writes=run("video", "clean", frames),
            ),
            Phase(
                segments=run("action", "noisy", frames),
                levels=(("action", 1.0, 0.0),),
                steps=action_steps,
                writes=run("action", "clean", frames),
            ),
        )

    forward = Phase(
        segments=(*run("action", "cond", ahead), *run("video", "noisy", ahead)),
        levels=(("video", 1.0, 0.0),),
        steps=video_steps,
        guidance=2,
        writes=observed(shape, ahead),
    )
    match form:
        case "async":
            return (forward, *chunk(behind)), 1, ("action",)
        case "world_model":
            return (forward,), 0, ("video",)
        case "release" | "paper" | "deployed" | "real_robot":
            return chunk(ahead), 0, ("action",)
        case _:
            assert_never(form)


def lingbot_va(size: Size, form: Form = "release") -> Blueprint:
    """Training on an episode of past + future frames; one chunk behind the past."""
    setting = SETTINGS[form]
    shape = setting.shapes[size]
    whole = range(shape.past + shape.future)
    text = Segment(stream="text", frames=shape.words)
    told: tuple[Copy, ...] = ("cond",) if form in OF_PAPER else ()
    copies: dict[Stream, tuple[Copy, ...]] = {
        "video": ("clean", "noisy"),
        "action": ("clean", *told, "noisy"),
    }
    trained = tuple(
        piece(shape, stream, copy, frame)
        for stream in STREAMS
        for copy in copies[stream]
        for frame in whole
    )
    program, foreseen, answers = sampled(shape, form, setting)
    # Where the video stops half-way, a future is walked to its end apart.
    steps, _ = SIMULATED.steps
    whole = dataclasses.replace(program[0], levels=(("video", 1.0, 0.0),), steps=steps, writes=())
    return Blueprint(
        shape=shape,
        walk=Walk(shifts=(("video", 5.0),), guidance=(("video", 5.0),)),
        learning=Learning(
            levels=LEVELS,
            pixel_shift=5.0,
            weight="bell",
            apart=True,
            noisy_history=NoisyHistory(),
            roles=ROLES if told else (),
        ),
        model=model(size, form),
        features=(("text", shape.text), ("video", shape.latent), ("action", shape.action)),
        training=Layout(
            (text, *trained), (*TABLE, *FORWARD) if told else TABLE, setting.window[size]
        ),
        given=(text, *observed(shape, range(shape.past))),
        program=program,
        imagine=(whole,) if setting.stop else (),
        foreseen=foreseen,
        answers=answers,
    )


RECIPES = (
    Recipe(
        name="lingbot_va",
        kind="WAM",
        coupling="trunk",
        objective="joint, a level per latent frame, teacher forcing",
        source="arXiv 2601.21998, robbyant/lingbot-va",
        parts="Wan2.2-5B trunk",
        published="5 B",
        deviations=(
            "Guidance runs the video's passes twice; the release also doubles the actions' passes.",
            "A policy prefills the last frames anew for each chunk: the cache that is kept from "
            "chunk to chunk (recipes.episode) is not carried through rollouts. The passes that are "
            "counted are those of a first chunk, of async too.",
            "Noisy history: levels are uniform in 0 ... 0.5, one for each latent frame; the law "
            "within the published half of the schedule could not be verified.",
            "Executed actions are padding unless system.past_actions and data.past_actions ask for "
            "them; at an episode's start they are padding, not zeros.",
            "One chunk length and one window are trained, not 1 to 4 latent frames and 4 to 64 "
            "blocks drawn for each batch; no text is dropped, so the tiny form is not guided; the "
            "loss has no bell weight; actions have shift 1, not the 0.05 of the released LIBERO "
            "setting, which has no form.",
            "deployed: that the half-denoised video is read at the level it stopped at, as noisy "
            "history is in training, is inferred; frames that are shown are walked to the end, in "
            "the steps of the simulated setting.",
            "paper: a feed-forward width of 1536 is inferred from the published 350 M. Of forward "
            "dynamics the authors say that a sequence is trained by it or by the usual video loss, "
            "at random, with coefficient 1 (issue 85 of the repository). Ours are: the even draw, "
            "for each example; that it is made in all of training and not in post-training alone; "
            "that the action loss stays beside it; and that the executed actions see what lies "
            "before their chunk.",
            "async: the code is not published. The whole chunk under way is imagined, in as many "
            "steps as video is usually walked; the passes are those of the imagination and of the "
            "next chunk. Worlds wait for their policy: rollouts play the paper form.",
        ),
        build=lingbot_va,
        forms=get_args(Form),
    ),
)
