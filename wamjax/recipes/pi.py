"""pi0 (arXiv 2410.24164) and pi0.5 (arXiv 2504.16054), Physical-Intelligence/openpi.

    vision    SigLIP So400m/14 over each camera's patches
    context   Gemma 2B over the images' tokens and the words
    action    Gemma 300M in the same attention, over the state and the actions

    query           may see
    image, word     images and words
    state (pi0)     images, words, itself
    action          images, words, the state, all actions

              the noise level enters                 the state is
    pi0       beside each action (`timed`)           a token of the action expert
    pi0.5     through adaptive RMS norms             256 bins among the words

The context's keys are made once; ten Euler steps of the action expert follow.
"""

from typing import Literal

from wamjax.flow.levels import LevelLaw, LevelsConfig
from wamjax.model.config import Port, Stack, Take, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
from wamjax.recipes.backbones import LINE_ROTARY, gemma, gemma_flow, vit
from wamjax.recipes.blueprint import Blueprint, Learning, Lesson, Phase, Recipe, Shape, Size
from wamjax.recipes.objectives import sees

Version = Literal["pi0", "pi05"]

# `text` is the size of the vocabulary, `latent` a patch of 14 x 14 pixels.
SHAPES: dict[Version, dict[Size, Shape]] = {
    "pi0": {
        "full": Shape(
            words=48,
            text=257_152,
            views=3,
            rows=16,
            columns=16,
            future=0,
            latent=588,
            chunk=50,
            action=32,
            proprio=32,
        ),
        "tiny": Shape(
            words=8,
            text=512,
            views=2,
            rows=4,
            columns=4,
            future=0,
            latent=432,
            chunk=8,
            action=7,
            proprio=7,
        ),
    },
    "pi05": {
        "full": Shape(
            words=200,
            text=257_152,
            views=3,
            rows=16,
            columns=16,
            future=0,
            latent=588,
            chunk=50,
            action=32,
            proprio=0,
        ),
        "tiny": Shape(
            words=15,
            text=512,
            views=2,
            rows=4,
            columns=4,
            future=0,
            latent=432,
            chunk=8,
            action=7,
            proprio=0,
        ),
    },
}
# (width, feed-forward width, layers, heads, head_dim) of vision; (width, feed-forward width) of
# context and action; (layers, heads, key heads, head_dim)
Widths = tuple[
    tuple[int, int, int, int, int], tuple[int, int], tuple[int, int], tuple[int, int, int, int]
]
WIDTHS: dict[Size, Widths] = {
    "full": ((1152, 4304, 27, 16, 72), (2048, 16384), (1024, 4096), (18, 8, 1, 256)),
    "tiny": ((24, 48, 2, 2, 12), (48, 96), (32, 64), (2, 4, 1, 12)),
}
CONTEXT = ("image/clean", "word/clean")
LEVELS = LevelsConfig(action=LevelLaw(law="beta", alpha=1.5, beta=1.0, low=0.001))
LESSONS = (Lesson(losses=(("action", 1.0),)),)


def model(widths: Widths, version: Version) -> WamConfig:
    """The image encoder, then two experts in one attention."""
    (eye, eye_mlp, eye_depth, eye_heads, eye_dim), (width, mlp), (action, action_mlp), shape = (
        widths
    )
    depth, heads, key_heads, head_dim = shape
    flow = gemma if version == "pi0" else gemma_flow
    counted = {"kind": False, "positions": "count"}
    ports = [
        Port(stream="image", into="vision", place=True, **counted),
        Port(stream="word", into="context", embed="words", scaled=True, **counted),
    ]
    if version == "pi0":
        ports.append(Port(stream="proprio", into="action", **counted))
    ports.append(
        Port(
            stream="action",
            into="action",
            embed="timed" if version == "pi0" else "linear",
            **counted,
            head="plain" if version == "pi0" else "modulated",
        )
    )
    return WamConfig(
        stacks=(
            Stack(
                name="vision",
                depth=eye_depth,
                heads=eye_heads,
                head_dim=eye_dim,
                experts=(vit("vision", eye, eye_mlp, norm_out=True),),
                rotary=None,
                by_view=True,
            ),
            Stack(
                name="main",
                depth=depth,
                heads=heads,
                kv_heads=key_heads,
                head_dim=head_dim,
                experts=(
                    gemma("context", width, mlp, norm_out=True),
                    flow("action", action, action_mlp),
                ),
                rotary=LINE_ROTARY,
                takes=(Take(stack="vision", kinds=("image/clean",), expert="context"),),
            ),
        ),
        ports=tuple(ports),
    )


def pi(shape: Shape, widths: Widths, version: Version) -> Blueprint:
    """Either system; positions count the real tokens of the language model's sequence."""
    patches = shape.rows * shape.columns
    images = tuple(
        Segment(stream="image", frames=patches, start=view * patches, view=view)
        for view in range(shape.views)
    )
    end = shape.views * patches
    words = Segment(stream="word", frames=shape.words, start=end)
    end += shape.words
    state: tuple[Segment, ...] = ()
    if version == "pi0":
        state = (Segment(stream="proprio", start=end, block=1),)
        end += 1
    action = Segment(stream="action", copy="noisy", frames=shape.chunk, start=end, block=2)
    table = (
        *sees(CONTEXT, CONTEXT),
        *sees(("proprio/clean",), CONTEXT),
        *sees(("action/noisy",), (*CONTEXT, "proprio/clean")),
    )
    features = [("image", shape.latent), ("word", shape.text)]
    features += [("proprio", shape.proprio)] if version == "pi0" else []
    return Blueprint(
        shape=shape,
        learning=Learning(
            levels=LEVELS,
            words=(("word", "spelled" if version == "pi05" else "told"),),
            lessons=LESSONS,
        ),
        model=model(widths, version),
        features=(*features, ("action", shape.action)),  # pyright: ignore[reportArgumentType]
        training=Layout((*images, words, *state, action), table),
        given=(*images, words, *state),
        program=(Phase(segments=(action,), levels=(("action", 1.0, 0.0),), steps=10),),
    )


def pi0(size: Size) -> Blueprint:
    """The first system."""
    return pi(SHAPES["pi0"][size], WIDTHS[size], "pi0")


def pi05(size: Size) -> Blueprint:
    """The second system, with its flow head alone, as in the open code."""
    return pi(SHAPES["pi05"][size], WIDTHS[size], "pi05")


WORDS = "What is trained here numbers its words by itself; published weights want PaliGemma's."
RECIPES = (
    Recipe(
        name="pi0",
        kind="VLA",
        coupling="mot",
        objective="direct",
        source="arXiv 2410.24164, Physical-Intelligence/openpi",
        parts="SigLIP So400m, Gemma 2B with its words, and the 311 M action expert",
        published="3.3 B",
        # On LIBERO.
        executed=5,
        deviations=(WORDS,),
        build=pi0,
    ),
    Recipe(
        name="pi05",
        kind="VLA",
        coupling="mot",
        objective="direct",
        source="arXiv 2504.16054, Physical-Intelligence/openpi",
        parts="SigLIP So400m, Gemma 2B with its words, and the action expert",
        published="3.3 B",
        # On LIBERO.
        executed=5,
        deviations=(
            WORDS,
            "There the state is 256 words of its own, not digits among the others.",
            "Token prediction and insulation of the paper are not there.",
        ),
        build=pi05,
    ),
)
