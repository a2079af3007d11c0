"""One table from logical axes, which weights declare, to mesh axes, which hardware has.

A weight names what its dimensions mean (`("embed", "mlp")`); this table says where they are split.
Two conditions are checked for every array:

- no mesh axis is used twice in one array (a collision: the names of the weight are wrong);
- a split dimension is a multiple of the mesh axis. Where it is not, an array with fewer than
  `SMALL` elements keeps that dimension whole on every device, and a larger one is refused,
  because a silent copy of a large array is how memory runs out.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from jax.sharding import Mesh, PartitionSpec

from wamjax.core.errors import UserError

SMALL = 2**16

RULES: Mapping[str, str | None] = MappingProxyType(
    {
        "layer": None,
        "embed": "fsdp",
        "mlp": "tensor",
        "heads": "tensor",
        "head_dim": None,
        "patch": None,
        "action": None,
        "proprio": None,
        "text": None,
        "vocab": "tensor",
    }
)


def spec_of(
    names: Sequence[str | None],
    shape: Sequence[int],
    mesh: Mesh,
    *,
    path: str = "array",
    rules: Mapping[str, str | None] = RULES,
) -> PartitionSpec:
    """How an array with logical axes `names` and `shape` is split over `mesh`.

    Args:
        names: one logical axis per dimension; None is a dimension that is never split.
        shape: the array's shape.
        mesh: the device mesh.
        path: the array's name, for messages.
        rules: logical axis -> mesh axis.

    Raises:
        ValueError: names and shape differ in length, an axis is not in the table, or two
            dimensions fall on the same mesh axis.
        UserError: a large array whose dimension the mesh axis does not divide.
    """
    if len(names) != len(shape):
        raise ValueError(f"{path} has {len(shape)} dimensions but {len(names)} names {names}")
    for name in names:
        if name is not None and name not in rules:
            raise ValueError(f"{path}: {name!r} is not a logical axis; there are {list(rules)}")
    axes = [None if name is None else rules[name] for name in names]
    used = [axis for axis in axes if axis is not None]
    if len(set(used)) != len(used):
        raise ValueError(
            f"{path}: logical axes {tuple(names)} collide, mesh axes {tuple(axes)} are not distinct"
        )
    for place, (axis, length) in enumerate(zip(axes, shape, strict=True)):
        if axis is None or length % mesh.shape[axis] == 0:
            continue
        if math.prod(shape) >= SMALL:
            raise UserError(
                f"{path} of shape {tuple(shape)} cannot be split: dimension {place} "
                f"({names[place]}, {length}) is not a multiple of mesh axis {axis} "
                f"({mesh.shape[axis]}); change the model's width or mesh.{axis}."
            )
        axes[place] = None
    return PartitionSpec(*axes)
