"""A program compiled for hardware that is not here: libtpu makes the executable on a CPU host.

The topology stands for the devices: meshes and shardings are made of it as of real ones, nothing is
allocated and nothing runs. Two such processes at once want ALLOW_MULTIPLE_LIBTPU_LOAD, and a host
outside of Google's cloud must not ask for its metadata.
"""

import contextlib
import dataclasses
import importlib.util
import os
import re
import time
from collections.abc import Iterator
from typing import Any

import jax
from jax.experimental import mesh_utils, topologies
from jax.sharding import AbstractMesh, AxisType, Mesh

from wamjax.core.errors import UserError
from wamjax.core.runtime import without_compile_cache
from wamjax.eval.plan.chips import Slice
from wamjax.parallel.mesh import MESH_AXES, MeshConfig, mesh_lengths

ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_ACCELERATOR_TYPE": "none",
    "TPU_WORKER_HOSTNAMES": "localhost",
}
MISSING = (
    "Compiling for TPUs needs libtpu: pip install 'wamjax[tpu-plan]' on Linux, or count alone with "
    "--analytic."
)


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes a device, as the compiler reserves them.

    Attributes:
        arguments, outputs, shared: what enters, what leaves, and what of that is the same memory.
        temporary: everything between.
        code: of the program.
        limit: of the device.
    """

    arguments: float
    outputs: float
    shared: float
    temporary: float
    code: float
    limit: float

    @property
    def total(self) -> float:
        """At the peak."""
        return self.arguments + self.outputs - self.shared + self.temporary + self.code


@dataclasses.dataclass(frozen=True)
class TooLarge:
    """It does not fit: bytes a device that it needs and that there are, as the compiler says."""

    needed: float
    limit: float


@dataclasses.dataclass(frozen=True)
class Compiled:
    """An executable for a topology.

    Attributes:
        memory: of a device.
        hlo: the program's text.
        seconds: to compile.
    """

    memory: Memory
    hlo: str
    seconds: float


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """libtpu's notes about a host without TPUs are no news; they go past Python's stderr."""
    saved, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)


def devices_of(part: Slice) -> list[Any]:
    """The devices of a slice that is not here.

    Raises:
        UserError: libtpu is missing, or knows no such slice.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    options: dict[str, Any] = {}
    if part.shape == (1, 1):
        options["chips_per_host_bounds"] = (1, 1, 1)
    if part.chip.name == "v4":
        options["chip_config_name"] = "megacore"
    if part.count > 1:
        options["num_slices"] = part.count
    name = f"{part.chip.name}:{'x'.join(map(str, part.shape))}"
    try:
        with quiet():
            found = topologies.get_topology_desc(platform="tpu", topology_name=name, **options)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        text = str(error).splitlines()[0]
        if importlib.util.find_spec("libtpu") is None:
            raise UserError(MISSING) from error
        raise UserError(f"libtpu knows no slice {name} ({text[:160]}): choose another.") from error
    return list(found.devices)


def mesh_of(config: MeshConfig, devices: list[Any], slices: int) -> Mesh:
    """The mesh over devices of a topology, laid out along its torus.

    Raises:
        UserError: it does not fit.
    """
    lengths = mesh_lengths(config, len(devices), slices)
    if slices > 1:
        across = (config.across_data, config.across_fsdp, 1, 1)
        grid = mesh_utils.create_hybrid_device_mesh(
            lengths, across, devices=devices, allow_split_physical_axes=True
        )
    else:
        grid = mesh_utils.create_device_mesh(
            lengths, devices=devices, allow_split_physical_axes=True
        )
    return Mesh(grid, MESH_AXES, axis_types=(AxisType.Auto,) * len(MESH_AXES))


def nowhere(config: MeshConfig, part: Slice) -> AbstractMesh:
    """The mesh without devices: shapes and shardings can be told of it, nothing else.

    Raises:
        UserError: it does not fit.
    """
    within = mesh_lengths(config, part.devices, part.count)
    across = (config.across_data, config.across_fsdp, 1, 1)
    lengths = tuple(a * w for a, w in zip(across, within, strict=True))
    return AbstractMesh(lengths, MESH_AXES, axis_types=(AxisType.Auto,) * len(MESH_AXES))


QUICK = {"exec_time_optimization_effort": -1.0}
"""Four times sooner, for nearly the same memory; such a program would run slower."""

UNITS = {"": 1.0, "K": 2.0**10, "M": 2.0**20, "G": 2.0**30, "T": 2.0**40}


def _sizes(text: str) -> tuple[float, float] | None:
    found = re.search(r"[Uu]sed ([\d.]+)([KMGT]?)i?B? of ([\d.]+)([KMGT]?)i?B? hbm", text)
    if not found:
        return None
    needed, unit, limit, limit_unit = found.groups()
    return float(needed) * UNITS[unit], float(limit) * UNITS[limit_unit]


def compile_for(lowered: Any, limit: float, *, quick: bool = False) -> Compiled | TooLarge:
    """Compile a lowered function for where its arguments' shardings say.

    Args:
        lowered: `jax.jit(...).lower(...)`.
        limit: bytes of a device.
        quick: spend as little as XLA can on making it fast, see `QUICK`.
    """
    begun = time.perf_counter()
    try:
        # What is kept for a TPU that is not here cannot be read again.
        with quiet(), without_compile_cache():
            made = lowered.compile(compiler_options=QUICK if quick else None)
    except jax.errors.JaxRuntimeError as error:
        sizes = _sizes(str(error))
        if "RESOURCE_EXHAUSTED" not in str(error) or sizes is None:
            raise
        return TooLarge(*sizes)
    found = made.memory_analysis()
    memory = Memory(
        arguments=found.argument_size_in_bytes,
        outputs=found.output_size_in_bytes,
        shared=found.alias_size_in_bytes,
        temporary=found.temp_size_in_bytes,
        code=found.generated_code_size_in_bytes,
        limit=limit,
    )
    return Compiled(memory, made.as_text(), time.perf_counter() - begun)
