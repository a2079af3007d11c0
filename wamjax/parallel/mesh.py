"""The device mesh: four axes, always all four, most of them of length 1.

    data      examples are split, weights are copied
    fsdp      examples are split, weights are split along `embed`
    tensor    weights are split along `mlp`, `heads` and `vocab`
    sequence  tokens are split, weights are copied

Several TPU slices (or islands of GPUs) are joined by a network that is far slower than the links
within one: `across_data` and `across_fsdp` say how the two axes that need it least run over it. An
axis is then as long as both its degrees together, the slices outermost.

Axes are of type Auto: XLA chooses the collectives from the shardings of inputs and outputs, and of
the activations that the model names (wamjax.parallel.activations).
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh

from wamjax.core.errors import UserError

Devices = Sequence[Any]  # of jax.Device, which type checkers take for a variable

MESH_AXES = ("data", "fsdp", "tensor", "sequence")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeshConfig:
    """Devices along each mesh axis; at most one may be -1, "all that are left".

    Attributes:
        data, fsdp, tensor, sequence: within a slice.
        across_data, across_fsdp: slices along those axes; their product is the number of slices.
    """

    data: int = -1
    fsdp: int = 1
    tensor: int = 1
    sequence: int = 1
    across_data: int = 1
    across_fsdp: int = 1

    def __post_init__(self) -> None:
        if self.across_data < 1 or self.across_fsdp < 1:
            raise ValueError(
                f"slices along a mesh axis must be at least 1, got {self.across_data} and "
                f"{self.across_fsdp}"
            )
        lengths = [getattr(self, axis) for axis in MESH_AXES]
        if any(length == 0 or length < -1 for length in lengths):
            raise ValueError(f"mesh lengths must be positive or -1, got {lengths}")
        if lengths.count(-1) > 1:
            raise ValueError(f"at most one mesh length may be -1, got {lengths}")


def make_mesh(config: MeshConfig, devices: Devices | None = None) -> Mesh:
    """A mesh over all of `devices` (by default every device of every host).

    Raises:
        UserError: the lengths do not multiply to the number of devices, or there are other slices
            than the config names.
    """
    chosen = list(jax.devices() if devices is None else devices)
    across = (config.across_data, config.across_fsdp, 1, 1)
    slices = math.prod(across)
    within = mesh_lengths(config, len(chosen), slices)
    numbers = {device.slice_index for device in chosen if hasattr(device, "slice_index")}
    if len(numbers) > 1 and len(numbers) != slices:
        raise UserError(
            f"There are {len(numbers)} slices, and the mesh spreads over {slices}: set "
            "mesh.across_data and mesh.across_fsdp to numbers whose product is that of the slices."
        )
    if len(numbers) > 1:
        grid = mesh_utils.create_hybrid_device_mesh(
            within, across, devices=chosen, allow_split_physical_axes=True
        )
    elif devices is None and slices == 1:
        return jax.make_mesh(within, MESH_AXES, axis_types=(AxisType.Auto,) * len(MESH_AXES))
    else:
        # An explicit list keeps its order: tests and comparisons say which device is where.
        outer = np.asarray(chosen, dtype=object).reshape(*across, *within)
        pairs = [place for axis in range(4) for place in (axis, axis + 4)]
        grid = outer.transpose(pairs).reshape([a * w for a, w in zip(across, within, strict=True)])
    return Mesh(grid, MESH_AXES, axis_types=(AxisType.Auto,) * len(MESH_AXES))


def mesh_lengths(config: MeshConfig, devices: int, slices: int) -> list[int]:
    """Devices along each axis within a slice."""
    lengths = [getattr(config, axis) for axis in MESH_AXES]
    given = math.prod(length for length in lengths if length != -1) * slices
    if -1 in lengths and devices % given == 0:
        lengths[lengths.index(-1)] = devices // given
    if math.prod(lengths) * slices != devices:
        wanted = ", ".join(f"{axis} {getattr(config, axis)}" for axis in MESH_AXES)
        over = "" if slices == 1 else f" in each of {slices} slices"
        raise UserError(
            f"The mesh ({wanted}{over}) does not fit {devices} device(s); "
            f"set mesh lengths whose product is {devices // slices or 1}."
        )
    return lengths
