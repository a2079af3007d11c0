"""VLA-JEPA (arXiv 2602.10098, ginwind/VLA-JEPA): latent words of a language model must explain the
next features of a frozen video encoder; actions read other words.

language    Qwen3-VL 2B: 28 layers, causal over images, instruction, latent and embodied words
predictor   12 layers of width 1024 over frame features and latent words, frame by frame; training
            only
head        16 layers of width 768, a flow over state, learned tokens and actions

tokens                  stream         read in their stack       and beyond
images, instruction     image, text    what stands before        -
latent words, by step   word/clean     what stands before        in predictor: steps up to theirs
embodied words          word/cond      what stands before        -
frame features          feature        frames, latent words of   -
                                       steps up to theirs
state, learned, chunk   proprio,       each other                embodied words only
                        register,
                        action

At a frame's tokens the predictor answers with the next frame's features. Four Euler steps.
"""

from wamjax.flow.levels import LevelLaw, LevelsConfig
from wamjax.model.config import Cross, Expert, Port, Rotary, Stack, Take, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
from wamjax.model.visibility import Visibility
from wamjax.recipes.backbones import WAN_CLOCK, llama, vit
from wamjax.recipes.blueprint import Blueprint, Learning, Lesson, Phase, Recipe, Shape, Size
from wamjax.recipes.objectives import sees

# past is the frames whose successor is predicted; rows and columns are the predictor's
SHAPES: dict[Size, Shape] = {
    "full": Shape(
        words=64,
        text=151_936,
        views=2,
        rows=16,
        columns=16,
        past=3,
        future=1,
        latent=2048,
        chunk=7,
        action=7,
        proprio=8,
    ),
    "tiny": Shape(
        words=8,
        text=512,
        views=2,
        rows=4,
        columns=4,
        past=2,
        future=1,
        latent=96,
        chunk=8,
        action=7,
        proprio=7,
    ),
}
# width, feed-forward width, layers, heads, key heads, head_dim
LANGUAGE: dict[Size, tuple[int, int, int, int, int, int]] = {
    "full": (2048, 6144, 28, 16, 8, 128),
    "tiny": (24, 48, 2, 4, 2, 12),
}
# width, feed-forward width, layers, heads, head_dim of predictor and head
PREDICTOR: dict[Size, tuple[int, int, int, int, int]] = {
    "full": (1024, 4096, 12, 8, 128),
    "tiny": (24, 48, 2, 2, 12),
}
HEAD: dict[Size, tuple[int, int, int, int, int]] = {
    "full": (768, 3072, 16, 12, 64),
    "tiny": (16, 32, 2, 2, 8),
}
# tokens of an image behind its encoder, latent words of a step, embodied words, learned tokens
COUNTS: dict[Size, tuple[int, int, int, int]] = {"full": (49, 8, 32, 32), "tiny": (2, 2, 3, 2)}

LEARNING = Learning(
    encoded=(("image", "own"),),
    words=(("text", "told"), ("word", "step")),
    levels=LevelsConfig(action=LevelLaw(law="beta", alpha=1.5, beta=1.0)),
    lessons=(Lesson(losses=(("feature", 0.1), ("action", 1.0))),),
)

TOLD = ("image/clean", "text/clean", "word/clean", "word/cond")
ACTING = ("proprio/clean", "register/clean", "action/noisy")
FRAMES = ("feature/query", "word/clean")
TABLE: Visibility = (
    *((query, key, "causal") for query in TOLD for key in TOLD),
    *sees(ACTING, ACTING),
    *((query, "word/cond", "all") for query in ACTING),
    ("feature/query", "feature/query", "past"),
)
FRAME_CAUSAL: Visibility = tuple((query, key, "past") for query in FRAMES for key in FRAMES)


