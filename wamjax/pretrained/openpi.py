"""pi0 and pi0.5 (arXiv 2410.24164, 2504.16054) with the names of openpi and of LeRobot.

    openpi           Orbax's tree `params`, as published and as training leaves it
    pytorch          the safetensors file that its script makes of that
    lerobot          LeRobot's `model.safetensors`, as its base models are published
    lerobot-untied   the same, with a table of words besides the head

All have the same tensors; the model is that of the recipes `pi0` and `pi05`.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from wamjax.core.typing import PyTree
from wamjax.model.config import Clock, Expert, Port, Rotary, Stack, Take, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment, Stream
from wamjax.model.tokens import Tokens
from wamjax.model.visibility import Visibility
from wamjax.model.wam import Wam
from wamjax.pretrained import openpi_lerobot, openpi_torch, openpi_tree
from wamjax.pretrained.family import Family
from wamjax.pretrained.openpi_sizes import Sizes, Version
from wamjax.pretrained.table import Table

LAYOUTS: Mapping[str, Callable[[Sizes, Version], Table]] = {
    "openpi": openpi_tree.table,
    # Before the layouts whose names a file of these has, too.
    "lerobot-untied": functools.partial(openpi_lerobot.table, tied=False),
    "lerobot": openpi_lerobot.table,
    "pytorch": openpi_torch.table,
}


def config(sizes: Sizes, version: Version) -> WamConfig:
    """Our model with openpi's settings."""
    tower = sizes.vision
    vision = Expert(
        name="vision", width=tower.width, mlp=tower.mlp, modulation="none", norm_out=True
    )
    context = Expert(
        name="context",
        width=sizes.width,
        mlp=sizes.mlp,
        activation="geglu",
        norm="rms",
        from_one=True,
        norm_out=True,
        modulation="none",
        bias=False,
        clock=Clock(
            features=sizes.action_width,
            fastest=2 * 3.141592653589793 / 4e-3,
            slowest=2 * 3.141592653589793 / 4.0,
            sines_first=True,
        ),
    )
    action = dataclasses.replace(
        context,
        name="action",
        width=sizes.action_width,
        mlp=sizes.action_mlp,
        norm_out=False,
        modulation="none" if version == "pi0" else "adaln",
        from_one=version == "pi0",
    )
    counted = functools.partial(Port, kind=False, positions="count")
    state = (counted(stream="proprio", into="action"),)
    acting = functools.partial(counted, stream="action", into="action")
    return WamConfig(
        stacks=(
            Stack(
                name="vision",
                depth=tower.depth,
                heads=tower.heads,
                head_dim=tower.head_dim,
                experts=(vision,),
                rotary=None,
                by_view=True,
            ),
            Stack(
                name="main",
                depth=sizes.depth,
                heads=sizes.heads,
                kv_heads=sizes.kv_heads,
                head_dim=sizes.head_dim,
                experts=(context, action),
                rotary=Rotary(base=10_000.0),
                takes=(Take(stack="vision", kinds=("image/clean",), expert="context"),),
            ),
        ),
        ports=(
            counted(stream="image", into="vision", place=True),
            counted(stream="word", into="context", embed="words", scaled=True),
            *(state if version == "pi0" else ()),
            acting(embed="timed", head="plain")
            if version == "pi0"
            else acting(embed="linear", head="modulated"),
        ),
    )


def target(sizes: Sizes, version: Version) -> PyTree:
    """Shapes of our weights; nothing of full size is made."""
    features: list[tuple[Stream, int]] = [
        ("image", 3 * sizes.patch**2),
        ("word", sizes.vocabulary),
        ("proprio", sizes.action),
        ("action", sizes.action),
    ]
    if version == "pi05":
        del features[2]
    counts = {"image": sizes.patches}
    segments = tuple(
        Segment(
            stream=stream,
            copy="noisy" if stream == "action" else "clean",
            frames=counts.get(stream, 1),
        )
        for stream, _ in features
    )
    sight: Visibility = tuple((q.kind, k.kind, "all") for q in segments for k in segments)
    model = Wam(config(sizes, version), Layout(segments, sight), tuple(features))
    tokens = Tokens(
        tuple(
            jnp.zeros((1, segment.count, 1 if stream == "word" else width))
            for segment, (stream, width) in zip(segments, features, strict=True)
        ),
        jnp.ones((1, sum(segment.count for segment in segments)), bool),
    )
    init = functools.partial(model.init, method="denoise")
    made = jax.eval_shape(
        lambda key: nn.unbox(init(key, model.layout, tokens, {"action": jnp.zeros(1)})),
        jax.random.key(0),
    )
    return made["params"]


def table(sizes: Sizes, version: Version, layout: str = "openpi") -> Table:
    """Their names, in one of `LAYOUTS`, in the tree of `config`."""
    return LAYOUTS[layout](sizes, version)


FAMILIES = tuple(
    Family(
        name=f"openpi-{version}",
        about=f"{version}, SigLIP So400m, Gemma 2B and the action expert",
        licence="openpi",
        layouts={name: functools.partial(make, Sizes(), version) for name, make in LAYOUTS.items()},
        target=functools.partial(target, Sizes(), version),
        recipe=version,
        beside={"lerobot": openpi_lerobot.beside(Sizes(), version)},
    )
    for version in ("pi0", "pi05")
)
