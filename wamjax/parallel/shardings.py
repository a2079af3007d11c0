"""Shardings of weights and batches; weights come boxed with the logical axes they declare."""

from typing import Any

import jax
from flax.core import meta
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from wamjax.core.errors import UserError
from wamjax.core.typing import PyTree
from wamjax.parallel.rules import spec_of

BATCH_AXES = ("data", "fsdp")


def is_boxed(leaf: Any) -> bool:
    """Whether `leaf` carries logical axes (`nn.LogicallyPartitioned`)."""
    return isinstance(leaf, meta.Partitioned)


def unbox(boxed: PyTree) -> PyTree:
    """The plain tree of arrays; unlike flax's own, it never adds a sharding constraint."""
    return jax.tree.map(
        lambda leaf: leaf.value if is_boxed(leaf) else leaf, boxed, is_leaf=is_boxed
    )


def logical_axes(boxed: PyTree) -> PyTree:
    """The unboxed tree's structure with a tuple of logical axes (or Nones) at every leaf."""

    def names(leaf: Any) -> tuple[str | None, ...]:
        return tuple(leaf.names) if is_boxed(leaf) else (None,) * len(leaf.shape)

    return jax.tree.map(names, boxed, is_leaf=is_boxed)


def replicated(mesh: Mesh) -> NamedSharding:
    """A whole copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def param_shardings(boxed: PyTree, mesh: Mesh) -> PyTree:
    """A NamedSharding per weight, in the structure of `unbox(boxed)`.

    Args:
        boxed: weights or their `jax.eval_shape`; leaves may be `nn.LogicallyPartitioned`.
        mesh: the device mesh.

    Raises:
        ValueError, UserError: see `wamjax.parallel.rules.spec_of`.
    """

    def one(path: Any, leaf: Any) -> NamedSharding:
        if not is_boxed(leaf):
            return replicated(mesh)
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return NamedSharding(mesh, spec_of(leaf.names, leaf.value.shape, mesh, path=name))

    return jax.tree_util.tree_map_with_path(one, boxed, is_leaf=is_boxed)


def slot_sharding(slot: Any, weight: Any) -> NamedSharding:
    """Where an optimizer's slot for a weight lives: as the weight, dimension by dimension.

    Factored slots lack one dimension of their weight. Where its length does not tell which, what
    the answers disagree about stays whole. Any other shape is whole on every device.

    Args:
        slot: has a shape.
        weight: has a shape and a NamedSharding.
    """
    spec = [*weight.sharding.spec, *[None] * (len(weight.shape) - len(weight.sharding.spec))]
    pairs = list(zip(weight.shape, spec, strict=True))
    answers = [pairs, *(pairs[:axis] + pairs[axis + 1 :] for axis in range(len(pairs)))]
    found = [
        [split for _, split in answer]
        for answer in answers
        if tuple(length for length, _ in answer) == tuple(slot.shape)
    ]
    agreed = [column[0] if len({*column}) == 1 else None for column in zip(*found, strict=True)]
    return NamedSharding(weight.sharding.mesh, PartitionSpec(*agreed))


def batch_sharding(mesh: Mesh, batch: int, parts: int = 1) -> NamedSharding:
    """Examples split over `data` and `fsdp`, in each of `parts` that come one after the other.

    Raises:
        UserError: the batch does not divide.
    """
    devices = mesh.shape["data"] * mesh.shape["fsdp"]
    whole = devices * parts
    if batch % whole != 0:
        each = "" if parts == 1 else f", {parts} parts each,"
        raise UserError(
            f"A batch of {batch} examples cannot be split over {devices} devices{each} "
            f"(mesh data x fsdp); set train.batch to a multiple of {whole}."
        )
    return NamedSharding(mesh, PartitionSpec(BATCH_AXES))


def host_share(sharding: NamedSharding, batch: int) -> tuple[int, int]:
    """(index, count): this process loads rows [index B / count, (index + 1) B / count).

    Processes whose devices hold the same rows (they split weights, not examples) get the same
    index.

    Raises:
        UserError: the devices of this process do not hold one contiguous, equal share.
    """
    places = sharding.addressable_devices_indices_map((batch,)).values()
    ranges = sorted({index[0].indices(batch)[:2] for index in places if index is not None})
    start, end = ranges[0][0], ranges[-1][1]
    rows = sum(after - before for before, after in ranges)
    if rows != end - start or batch % rows != 0 or start % rows != 0:
        raise UserError(
            "The mesh gives this host scattered rows of the batch; order mesh.data and mesh.fsdp "
            "so that each host's devices are neighbours."
        )
    return start // rows, batch // rows


def put_batch(batch: PyTree, sharding: NamedSharding) -> PyTree:
    """This host's rows (see `host_share`; all rows if there is one host) to its devices.

    The copy is started, not waited for; the result is the global batch [B, ...].
    """
    if sharding.is_fully_addressable:
        return jax.device_put(batch, sharding)
    return jax.tree.map(
        lambda array: jax.make_array_from_process_local_data(sharding, array), batch
    )
