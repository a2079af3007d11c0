"""Octo (arXiv 2405.12213, octo-models/octo): read-out tokens and a small diffusion head.

    query                may see
    word                 words
    image, time t        words, images up to t
    read-out, time t     words, images up to t, itself; nobody sees it

    head   a feed-forward network on the noisy chunk as one token, with the read-out added

In form "goal" the stem of a camera looks at a frame and at the frame of a goal, which half of the
examples are told instead of the instruction; there are no tokens more.

The backbone passes once; twenty steps of the head follow (DDPM, noise prediction).
"""

import dataclasses
from typing import Literal, get_args

from wamjax.flow.levels import LevelLaw, LevelsConfig
from wamjax.model.config import Clock, Expert, Port, Stack, Take, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
from wamjax.model.visibility import Visibility
from wamjax.recipes.backbones import vit
from wamjax.recipes.blueprint import (
    Blueprint,
    Learning,
    Lesson,
    Outside,
    Phase,
    Recipe,
    Shape,
    Size,
    Walk,
)

Form = Literal["language", "goal"]
HISTORY = 2
# Of the examples that have both, how many are told the goal.
GOAL_SHARE = 0.5
# Values of the images are features of the convolutional stems; `text` those of T5-base.
SHAPES: dict[Size, Shape] = {
    "full": Shape(
        words=16,
        text=768,
        rows=16,
        columns=20,
        past=HISTORY,
        future=0,
        latent=512,
        chunk=4,
        action=7,
        proprio=0,
    ),
    "tiny": Shape(
        words=8,
        text=16,
        rows=2,
        columns=2,
        past=HISTORY,
        future=0,
        latent=12,
        chunk=8,
        action=7,
        proprio=0,
    ),
}
# width, layers, heads; width and layers of the head, which a whole chunk must pass
WIDTHS = {"full": (768, 12, 12, 256, 3), "tiny": (48, 2, 2, 96, 2)}
TABLE: Visibility = (
    ("text/clean", "text/clean", "all"),
    ("feature/clean", "text/clean", "all"),
    ("feature/clean", "feature/clean", "past"),
    ("register/clean", "text/clean", "all"),
    ("register/clean", "feature/clean", "past"),
    ("register/clean", "register/clean", "itself"),
    ("action/noisy", "action/noisy", "itself"),
)
LEARNING = Learning(
    encoded=(("feature", "own"),),
    levels=LevelsConfig(action=LevelLaw(law="cosine", entries=20)),
    lessons=(Lesson(losses=(("action", 1.0),)),),
)


def octo(size: Size, form: Form = "language") -> Blueprint:
    """The base model, with the read-out of the newest step feeding the head.

    Args:
        form: told what to do by words alone, or by words or by a goal.
    """
    shape = SHAPES[size]
    width, depth, heads, thin, layers = WIDTHS[size]
    config = WamConfig(
        stacks=(
            Stack(
                name="main",
                depth=depth,
                heads=heads,
                head_dim=width // heads,
                experts=(vit("main", width, 4 * width),),
                rotary=None,
            ),
            Stack(
                name="head",
                depth=layers,
                heads=0,
                head_dim=0,
                experts=(
                    Expert(
                        name="head",
                        width=thin,
                        mlp=4 * thin,
                        activation="silu",
                        modulation="none",
                        clock=Clock(features=32),
                    ),
                ),
                rotary=None,
                takes=(Take(stack="main", kinds=("register/clean",), expert="head", add=True),),
            ),
        ),
        ports=(
            Port(stream="text", into="main", place=True),
            Port(stream="feature", into="main", place=True),
            Port(stream="register", into="main", embed="words"),
            Port(stream="action", into="head", embed="timed_linear", kind=False, head="plain"),
        ),
    )
    words = Segment(stream="text", frames=shape.words)
    images = tuple(
        Segment(stream="feature", frames=shape.rows * shape.columns, block=block)
        for block in range(shape.past)
    )
    readout = Segment(stream="register", block=shape.past - 1)
    action = Segment(stream="action", copy="noisy", block=shape.past - 1)
    given = (words, *images)
    return Blueprint(
        shape=shape,
        learning=dataclasses.replace(LEARNING, goal=GOAL_SHARE if form == "goal" else None),
        walk=Walk(
            predictions=(("action", "noise"),), solver="ddpm", grid="cosine", floor=1e-3, clip=5.0
        ),
        model=config,
        features=(
            ("text", shape.text),
            ("feature", shape.latent),
            ("register", 1),
            ("action", shape.chunk * shape.action),
        ),
        training=Layout((*given, readout, action), TABLE),
        # The head adds the read-out to its token: both pass together.
        given=given,
        program=(Phase(segments=(readout, action), levels=(("action", 1.0, 0.0),), steps=20),),
    )


RECIPES = (
    Recipe(
        name="octo",
        kind="VLA",
        coupling="none",
        objective="direct, noise prediction",
        source="arXiv 2405.12213, octo-models/octo",
        parts="the base transformer and its diffusion head",
        published="93 M",
        outside=(
            Outside(
                name="a convolutional stem for each camera",
                parameters=2 * 1_058_048,
                source="octo/model/components/vit_encoders.py, on a frame and a goal",
            ),
            Outside(
                name="positions of images for ten steps instead of one",
                parameters=9 * 320 * 768,
                source="scripts/configs/config.py",
            ),
            Outside(
                name="a projection of its own for the second camera",
                parameters=513 * 768,
                source="features times width",
            ),
        ),
        deviations=(
            "T5-base and the convolutional stems stand outside; 93 M counts the stems.",
            "Both cameras' features pass one projection, and positions are those of one step.",
            "One read-out, of the newest step; the published model has one per step, and a word "
            "sequence repeated at each step.",
            "The read-out token passes the backbone in every step of the head instead of once.",
            "Noise prediction is sampled (the blueprint's walk, DDPM) but trained nowhere here: "
            "trained is the velocity, and the noise is made of it. In a few hundred steps the "
            "noise itself is not learned well enough for DDPM's first step, which multiplies its "
            "error by 30.",
            "Goals are read in form goal alone, whose training drops goal or instruction; its "
            "policy is told the instruction, since the worlds show no goals.",
        ),
        build=octo,
        forms=get_args(Form),
    ),
)
