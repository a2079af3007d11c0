"""What pi0 and pi0.5 are made of, as numbers."""

import dataclasses
from typing import Literal, NamedTuple

Version = Literal["pi0", "pi05"]
# Vectors of an adaptive norm: (place in theirs, place in ours).
VECTORS = ((0, 1), (1, 0), (2, 2))


class Tower(NamedTuple):
    """The image encoder."""

    width: int = 1152
    mlp: int = 4304
    depth: int = 27
    heads: int = 16
    head_dim: int = 72


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of both systems, as published; `patches` of each image, of `patch` x `patch` pixels."""

    vision: Tower = Tower()
    width: int = 2048
    mlp: int = 16_384
    action_width: int = 1024
    action_mlp: int = 4096
    depth: int = 18
    heads: int = 8
    kv_heads: int = 1
    head_dim: int = 256
    patch: int = 14
    patches: int = 256
    vocabulary: int = 257_152
    action: int = 32
