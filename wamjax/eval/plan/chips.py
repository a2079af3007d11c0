"""Accelerators as numbers, and the names that people call slices of them by.

A slice is FAMILY:AxB[xC], its chips along each axis of the torus. People say v5p-256 (TensorCores),
v5litepod-256 or v6e-256 (chips), v7x, ironwood: `slice_of` knows them all.

Peaks are dense bfloat16. TPU v4, v5e, v5p, v6e and the speed of one link in one direction: "How To
Scale Your Model" (jax-ml.github.io/scaling-book); memory: cloud.google.com/tpu/docs. tpu7x: the
same pages, with the link of v5p, whose sum over a chip they give alike. GPUs: NVIDIA's data sheets.
They bound a time and measure none.
"""

import dataclasses
import math
import re

from wamjax.core.errors import UserError

GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Chip:
    """Peaks of one chip.

    Attributes:
        name: as libtpu calls the family; of a GPU its usual name.
        flops: of matrix products in bfloat16, FLOP/s.
        bandwidth: of its memory, bytes/s.
        memory: bytes.
        link: bytes/s of one link of the torus in one direction; of a GPU, of all its links.
        axes: of the torus; 0 for a switch.
        dcn: bytes/s between slices (or nodes), a chip's share.
        devices: jax devices a chip.
        wraps: chips along an axis from which its links wrap around.
        quick_kernels: whether programs with Pallas kernels compile with little optimising; on the
            others libtpu 0.0.37 aborts.
    """

    name: str
    flops: float
    bandwidth: float
    memory: float
    link: float
    axes: int
    dcn: float
    devices: int = 1
    wraps: int = 4
    quick_kernels: bool = True


CHIPS: dict[str, Chip] = {
    chip.name: chip
    for chip in (
        Chip("v4", 275e12, 1.2e12, 32 * GIB, 4.5e10, 3, 6.25e9),
        Chip("v5e", 197e12, 0.81e12, 16 * GIB, 4.5e10, 2, 3.125e9, wraps=16),
        Chip("v5p", 459e12, 2.765e12, 95 * GIB, 9e10, 3, 6.25e9),
        Chip("v6e", 918e12, 1.64e12, 32 * GIB, 9e10, 2, 12.5e9, wraps=16),
        Chip("tpu7x", 2307e12, 7.37e12, 192 * GIB, 9e10, 3, 12.5e9, devices=2, quick_kernels=False),
        Chip("H100", 989e12, 3.35e12, 80e9, 450e9, 0, 50e9),
        Chip("H200", 989e12, 4.8e12, 141e9, 450e9, 0, 50e9),
    )
}
GPUS = tuple(name for name, chip in CHIPS.items() if not chip.axes)

# Other names of a family, and what a number behind it counts: chips, or TensorCores (two a chip).
FAMILIES = {
    "v4": ("v4", 2),
    "v5e": ("v5e", 1),
    "v5litepod": ("v5e", 1),
    "v5lite": ("v5e", 1),
    "v5p": ("v5p", 2),
    "v6e": ("v6e", 1),
    "trillium": ("v6e", 1),
    "tpu7x": ("tpu7x", 2),
    "v7x": ("tpu7x", 2),
    "tpu7": ("tpu7x", 2),
    "v7": ("tpu7x", 2),
    "7x": ("tpu7x", 2),
    "ironwood": ("tpu7x", 2),
}

# Chips -> the shape in which that many are rented.
FLAT = {
    1: (1, 1), 4: (2, 2), 8: (2, 4), 16: (4, 4), 32: (4, 8), 64: (8, 8), 128: (8, 16),
    256: (16, 16),
}  # fmt: skip
CUBIC = {
    4: (2, 2, 1), 8: (2, 2, 2), 16: (2, 2, 4), 32: (2, 4, 4), 64: (4, 4, 4), 128: (4, 4, 8),
    256: (4, 8, 8), 512: (8, 8, 8), 1024: (8, 8, 16), 2048: (8, 16, 16), 4096: (16, 16, 16),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Slice:
    """So many chips of one kind.

    Attributes:
        chip: the kind.
        shape: chips along each axis of the torus; one number for GPUs.
        count: slices of that shape, joined by the data centre's network.
    """

    chip: Chip
    shape: tuple[int, ...]
    count: int = 1

    @property
    def chips(self) -> int:
        """Of all slices."""
        return math.prod(self.shape) * self.count

    @property
    def devices(self) -> int:
        """Jax devices of all slices."""
        return self.chips * self.chip.devices

    @property
    def name(self) -> str:
        """FAMILY:AxB, or 2 x FAMILY:AxB."""
        one = f"{self.chip.name}:{'x'.join(map(str, self.shape))}"
        return one if self.count == 1 else f"{self.count} x {one}"

    @property
    def memory(self) -> float:
        """Bytes a device."""
        return self.chip.memory / self.chip.devices


def shapes_of(chip: Chip) -> dict[int, tuple[int, ...]]:
    """Chips -> shape, of all slices that are rented."""
    return dict(FLAT if chip.axes == 2 else CUBIC)


def slice_of(name: str, slices: int = 1) -> Slice:
    """The slice that a name stands for: v5p:4x4x8, v5p-256, v5litepod-16, ironwood-128, H200:8.

    Raises:
        UserError: no such family, size or shape; the sentence lists some that there are.
    """
    if not 1 <= slices <= 1024:
        raise UserError(f"--slices must be from 1 to 1024, got {slices}.")
    found = re.fullmatch(r"([A-Za-z0-9]+?)(?:[-_]?pod)?([:-])([0-9x]+)", name.strip())
    known = ", ".join([*CHIPS])
    if found is None:
        raise UserError(
            f"{name!r} is no slice: write it as v5p:4x4x8, v5p-256 or H200:8 (chips: {known})."
        )
    word, mark, size = found.groups()
    gpu = word.upper() if word.upper() in GPUS else None
    if not gpu and word.lower() not in FAMILIES:
        raise UserError(f"{word!r} is no accelerator that is known: choose one of {known}.")
    family, per_chip = (gpu, 1) if gpu else FAMILIES[word.lower()]
    chip = CHIPS[family]
    numbers = [int(part) for part in size.split("x") if part]
    if not numbers or not all(numbers) or size.count("x") != len(numbers) - 1:
        raise UserError(f"{name!r} has no size: write it as {family}:AxB or {family}-N.")
    if gpu:
        if len(numbers) > 1:
            raise UserError(f"{name!r}: GPUs have a number, not a shape: write {family}:8.")
        return Slice(chip, tuple(numbers), slices)
    if mark == ":" and len(numbers) > 1:
        if len(numbers) != chip.axes:
            raise UserError(
                f"{name!r} has {len(numbers)} axes, and a slice of {family} has {chip.axes}: "
                f"write it as {_examples(chip)}."
            )
        return Slice(chip, tuple(numbers), slices)
    chips = numbers[0] // (per_chip if mark == "-" else 1)
    table = shapes_of(chip)
    if chips not in table or (mark == "-" and numbers[0] % per_chip):
        unit = per_chip if mark == "-" else 1
        sizes = ", ".join(f"{word}{mark}{unit * count}" for count in table)
        raise UserError(f"{name!r} is no size of {family} that is rented: choose one of {sizes}.")
    return Slice(chip, table[chips], slices)


def _examples(chip: Chip) -> str:
    shapes = list(shapes_of(chip).values())
    return " or ".join(f"{chip.name}:{'x'.join(map(str, shape))}" for shape in shapes[3:5])
