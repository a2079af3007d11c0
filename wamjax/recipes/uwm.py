"""UWM (arXiv 2504.02792): one transformer, a noise level of its own for video and for actions.

    trunk   observation features, next observation's latents and actions in one sequence

A stream at level 1 is marginalised, at level 0 it is given: the same weights are policy, forward
model, inverse model and video model, and video without actions can be trained on.
"""

from typing import get_args

from wamjax.model.config import Expert, Port, Stack, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
from wamjax.recipes.blueprint import Blueprint, Learning, Phase, Recipe, Shape, Size
from wamjax.recipes.motus import LEVELS, Mode
from wamjax.recipes.objectives import sees

SHAPES: dict[Size, Shape] = {
    "full": Shape(
        words=1,
        text=512,
        views=2,
        rows=14,
        columns=14,
        future=1,
        latent=16,
        chunk=16,
        action=7,
        proprio=9,
    ),
    "tiny": Shape(
        words=1, text=16, rows=4, columns=4, future=1, latent=432, chunk=8, action=7, proprio=7
    ),
}
# width, layers, heads, registers
WIDTHS = {"full": (768, 12, 12, 8), "tiny": (96, 2, 4, 2)}
GIVEN = ("text/clean", "proprio/clean", "feature/clean", "register/clean")
NOISY = ("video/noisy", "action/noisy")
TABLE = sees(GIVEN, GIVEN) + sees(NOISY, (*GIVEN, *NOISY))


def uwm(size: Size, mode: Mode = "policy") -> Blueprint:
    """The system, sampled in one of its modes."""
    shape = SHAPES[size]
    width, depth, heads, registers = WIDTHS[size]
    config = WamConfig(
        stacks=(
            Stack(
                name="main",
                depth=depth,
                heads=heads,
                head_dim=width // heads,
                experts=(Expert(name="trunk", width=width, mlp=4 * width),),
                rotary=None,
            ),
        ),
        ports=(
            Port(stream="text", into="trunk"),
            Port(stream="proprio", into="trunk"),
            Port(stream="feature", into="trunk", place=True),
            Port(stream="register", into="trunk", embed="words"),
            Port(stream="video", into="trunk", place=True, head="modulated"),
            Port(stream="action", into="trunk", place=True, head="modulated"),
        ),
    )
    given = (
        Segment(stream="text", frames=shape.words),
        Segment(stream="proprio"),
        Segment(stream="feature", frames=shape.views),
        Segment(stream="register", frames=registers),
    )
    noisy = (
        *(
            Segment(
                stream="video",
                copy="noisy",
                rows=shape.rows,
                columns=shape.columns,
                view=view,
                block=1,
            )
            for view in range(shape.views)
        ),
        Segment(stream="action", copy="noisy", frames=shape.chunk, block=1),
    )
    imagine = (Phase(segments=noisy, levels=LEVELS["video"], steps=10),)
    return Blueprint(
        shape=shape,
        imagine=imagine if mode == "policy" else (),
        learning=Learning(encoded=(("feature", "all"),), pixel_shift=5.0),
        model=config,
        features=(
            ("text", shape.text),
            ("proprio", shape.proprio),
            ("feature", 512),
            ("register", registers),
            ("video", shape.latent),
            ("action", shape.action),
        ),
        training=Layout((*given, *noisy), TABLE),
        given=given,
        program=(Phase(segments=noisy, levels=LEVELS[mode], steps=10),),
        answers=("video",) if mode in ("world_model", "video") else ("action",),
    )


RECIPES = (
    Recipe(
        name="uwm",
        kind="WAM",
        coupling="trunk",
        objective="joint, independent levels",
        source="arXiv 2504.02792",
        parts="the transformer",
        published=None,
        deviations=(
            "Sizes are not published in what was read: 12 layers of 768.",
            "The published sampler is DDIM on noise prediction; here the flow's.",
        ),
        build=uwm,
        forms=("policy", *(mode for mode in get_args(Mode) if mode != "policy")),
    ),
)
