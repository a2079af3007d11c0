"""Where activations live: the second half of the table in `wamjax.parallel.rules`.

    batch     data x fsdp        as the batch itself is split
    token     sequence           queries and everything that is computed token by token
    heads     tensor             as the weights that make them
    exchanged tensor x sequence  heads, while their tokens stand together (Ulysses)
    mlp       tensor

Without a word about them XLA may choose to split a layer's tokens by their width, as the weights
are, and to add up partial products over all devices: many times the traffic of gathering the
weights. A model therefore says at the edges of its layers what the dimensions of its arrays mean;
on one device, and outside of `spread_over`, that changes nothing.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
from jax.sharding import Mesh, PartitionSpec

from wamjax.core.typing import Array

ACTIVATIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "batch": ("data", "fsdp"),
        "token": ("sequence",),
        "heads": ("tensor",),
        "exchanged": ("tensor", "sequence"),
        "mlp": ("tensor",),
    }
)


@contextlib.contextmanager
def spread_over(mesh: Mesh) -> Iterator[None]:
    """What is traced meanwhile runs on `mesh` and has its activations spread over it."""
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
        yield


def constrain(x: Array, *names: str | None) -> Array:
    """`x` with its dimensions where `ACTIVATIONS` says; None leaves a dimension whole.

    Raises:
        KeyError: a name is not in the table.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.size == 1:
        return x
    return jax.lax.with_sharding_constraint(x, spec_of_activation(names))


def spec_of_activation(names: Sequence[str | None]) -> PartitionSpec:
    """How dimensions of these names are split."""
    return PartitionSpec(*(None if name is None else ACTIVATIONS[name] for name in names))


def is_spread() -> bool:
    """Whether this is traced inside of `spread_over`, as training is and sampling is not."""
    return not jax.sharding.get_abstract_mesh().empty


def parts_of(name: str) -> int:
    """Into how many parts a dimension of that name is split; 1 outside of `spread_over`."""
    mesh = jax.sharding.get_abstract_mesh()
    return 1 if mesh.empty else math.prod(mesh.shape[axis] for axis in ACTIVATIONS[name])


def capability() -> float:
    """Compute capability of the GPU that is here; that of the newest where another is meant."""
    if platform() != "gpu" or jax.default_backend() != "gpu":
        return math.inf
    device: Any = jax.local_devices()[0]
    return float(device.compute_capability)


def platform() -> str:
    """ "cpu", "gpu" or "tpu": of the mesh of `spread_over`, which need not be here, or our own."""
    device = jax.sharding.get_abstract_mesh().abstract_device
    if device is None:
        return jax.default_backend()
    kind = device.device_kind
    return "tpu" if kind.startswith("TPU") else "cpu" if kind == "cpu" else "gpu"
