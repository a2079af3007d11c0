"""Cosmos-Policy (arXiv 2601.16163, NVlabs/cosmos-policy): everything is a latent frame.

    blank, proprio, wrist, third person | action, next proprio, next wrist, next third person, value

Cosmos-Predict2-2B denoises them in one sequence in which everything sees everything, at one noise
level. Numbers are painted into a frame: tiled until it is full, and read as the mean of the copies
(codec.paint). What is given stands in its place at level 0:

    role           share   given                       denoised
    policy         1/2     proprio, images             action, next proprio, next images, value
    world model    1/4     and the action              next proprio, next images, value
    value          1/4     and what comes next         value

A batch mixes the roles; a form is the role in which the one set of weights is sampled.
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
        *("action", "unknown", "camera 1", "camera 0", "unknown"),
    ),
    # The value role has nothing to learn from windows without values; the others keep their ratio.
    roles=(TrainedRole(share=2 / 3), TrainedRole(share=1 / 3, given=("action",))),
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
                head="table",
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
        program=(Phase(segments=frames(role), levels=(("video", 80 / 81, 4 / 5),), steps=5),),
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
            "Windows record neither a value nor the next state: those two frames are hidden and "
            "not scored, form `value`, which would learn nothing, is refused, and batches mix the "
            "other two roles, 2 to 1.",
            "There is no planning: the published best of N candidates by value needs that frame.",
        ),
        build=cosmos_policy,
        forms=get_args(Role),
    ),
)
