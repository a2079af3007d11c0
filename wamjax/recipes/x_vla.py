"""X-VLA (arXiv 2510.10274, 2toinf/X-VLA): prompts and edges of its own for every embodiment.

    reader   the encoder of Florence-2 (BART) over the main camera's features and the words
    policy   actions, what the reader made, the other cameras' features, 32 soft prompts;
             everything sees everything

An action token is one linear map, of its embodiment, of [noisy action, state, noise level]. The
network predicts the clean action: positions, rotations and grippers are scored apart, the grippers
as logits whose noisy values are not shown. Each of the ten steps mixes the prediction with the same
noise (`remix`).
"""

import dataclasses

from wamjax.flow.levels import LevelsConfig
from wamjax.flow.losses import Part
from wamjax.model.config import Port, Stack, Take, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
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
from wamjax.recipes.objectives import sees

# `text` is the size of the vocabulary, `latent` the width of the image encoder's features.
SHAPES: dict[Size, Shape] = {
    "full": Shape(
        words=64,
        text=51_289,
        views=3,
        rows=7,
        columns=7,
        future=0,
        latent=1024,
        chunk=30,
        action=20,
        proprio=20,
    ),
    "tiny": Shape(
        words=8,
        text=512,
        views=2,
        rows=2,
        columns=2,
        future=0,
        latent=12,
        chunk=8,
        action=7,
        proprio=7,
    ),
}
# width, layers of reader and policy, heads; domains and soft prompts of each
WIDTHS = {"full": (1024, 12, 24, 16, 30, 32), "tiny": (48, 2, 2, 2, 3, 2)}
READER = ("image/clean", "word/clean")
POLICY = (*READER, "feature/clean", "register/clean", "action/noisy")
# Of a clean action: positions, rotations and grippers. The full form has two arms of [xyz, the
# first two columns of the rotation, gripper], unnormalised, with the published weights. The tiny
# form's numbers are normalised, their spread is one: the published weights times the squared spread
# of an absolute pose, about (0.1 m)^2 and (0.3)^2.
PARTS: dict[Size, tuple[Part, ...]] = {
    "full": (
        Part(dimensions=(0, 1, 2, 10, 11, 12), weight=500.0),
        Part(dimensions=(*range(3, 9), *range(13, 19)), weight=10.0),
        Part(dimensions=(9, 19), weight=1.0, loss="binary"),
    ),
    "tiny": (
        Part(dimensions=(0, 1, 2), weight=5.0),
        Part(dimensions=(3, 4, 5), weight=1.0),
        Part(dimensions=(6,), weight=1.0, loss="binary"),
    ),
}
LEARNING = Learning(
    encoded=(("image", "own"), ("feature", "others")),
    beside=(("action", "state"),),
    levels=LevelsConfig(stratified=True),
    lessons=(Lesson(losses=(("action", 1.0),)),),
)


def x_vla(size: Size) -> Blueprint:
    """The network; values of an action token are (noisy action, state)."""
    shape = SHAPES[size]
    width, below, above, heads, domains, prompts = WIDTHS[size]
    config = WamConfig(
        stacks=(
            Stack(
                name="reader",
                depth=below,
                heads=heads,
                head_dim=width // heads,
                experts=(vit("reader", width, 4 * width),),
                rotary=None,
            ),
            Stack(
                name="policy",
                depth=above,
                heads=heads,
                head_dim=width // heads,
                experts=(vit("policy", width, 4 * width),),
                rotary=None,
                takes=(Take(stack="reader", kinds=READER, expert="policy"),),
            ),
        ),
        ports=(
            Port(stream="image", into="reader", place=True, kind=False),
            Port(stream="word", into="reader", embed="words", place=True, kind=False),
            Port(stream="feature", into="policy", place=True, kind=False),
            Port(stream="register", into="policy", embed="words", kind=False, domains=domains),
            Port(
                stream="action",
                into="policy",
                embed="timed_linear",
                place=True,
                kind=False,
                head="plain",
                out=shape.action,
                domains=domains,
            ),
        ),
    )
    patches = shape.rows * shape.columns
    given = (
        Segment(stream="image", frames=patches),
        Segment(stream="word", frames=shape.words),
    )
    rest = (
        Segment(stream="feature", frames=(shape.views - 1) * patches, view=1),
        Segment(stream="register", frames=prompts),
        Segment(stream="action", copy="noisy", frames=shape.chunk),
    )
    return Blueprint(
        shape=shape,
        learning=dataclasses.replace(LEARNING, parts=PARTS[size]),
        walk=Walk(predictions=(("action", "clean"),), solver="remix"),
        model=config,
        features=(
            ("image", shape.latent),
            ("word", shape.text),
            ("feature", shape.latent),
            ("register", prompts),
            ("action", shape.action + shape.proprio),
        ),
        training=Layout((*given, *rest), sees(READER, READER) + sees(POLICY, POLICY)),
        # The reader's tokens go on into the policy, where they see the actions.
        given=(),
        program=(Phase(segments=(*given, *rest), levels=(("action", 1.0, 0.0),), steps=10),),
    )


RECIPES = (
    Recipe(
        name="x_vla",
        kind="VLA",
        coupling="none",
        objective="direct, clean prediction",
        source="arXiv 2510.10274, 2toinf/X-VLA",
        parts="BART encoder with its words and the policy transformer",
        published="879.7 M",
        counted="counted by a third party; the publication says 0.9 B",
        outside=(
            Outside(
                name="DaViT of Florence-2 large",
                parameters=360_000_000,
                source="the 771 M of Florence-2 large without BART (407 M) and projection",
            ),
        ),
        deviations=(
            "DaViT is outside; its features are an input.",
            "The reader passes again in every step; with a cache between the stacks it need not.",
            "BART's norms stand behind its layers, here before them.",
            "Published weights of the loss are 500, 10 and 1 for metres, rotation columns and "
            "grippers; the tiny form's numbers are normalised, its weights 5, 1 and 1, and its "
            "rotations a vector of three.",
            "A part's mean is over both arms together; whether each arm's counts by itself is "
            "unverified.",
            "All weights learn from the first step at one rate; published, soft prompts and edges "
            "learn alone for 1,000 steps, and prompts and encoder at a tenth of the rate.",
        ),
        build=x_vla,
    ),
)
