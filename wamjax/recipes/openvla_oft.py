"""OpenVLA-OFT (arXiv 2502.19645, moojink/openvla-oft): all actions in one pass.

    Llama 2 7B over fused image features, words, the state and one placeholder per action dimension;
    everything sees everything; the hidden states of a step's dimensions together make one action

There is no noise: the loss is L1 between what is read out and the actions.

    plain   LIBERO's: two cameras, 8 actions of 7 numbers
    film    OFT+, ALOHA's: the mean of the words' embeddings scales and shifts what is seen; three
            cameras, 25 actions of 14 numbers
"""

import dataclasses
from typing import Literal, get_args

from wamjax.model.config import Port, Stack, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
from wamjax.recipes.backbones import LINE_ROTARY, llama
from wamjax.recipes.blueprint import (
    Blueprint,
    Learning,
    Lesson,
    Outside,
    Phase,
    Recipe,
    Shape,
    Size,
)
from wamjax.recipes.objectives import sees

Form = Literal["plain", "film"]
# `text` is the size of the vocabulary, `latent` the width of the fused image features.
SHAPES: dict[Size, Shape] = {
    "full": Shape(
        words=32,
        text=32_064,
        views=2,
        rows=16,
        columns=16,
        future=0,
        latent=2176,
        chunk=8,
        action=7,
        proprio=8,
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
FILM_SHAPES: dict[Size, Shape] = {
    "full": dataclasses.replace(SHAPES["full"], views=3, chunk=25, action=14, proprio=14),
    "tiny": SHAPES["tiny"],
}
# width, feed-forward width, layers, heads
WIDTHS = {"full": (4096, 11008, 32, 32), "tiny": (48, 96, 2, 2)}
TOKENS = ("feature/clean", "word/clean", "proprio/clean", "action/query")
TABLE = sees(TOKENS, TOKENS)
LEARNING = Learning(encoded=(("feature", "own"),), lessons=(Lesson(losses=(("action", 1.0),)),))


def openvla_oft(size: Size, form: Form = "plain") -> Blueprint:
    """The network with its L1 head."""
    shape = FILM_SHAPES[size] if form == "film" else SHAPES[size]
    width, mlp, depth, heads = WIDTHS[size]
    config = WamConfig(
        stacks=(
            Stack(
                name="main",
                depth=depth,
                heads=heads,
                head_dim=width // heads,
                experts=(llama("language", width, mlp),),
                rotary=LINE_ROTARY,
            ),
        ),
        ports=(
            Port(
                stream="feature",
                into="language",
                embed="mlp",
                kind=False,
                positions="line",
                film="word" if form == "film" else "",
            ),
            Port(stream="word", into="language", embed="words", kind=False, positions="line"),
            Port(stream="proprio", into="language", embed="mlp", kind=False, positions="line"),
            Port(
                stream="action",
                into="language",
                embed="words",
                kind=False,
                positions="line",
                head="residual",
                merge=shape.action,
                out=shape.action,
            ),
        ),
    )
    patches = shape.rows * shape.columns
    segments, end = [], 0
    for view in range(shape.views):
        segments.append(Segment(stream="feature", frames=patches, start=end, view=view))
        end += patches
    segments.append(Segment(stream="proprio", start=end))
    segments.append(Segment(stream="word", frames=shape.words, start=end + 1))
    end += 1 + shape.words
    places = Segment(stream="action", copy="query", frames=shape.chunk * shape.action, start=end)
    sequence = (*segments, places)
    return Blueprint(
        shape=shape,
        learning=LEARNING,
        model=config,
        features=(
            ("feature", shape.latent),
            ("word", shape.text),
            ("proprio", shape.proprio),
            # Placeholders are one learned word.
            ("action", 1),
        ),
        training=Layout(sequence, TABLE),
        given=(),
        program=(Phase(segments=sequence),),
    )


SHARED = (
    "DINOv2 and SigLIP stand outside: their fused features (width 2176) are an input; the words of "
    "the output, which no action is read from, are not built.",
    "The projector has two layers instead of three; placeholders are a word "
    "that is learned, published zero.",
)
OPENVLA = "the 15,082,474,368 bytes of OpenVLA 7B's checkpoint, two each, heads apart"
# Together with Llama 2 7B and three layers of projector (71.4 M) they are that count to 1e-6.
ENCODERS = (
    Outside(
        name="DINOv2 L/14 with registers, at 224",
        parameters=303_230_000,
        source="timm, vit_large_patch14_reg4_dinov2",
    ),
    Outside(
        name="SigLIP So400m/14", parameters=427_680_000, source="timm, vit_so400m_patch14_siglip"
    ),
)
OUTPUT_WORDS = Outside(
    name="words of the language model's output",
    parameters=32_064 * 4096,
    source="vocabulary times width",
)
RECIPES = (
    Recipe(
        name="openvla_oft",
        kind="VLA",
        coupling="none",
        objective="direct, one pass, L1",
        source="arXiv 2502.19645, moojink/openvla-oft",
        parts="Llama 2 7B, projectors and head",
        published="7.54 B",
        counted=OPENVLA,
        outside=(*ENCODERS, OUTPUT_WORDS),
        beyond=("head_action", "embed_proprio"),
        deviations=(
            *SHARED,
            "Form `film` (OFT+): published, every block of the vision tower is scaled and shifted, "
            "between its attention and its feed-forward part; the tower stands outside, so it is "
            "done once, behind the projector.",
            "The tiny form's stand-in for the tower is steered by the instruction in both forms.",
            "Only the L1 head is there; the published option of a DDIM head is not.",
        ),
        build=openvla_oft,
        forms=get_args(Form),
    ),
)
