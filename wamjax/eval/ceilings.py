"""What a device can do at most: products, bytes from memory, and what it need not read again.

    least time of a pass = max(FLOPs / peak, (bytes - cache) / bandwidth)               (roofline)

`cache` is what may stay on the chip from one pass to the next, so the bound holds for small models,
too. Peaks of the table are dense bfloat16 without sparsity: NVIDIA's data sheets of the H100 and
H200 Tensor Core GPU, and for TPU v6e "How To Scale Your Model". They bound a time and measure none.
"""

import dataclasses
import math
import pathlib
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

from wamjax.core.runtime import device_name
from wamjax.core.typing import Array

MIB = 2**20
SIDE, BLOCK = 1024, 64 * MIB
"""Rows of the square matrices that are multiplied, and numbers of the block that is copied."""


@dataclasses.dataclass(frozen=True)
class Device:
    """Peaks of a device.

    Attributes:
        name: with "measured" behind it where the figures are not a data sheet's.
        flops: of matrix products, FLOP/s.
        bandwidth: of its memory, bytes/s.
        cache: bytes on the chip; infinite where it is not known.
    """

    name: str
    flops: float
    bandwidth: float
    cache: float

    def least_seconds(self, flops: float, moved: float) -> float:
        """For a pass of so many FLOPs that reads so many bytes."""
        return max(flops / self.flops, max(moved - self.cache, 0.0) / self.bandwidth)


DEVICES = (
    Device("NVIDIA H200", 989e12, 4.8e12, 50 * MIB),
    Device("NVIDIA H100 SXM", 989e12, 3.35e12, 50 * MIB),
    Device("TPU v6e", 920e12, 1.6e12, 128 * MIB),
)


def _fastest(run: Callable[[Array], Array], value: Array, seconds: float) -> float:
    jax.block_until_ready(run(value))
    best, begun = math.inf, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        started = time.perf_counter()
        jax.block_until_ready(run(value))
        best = min(best, time.perf_counter() - started)
    return best


def own_cache() -> float:
    """Bytes of the processor's largest cache; infinite where the system does not tell."""
    places = pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    units = {"K": 2**10, "M": MIB}
    sizes = [place.read_text().strip() for place in places]
    found = [int(size[:-1]) * units[size[-1]] for size in sizes if size[-1:] in units]
    return float(max(found, default=math.inf)) if jax.default_backend() == "cpu" else math.inf


def own_device(dtype: str, seconds: float = 0.5) -> Device:
    """This device: the best product and the best copy within `seconds` each.

    Args:
        dtype: of the matrices.
        seconds: for either.
    """
    square = jnp.ones((SIDE, SIDE), dtype)
    product = _fastest(jax.jit(lambda x: x @ x), square, seconds)
    block = jnp.ones(BLOCK, jnp.float32)
    copy = _fastest(jax.jit(lambda x: x + 1.0), block, seconds)
    return Device(
        f"{device_name()}, measured", 2 * SIDE**3 / product, 2 * block.nbytes / copy, own_cache()
    )
