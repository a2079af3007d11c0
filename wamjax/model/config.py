"""The shape of the transformer."""

import dataclasses
from typing import Literal, assert_never

from wamjax.model.segments import Stream

Coupling = Literal["trunk", "mot"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class WamConfig:
    """Widths, depths and the way actions are coupled to video.

    Attributes:
        width: of the trunk's tokens; a multiple of nothing (heads have their own width).
        depth: number of layers, scanned.
        heads, head_dim: attention heads, shared by the trunk and the action expert.
        mlp_ratio: feed-forward width over width.
        coupling: "trunk" (action tokens use the trunk's weights) or "mot" (an expert of their own,
            attention shared; arXiv 2411.04996).
        action_width: width of the action expert under "mot".
        patch: side of the square of latents that makes one video token.
        rotary_base: base of the rotary frequencies.
        dtype: compute type of the matrix products; weights, norms and softmax stay float32.
        remat: recompute each layer in the backward pass.
    """

    width: int
    depth: int
    heads: int
    head_dim: int
    mlp_ratio: int = 4
    coupling: Coupling = "mot"
    action_width: int = 64
    patch: int = 1
    rotary_base: float = 100.0
    dtype: Literal["float32", "bfloat16"] = "float32"
    remat: bool = False

    def experts(self) -> dict[str, int]:
        """Expert name -> width, in the order in which their tokens stand in the sequence."""
        match self.coupling:
            case "trunk":
                return {"trunk": self.width}
            case "mot":
                return {"trunk": self.width, "action": self.action_width}
            case _:
                assert_never(self.coupling)

    def expert_of(self, stream: Stream) -> str:
        """Which expert's weights a stream uses."""
        return "action" if stream == "action" and self.coupling == "mot" else "trunk"
