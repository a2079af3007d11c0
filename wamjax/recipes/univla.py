"""UniVLA (arXiv 2505.06111, OpenDriveLab/UniVLA): a language model that predicts latent actions.

    before    words for what happens between two frames: `codec.LatentActions`, trained first; its
              stage "central" has the 16 words that are predicted here, four for a chunk
    language  Llama 2 7B, causal: image features, instruction, latent words
    look      one layer: a learned token pools the image's hidden states
    act       one layer: the same token pools those of the latent words, and is read as the chunk

tokens              stream         read in language      in look       in act
image features      feature        what stands before    the token     -
instruction         text           what stands before    -             -
latent words        word/query     what stands before    -             the token
the chunk           action/query   -                     itself        itself

The latent words stand one place on: a start word and the first three go in, and the hidden states
behind them predict the four and are what `act` pools. One pass for each word; the last has all of
them, and reads the actions, too.
"""

from wamjax.codec.latent_action import LatentActions
from wamjax.model.config import Port, Stack, Take, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
from wamjax.model.visibility import Visibility
from wamjax.recipes.backbones import LINE_ROTARY, llama
from wamjax.recipes.blueprint import Blueprint, Learning, Lesson, Phase, Recipe, Shape, Size
from wamjax.recipes.openvla_oft import ENCODERS, OPENVLA, OUTPUT_WORDS

# `text` is the size of the vocabulary, `latent` the width of the fused image features.
SHAPES: dict[Size, Shape] = {
    "full": Shape(
        words=32,
        text=32_064,
        rows=16,
        columns=16,
        future=0,
        latent=2176,
        chunk=12,
        action=7,
        proprio=0,
    ),
    "tiny": Shape(
        words=8,
        text=512,
        rows=4,
        columns=4,
        future=0,
        latent=12,
        chunk=8,
        action=7,
        proprio=0,
    ),
}
# width, feed-forward width, layers, heads of the language model; of the two pooling layers
LANGUAGE = {"full": (4096, 11008, 32, 32), "tiny": (48, 96, 2, 2)}
POOL = {"full": (512, 2048, 1, 8), "tiny": (24, 48, 1, 2)}
# Over patches of DINOv2 ViT-B/14 (768 features), and T5-base tokens in the first stage.
LATENT_ACTIONS: dict[Size, LatentActions] = {
    "full": LatentActions(stage="central", width=768, heads=12, depth=12),
    "tiny": LatentActions(
        stage="central", width=16, heads=2, depth=2, slots=3, codes=5, code_width=8
    ),
}

LESSONS = (
    Lesson(
        name="irrelevant",
        fraction=0.15,
        losses=(),
        codec="irrelevant",
        train=("(latent_action|text)/.*",),
    ),
    Lesson(
        name="central",
        fraction=0.15,
        losses=(),
        codec="central",
        train=("latent_action/(?!codebook_irrelevant).*",),
    ),
    Lesson(
        name="language",
        fraction=0.7,
        losses=(("word", 1.0), ("action", 1.0)),
        train=("(?!latent_action/).*",),
    ),
)

TOLD = ("feature/clean", "text/clean", "word/query")
TABLE: Visibility = (
    *((query, key, "causal") for query in TOLD for key in TOLD),
    ("action/query", "action/query", "itself"),
)


def pools(kind: str) -> Visibility:
    """The chunk's token sees all tokens of that kind; they see only themselves."""
    return (
        ("action/query", kind, "all"),
        ("action/query", "action/query", "itself"),
        (kind, kind, "itself"),
    )


def univla(size: Size) -> Blueprint:
    """The language model with its action decoder."""
    shape, codec = SHAPES[size], LATENT_ACTIONS[size]

    def stack(name: str, widths: tuple[int, int, int, int], *takes: Take) -> Stack:
        width, mlp, depth, heads = widths
        return Stack(
            name=name,
            depth=depth,
            heads=heads,
            head_dim=width // heads,
            experts=(llama(name, width, mlp),),
            rotary=None if takes else LINE_ROTARY,
            takes=takes,
        )

    config = WamConfig(
        stacks=(
            stack("language", LANGUAGE[size]),
            stack(
                "look",
                POOL[size],
                Take(stack="language", kinds=("feature/clean",), expert="look"),
            ),
            stack(
                "act",
                POOL[size],
                Take(stack="look", kinds=("action/query",), expert="act", mapped=False),
                Take(stack="language", kinds=("word/query",), expert="act"),
            ),
        ),
        ports=(
            Port(stream="feature", into="language", embed="mlp", kind=False, positions="line"),
            Port(stream="text", into="language", embed="words", kind=False, positions="line"),
            Port(
                stream="word",
                into="language",
                embed="words",
                kind=False,
                positions="line",
                head="plain",
                behind="language",
                out=codec.codes,
            ),
            Port(
                stream="action",
                into="look",
                embed="words",
                kind=False,
                head="plain",
                out=shape.chunk * shape.action,
            ),
        ),
    )
    patches = shape.rows * shape.columns
    given = (
        Segment(stream="feature", frames=patches),
        Segment(stream="text", frames=shape.words, start=patches),
    )
    words = Segment(stream="word", copy="query", frames=codec.slots, start=patches + shape.words)
    rest = (words, Segment(stream="action", copy="query", block=1))
    return Blueprint(
        shape=shape,
        learning=Learning(
            encoded=(("feature", "own"),),
            words=(("text", "told"), ("word", "between")),
            between=codec,
            lessons=LESSONS,
        ),
        model=config,
        features=(
            ("feature", shape.latent),
            ("text", shape.text),
            # The codes, and the word that starts them.
            ("word", codec.codes + 1),
            # The pooling token is one learned word.
            ("action", 1),
        ),
        training=Layout(
            (*given, *rest),
            TABLE,
            own=(("look", pools("feature/clean")), ("act", pools("word/query"))),
        ),
        given=given,
        program=(Phase(segments=rest, steps=codec.slots),),
    )


RECIPES = (
    Recipe(
        name="univla",
        kind="VLA",
        coupling="none",
        objective="latent words (cross-entropy), then actions (L1)",
        source="arXiv 2505.06111, OpenDriveLab/UniVLA",
        parts="Llama 2 7B, projector and action decoder (12.6 M)",
        published="7.54 B",
        counted=f"{OPENVLA}; the same Prismatic model",
        outside=(*ENCODERS, OUTPUT_WORDS),
        beyond=("stack_look", "stack_act", "head_action", "embed_action"),
        # Chunks are averaged where they overlap, so one is predicted at every step.
        executed=1,
        deviations=(
            "DINOv2 and SigLIP stand outside: their fused features (width 2176) are an input; the "
            "words of the output that no latent word is are not built.",
            "The projector has two layers instead of three; the latent words have a table and a "
            "head of their own instead of 16 rows of the vocabulary's.",
            "Which four hidden states the release pools (those that predict the words, as here, "
            "or those behind them) could not be verified.",
            "The pooled words start from the pooled image alone, published from its sum with a "
            "second learned token; the decoder reads hidden states without the language model's "
            "last norm, and its tanh is left to the policy.",
            "Latent words of earlier chunks, published in the prompt, are not.",
            "The tiny form's latent actions are learned over averages of pixels, not DINOv2's "
            "features; codes that nothing is nearest to are drawn by a gradient, not set, to where "
            "they are wanted.",
            "The latent actions' first stage is told the instruction as tokens beside the image's; "
            "temporal ensembling of chunks belongs to the policy.",
        ),
        build=univla,
    ),
)
