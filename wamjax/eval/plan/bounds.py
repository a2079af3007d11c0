"""How fast a step could be: the time that each part of the hardware needs at least.

    products       FLOPs that are done (what is made anew in the backward pass, too) / peak
    memory         bytes from and to memory / bandwidth
    links          bytes that a device sends along the mesh axes of a slice / its links' speed
    network        the same between slices / a device's share of the network

    best    max of them               everything else goes on beside the slowest
    worst   their sum, with products at `REACHED` of the peak            nothing beside anything

An axis of the mesh runs over the axes of the torus along which its devices differ, both ways where
the torus closes there. Memory counts the state once in and once out, each layer's gathered weights
once a pass, and what is kept for the backward pass once each way: a lower bound.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from jax.sharding import Mesh

from wamjax.eval.plan.chips import Slice
from wamjax.eval.plan.traffic import Sent

REACHED = 0.7


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Seconds a step.

    Attributes:
        products, memory, links, network: see the module.
    """

    products: float
    memory: float
    links: float
    network: float

    @property
    def best(self) -> float:
        return max(dataclasses.astuple(self))

    @property
    def worst(self) -> float:
        return self.products / REACHED + self.memory + self.links + self.network

    @property
    def name(self) -> str:
        """What bounds it."""
        parts = dataclasses.asdict(self)
        return max(parts, key=parts.__getitem__)


def links_of(mesh: Mesh, part: Slice) -> dict[str, float]:
    """Mesh axis -> links of a device that carry its traffic within a slice; 0 where none do."""
    grid = mesh.devices
    found: dict[str, float] = {}
    for place, axis in enumerate(mesh.axis_names):
        line = np.moveaxis(grid, place, 0).reshape(grid.shape[place], -1)[:, 0]
        first = [device for device in line if _slice(device) == _slice(line[0])]
        coords = np.array([device.coords for device in first])
        count = 0.0
        for dimension in range(min(coords.shape[1], len(part.shape))):
            length = len(np.unique(coords[:, dimension]))
            if length > 1:
                whole = length == part.shape[dimension]
                count += 2.0 if whole and length >= part.chip.wraps else 1.0
        # The two halves of a chip are joined on it.
        found[axis] = count if count or len(first) < 2 else 2.0
    return found


def _slice(device: Any) -> int:
    return device.slice_index if hasattr(device, "slice_index") else 0


def seconds_of(sent: list[Sent], mesh: Mesh, part: Slice) -> tuple[float, float]:
    """Seconds (on the links, on the network) for what a device sends."""
    links = links_of(mesh, part)
    within = between = 0.0
    for one in sent:
        if one.network:
            between += one.moved / (part.chip.dcn / part.chip.devices)
            continue
        ways = sum(links[axis] for axis in one.axes)
        if ways:
            within += one.moved / (ways * part.chip.link)
    return within, between


def bounds(
    part: Slice,
    *,
    flops: float,
    moved: float,
    links: float = 0.0,
    network: float = 0.0,
) -> Bounds:
    """The bounds of a step.

    Args:
        flops: of the whole step, on all devices together.
        moved: bytes from and to the memory of a device.
        links, network: seconds, see `seconds_of`.
    """
    return Bounds(
        products=flops / (part.chips * part.chip.flops),
        memory=moved / (part.chip.bandwidth / part.chip.devices),
        links=links,
        network=network,
    )


def mfu(model_flops: float, seconds: float, part: Slice) -> float:
    """The share of the peak that the model's own FLOPs would have; 0 where there is no time."""
    peak = part.chips * part.chip.flops
    return model_flops / (seconds * peak) if seconds and math.isfinite(seconds) else 0.0
