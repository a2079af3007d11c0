"""The couplings of actions to video as whole models of one width law, for small systems.

A recipe of a published system writes its stacks itself; these differ in nothing but the coupling,
which is what an ablation wants.
"""

import dataclasses
from typing import Literal, assert_never

from wamjax.model.config import Cross, Expert, Port, Remat, Rotary, Stack, WamConfig

Coupling = Literal["trunk", "mot", "layer_cross", "tap_cross"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """Widths of a coupled model.

    Attributes:
        width, action_width: of the trunk's and the action expert's tokens.
        depth: layers of every stack.
        heads, head_dim: attention heads, shared by both experts.
        mlp_ratio: feed-forward width over width.
        base: of the rotary frequencies.
    """

    width: int
    depth: int
    heads: int
    head_dim: int
    action_width: int = 64
    mlp_ratio: int = 4
    base: float = 100.0


def coupled(
    coupling: Coupling,
    size: Size,
    *,
    patch: int = 1,
    dtype: Literal["float32", "bfloat16"] = "float32",
    remat: Remat = "none",
) -> WamConfig:
    """A model with that coupling; text, features and proprio stand in the trunk's sequence."""
    trunk = Expert(name="trunk", width=size.width, mlp=size.mlp_ratio * size.width)
    action = Expert(name="action", width=size.action_width, mlp=size.mlp_ratio * size.action_width)

    def stack(name: str, *experts: Expert) -> Stack:
        return Stack(
            name=name,
            depth=size.depth,
            heads=size.heads,
            head_dim=size.head_dim,
            experts=experts,
            rotary=Rotary(base=size.base),
        )

    match coupling:
        case "trunk":
            stacks, into = (stack("main", trunk),), "trunk"
        case "mot":
            stacks, into = (stack("main", trunk, action),), "action"
        case "layer_cross" | "tap_cross":
            layer = "same" if coupling == "layer_cross" else "last"
            reader = dataclasses.replace(action, cross=Cross(memory="main", layer=layer))
            stacks, into = (stack("main", trunk), stack("action", reader)), "action"
        case _:
            assert_never(coupling)
    return WamConfig(
        stacks=stacks,
        ports=(
            Port(stream="text", into="trunk"),
            Port(stream="feature", into="trunk", place=True),
            Port(stream="proprio", into="trunk", place=True),
            Port(stream="video", into="trunk", head="modulated"),
            Port(stream="action", into=into, place=True, head="modulated"),
        ),
        patch=patch,
        dtype=dtype,
        remat=remat,
    )