def model(size: Size) -> WamConfig:
    """The language model, the predictor that takes its latent words, the head that reads it."""
    width, mlp, depth, heads, kv_heads, head_dim = LANGUAGE[size]
    seen, seen_mlp, seen_depth, seen_heads, seen_dim = PREDICTOR[size]
    acts, acts_mlp, acts_depth, acts_heads, acts_dim = HEAD[size]
    head = Expert(
        name="head",
        width=acts,
        mlp=acts_mlp,
        cross=Cross(memory="language"),
        clock=WAN_CLOCK,
    )
    return WamConfig(
        stacks=(
            Stack(
                name="language",
                depth=depth,
                heads=heads,
                kv_heads=kv_heads,
                head_dim=head_dim,
                experts=(llama("language", width, mlp, qk_norm=True),),
                # Its tokens stand on a line; in the predictor words turn with time alone.
                rotary=Rotary(base=5e6, pairs=(head_dim // 2, 0, 0)),
            ),
            Stack(
                name="predictor",
                depth=seen_depth,
                heads=seen_heads,
                head_dim=seen_dim,
                experts=(vit("predictor", seen, seen_mlp),),
                rotary=Rotary(base=10_000.0),
                takes=(Take(stack="language", kinds=("word/clean",), expert="predictor"),),
            ),
            Stack(
                name="head",
                depth=acts_depth,
                heads=acts_heads,
                head_dim=acts_dim,
                experts=(head,),
                rotary=None,
            ),
        ),
        ports=(
            Port(stream="image", into="language", embed="as_is", kind=False),
            Port(stream="text", into="language", embed="words", kind=False),
            Port(stream="word", into="language", embed="words", kind=False),
            Port(stream="feature", into="predictor", kind=False, head="plain"),
            Port(stream="proprio", into="head", embed="mlp", kind=False),
            Port(stream="register", into="head", embed="words", kind=False),
            Port(
                stream="action",
                into="head",
                embed="timed",
                place=True,
                kind=False,
                head="modulated",
            ),
        ),
    )


def vla_jepa(size: Size) -> Blueprint:
    """The system; without video (when a chunk is sampled) the predictor does not run."""
    shape = SHAPES[size]
    patches, repeats, embodied, learned = COUNTS[size]
    text = shape.views * patches
    words = text + shape.words
    given = (
        *(
            Segment(stream="image", frames=patches, view=view, start=view * patches)
            for view in range(shape.views)
        ),
        Segment(stream="text", frames=shape.words, start=text),
        *(
            Segment(stream="word", frames=repeats, start=words + repeats * step, block=step)
            for step in range(shape.past)
        ),
        Segment(stream="word", copy="cond", frames=embodied, start=words + repeats * shape.past),
    )
    acting = (
        Segment(stream="proprio"),
        Segment(stream="register", frames=learned),
        Segment(stream="action", copy="noisy", frames=shape.chunk, block=1),
    )
    # A frame stands at the time of its step's first latent word.
    frames = tuple(
        Segment(
            stream="feature",
            copy="query",
            rows=shape.rows,
            columns=shape.columns,
            start=words + repeats * step,
            block=step,
        )
        for step in range(shape.past)
    )
    return Blueprint(
        shape=shape,
        learning=LEARNING,
        model=model(size),
        features=(
            ("image", LANGUAGE[size][0]),
            ("text", shape.text),
            # The latent words differ by step; the embodied word is one.
            ("word", shape.past + 1),
            ("feature", shape.latent),
            ("proprio", shape.proprio),
            ("register", learned),
            ("action", shape.action),
        ),
        training=Layout((*given, *acting, *frames), TABLE, own=(("predictor", FRAME_CAUSAL),)),
        given=given,
        program=(Phase(segments=acting, levels=(("action", 1.0, 0.0),), steps=4),),
    )


RECIPES = (
    Recipe(
        name="vla_jepa",
        kind="hybrid",
        coupling="tap_cross",
        objective="latent",
        source="arXiv 2602.10098, ginwind/VLA-JEPA",
        parts="language model of Qwen3-VL 2B, predictor and action head",
        published=None,
        deviations=(
            "The image encoder of Qwen3-VL and V-JEPA2 are not held: their features are the input;"
            " in the tiny form keypoints, and averages of the pixels of one frame.",
            "The predictor's context is encoded alone, frame by frame; published, it is a slice of"
            " one pass over the clip by an encoder that looks both ways, so that the future leaks.",
            "In the tiny form a frame is one step; published two frames are.",
            "Features of the image encoder enter before the first layer only, on a line; Qwen3-VL"
            " adds more in its first layers and gives images positions on a grid.",
            "The head's layers hold self- and cross-attention each; published they take turns.",
            "In the head the level gives shift, scale and gate of two parts; published, shift and"
            " scale of one; its last two maps (768 to 1024 to actions) are one here.",
            "Head and predictor read the language model without its last norm.",
            "Latent and embodied words have a table of their own beside the vocabulary's.",
            "In the predictor, a frame's time is its step's index among the latent words.",
            "The table is shared with the output in Qwen3-VL; there is no output here.",
            "Eight draws of noise per sample, and dropout 0.2, are left to the training.",
        ),
        build=vla_jepa,
    ),
)
