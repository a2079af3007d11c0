"""One of several processes: on each of many meshes it loads its rows, and looks at the whole batch.

python -m tests.parallel.host_rows OUT, with the JAX_* addresses in the environment
"""

import json
import pathlib
import sys
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh

from wamjax.core.errors import UserError
from wamjax.core.runtime import enable_compile_cache
from wamjax.parallel.mesh import MESH_AXES, MeshConfig, make_mesh
from wamjax.parallel.shardings import batch_sharding, host_share, put_batch, replicated
from wamjax.parallel.start import start_hosts

ROWS = 16
# Of eight devices, two on each of four hosts.
MESHES = {
    "data over hosts": {"data": 8},
    "fsdp over hosts": {"data": 1, "fsdp": 8},
    "tensor within a host": {"data": 4, "tensor": 2},
    "tensor over two hosts": {"data": 2, "tensor": 4},
    "tensor over all hosts": {"data": 1, "tensor": 8},
    "sequence over two hosts": {"data": 1, "fsdp": 2, "sequence": 4},
    "sequence over all hosts": {"data": 1, "sequence": 8},
    "fsdp, tensor and sequence": {"data": 1, "fsdp": 2, "tensor": 2, "sequence": 2},
    "slices": {"data": 1, "fsdp": 2, "tensor": 2, "across_data": 2},
}


def batch() -> dict[str, Any]:
    rows = np.arange(ROWS)
    return {
        "index": rows,
        "frames": np.random.default_rng(0).normal(size=(ROWS, 3, 5)),
        "gone": None,
    }


def seen(mesh: Mesh) -> dict[str, Any]:
    """What this host loads, and whether the batch put together is right."""
    sharding, given = batch_sharding(mesh, ROWS), batch()
    index, count = host_share(sharding, ROWS)
    mine = slice(index * ROWS // count, (index + 1) * ROWS // count)
    whole = put_batch(jax.tree.map(lambda array: array[mine], given), sharding)
    assert jax.tree.structure(whole) == jax.tree.structure(given)
    held = set()
    for ours, theirs in zip(jax.tree.leaves(whole), jax.tree.leaves(given), strict=True):
        assert ours.shape == theirs.shape
        assert ours.sharding.is_equivalent_to(sharding, ours.ndim)
        for shard in ours.addressable_shards:
            np.testing.assert_array_equal(shard.data, theirs[shard.index].astype(ours.dtype))
            held |= {*range(*shard.index[0].indices(ROWS))}
    # Nothing is loaded that no device here holds.
    assert held == {*range(ROWS)[mine]}
    total = jax.jit(lambda frames: frames.sum(0), out_shardings=replicated(mesh))(whole["frames"])
    np.testing.assert_allclose(total, given["frames"].sum(0), rtol=1e-5)
    together = multihost_utils.process_allgather(whole["index"], tiled=True)
    np.testing.assert_array_equal(together, given["index"])
    return {"share": [index, count]}


def scattered() -> str:
    """A mesh whose rows on this host are no neighbours."""
    order = np.asarray(jax.devices())[[0, 2, 1, 3, 4, 6, 5, 7]].reshape(8, 1, 1, 1)
    mesh = Mesh(order, MESH_AXES, axis_types=(AxisType.Auto,) * 4)
    try:
        host_share(batch_sharding(mesh, ROWS), ROWS)
    except UserError as error:
        return str(error)
    return ""


def main(out: str) -> None:
    enable_compile_cache()
    hosts = start_hosts()
    told: dict[str, Any] = {
        name: seen(make_mesh(MeshConfig(**lengths))) for name, lengths in MESHES.items()
    }
    told["scattered"] = scattered()
    pathlib.Path(f"{out}-{hosts.index}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
