"""Cosmos-Policy (arXiv 2601.16163, NVlabs/cosmos-policy): everything is a latent frame.

    blank, proprio, wrist, third person | action, next proprio, next wrist, next third person, value

Cosmos-Predict2-2B denoises them in one sequence in which everything sees everything, at one noise
level. Numbers are painted into a frame: tiled until it is full, and read as the mean of the copies
(codec.paint). What is given stands in its place at level 0:

    role           share   given                       denoised
    policy         1/2     proprio, images             action, next proprio, next images, value
    world model    1/4     and the action              next proprio, next images, value
    value          1/4     and what comes next         value

A batch mixes the roles; a form is the role in which the one set of weights is sampled. The value
is that of what comes next: gamma^k, k control steps before a solved episode ends (gamma 0.99), and
0 where it failed. Planning draws chunks in the first role, their futures in the second and the
futures' values in the third, and executes the best (recipes.planning).
"""

from typing import Literal, get_args

from wamjax.flow.levels import LevelLaw, LevelsConfig
from wamjax.model.config import Port, Stack, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
from wamjax.recipes.backbones import COSMOS_ROTARY, cosmos
from wamjax.recipes.blueprint import Blueprint, Learning, Lesson, Phase, Recipe, Shape, Size, Walk
from wamjax.recipes.blueprint import Role as TrainedRole
from wamjax.recipes.objectives import sees
from wamjax.recipes.planning import Planning

Role = Literal["policy", "world_model", "value"]

SHAPES: dict[Size, Shape] = {
    "full": Shape(
        words=512,
        text=1024,
        rows=14,
        columns=14,
        past=4,
        future=5,
        latent=72,
        chunk=16,
        action=7,
        proprio=9,
    ),
    "tiny": Shape(
        words=8,
        text=16,
        rows=4,
        columns=4,
        past=4,
        future=5,
        latent=486,
        chunk=8,
        action=7,
        proprio=7,
    ),
}
# width, feed-forward width, layers, heads, head_dim, rank
WIDTHS = {"full": (2048, 8192, 28, 16, 128, 256), "tiny": (48, 96, 2, 2, 24, 8)}
GIVEN = ("blank", "proprio", "wrist", "third_person")
NEXT = ("action", "next_proprio", "next_wrist", "next_third_person", "value")
CONDITION: dict[Role, tuple[str, ...]] = {
    "policy": (),
    "world_model": ("action",),
    "value": ("action", "next_proprio", "next_wrist", "next_third_person"),
}
FRAMES = ("video/clean", "video/cond", "video/noisy")
TABLE = sees(FRAMES, (*FRAMES, "text/clean"))


LEARNING = Learning(
    beside=(("video", "given"),),
    levels=LevelsConfig(video=LevelLaw(law="edm", mean=1.3862943611198906, std=1.2, shift=3.0)),
    painted=(
        *("blank", "state", "camera 1", "camera 0"),
        *("action", "state", "camera 1", "camera 0", "value"),
    ),
    discount=0.99,
    planning=Planning(
        candidates=8,
        futures=3,
        values=(1, 2, 3, 4, 5),
        policy="policy",
        world="world_model",
        judge="value",
    ),
    roles=(
        TrainedRole(share=1 / 2),
        TrainedRole(share=1 / 4, given=("action",)),
        TrainedRole(share=1 / 4, given=("action", "state", "camera 1", "camera 0")),
    ),
    lessons=(Lesson(losses=(("video", 1.0),)),),
)


def model(size: Size) -> WamConfig:
    """Cosmos' trunk alone: no parameter is new."""
    width, mlp, depth, heads, head_dim, rank = WIDTHS[size]
    return WamConfig(
        stacks=(
            Stack(
                name="main",
                depth=depth,
                heads=heads,
                head_dim=head_dim,
                experts=(cosmos("video", width, mlp, rank=rank),),
                rotary=COSMOS_ROTARY,
            ),
        ),
        ports=(
            Port(stream="text", into="text", embed="as_is", width=SHAPES[size].text, kind=False),
            # 16 latent channels, the condition mask and the padding mask, in squares of 2 x 2.
            Port(
                stream="video",
                into="video",
                kind=False,
                head="low_rank",
                bias=False,
                out=SHAPES[size].latent * 8 // 9,
            ),
        ),
    )


def cosmos_policy(size: Size, role: Role = "policy") -> Blueprint:
    """The sequence of nine latent frames in one of its roles."""
    shape = SHAPES[size]
    grid = shape.grid
    text = Segment(stream="text", frames=shape.words)

    def frames(role: Role) -> tuple[Segment, ...]:
        given = (Segment(stream="video", start=place, **grid) for place in range(len(GIVEN)))
        future = (
            Segment(
                stream="video",
                copy="cond" if name in CONDITION[role] else "noisy",
                start=len(GIVEN) + place,
                block=1,
                **grid,
            )
            for place, name in enumerate(NEXT)
        )
        return (*given, *future)

    return Blueprint(
        shape=shape,
        learning=LEARNING,
        walk=Walk(solver="adams_bashforth", grid="edm"),
        model=model(size),
        features=(("text", shape.text), ("video", shape.latent)),
        training=Layout((text, *frames("policy")), TABLE),
        # Everything sees everything: only the text's keys do not change from step to step.
        given=(text,),
        program=(Phase(segments=frames(role), levels=(("video", 1.0, 0.0),), steps=5),),
        answers=("video",),
    )


RECIPES = (
    Recipe(
        name="cosmos_policy",
        kind="WAM",
        coupling="latent_frame",
        objective="joint, one level, roles",
        source="arXiv 2601.16163, NVlabs/cosmos-policy",
        parts="Cosmos-Predict2-2B",
        published="1.955 B",
        counted="the 3.91 GB of the checkpoint of Cosmos-Predict2-2B, two bytes each",
        deviations=(
            "The condition and padding masks are part of a token's values, given by the caller.",
            "Sampling stops at sigma 4 of its own scale, level 4/5 here, and ends with one clean "
            "prediction.",
            "What comes after the end of an episode repeats the last frame in the release; here "
            "those frames are hidden and not scored, and only the value, 1 where the task was "
            "solved, stands.",
            "Every window may be in every role; the release keeps the world model and the value "
            "for rollouts, half of them failures, and its planner is another checkpoint, trained "
            "on 10 % demonstrations and 90 % rollouts, whose value does not see the present.",
            "Values of a chunk are averaged, as in the release's default; its ALOHA planner takes "
            "the mean of the majority. Nothing is searched deeper than one chunk.",
            "ALOHA's discount is 0.998; here it is 0.99 everywhere.",
        ),
        build=cosmos_policy,
        forms=get_args(Role),
    ),
)
