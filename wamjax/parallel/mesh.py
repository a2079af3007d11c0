"""The device mesh: four axes, always all four, most of them of length 1.

    data      examples are split, weights are copied
    fsdp      examples are split, weights are split along `embed`
    tensor    weights are split along `mlp`, `heads` and `vocab`
    sequence  reserved for splitting tokens

Axes are of type Auto: XLA chooses the collectives from the shardings of inputs and outputs.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from wamjax.core.errors import UserError

Devices = Sequence[Any]  # of jax.Device, which type checkers take for a variable

MESH_AXES = ("data", "fsdp", "tensor", "sequence")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeshConfig:
    """Devices along each mesh axis; at most one may be -1, "all that are left"."""

    data: int = -1
    fsdp: int = 1
    tensor: int = 1
    sequence: int = 1

    def __post_init__(self) -> None:
        lengths = dataclasses.astuple(self)
        if any(length == 0 or length < -1 for length in lengths):
            raise ValueError(f"mesh lengths must be positive or -1, got {lengths}")
        if lengths.count(-1) > 1:
            raise ValueError(f"at most one mesh length may be -1, got {lengths}")


def make_mesh(config: MeshConfig, devices: Devices | None = None) -> Mesh:
    """A mesh over all of `devices` (by default every device of every host).

    Raises:
        UserError: the lengths do not multiply to the number of devices.
    """
    chosen = list(jax.devices() if devices is None else devices)
    lengths = [getattr(config, axis) for axis in MESH_AXES]
    given = math.prod(length for length in lengths if length != -1)
    if -1 in lengths and len(chosen) % given == 0:
        lengths[lengths.index(-1)] = len(chosen) // given
    if math.prod(lengths) != len(chosen):
        wanted = ", ".join(f"{axis} {getattr(config, axis)}" for axis in MESH_AXES)
        raise UserError(
            f"The mesh ({wanted}) does not fit {len(chosen)} device(s); "
            f"set mesh lengths whose product is {len(chosen)}."
        )
    if devices is not None:
        # An explicit list keeps its order: tests and comparisons say which device is where.
        grid = np.asarray(chosen, dtype=object).reshape(lengths)
        return Mesh(grid, MESH_AXES, axis_types=(AxisType.Auto,) * len(MESH_AXES))
    return jax.make_mesh(lengths, MESH_AXES, axis_types=(AxisType.Auto,) * len(MESH_AXES))
