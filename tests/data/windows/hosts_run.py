"""One of several hosts that read a mixture together, and nothing else: no model, no training.

python -m tests.data.windows.hosts_run PLAN        (JAX_* in the environment where others run)

PLAN is JSON: the mixture's config, its statistics, the global batch, an output folder, and runs of
{"prefetch", "start", "steps"}. Written for each step: the windows that this host read, a digest of
each of its rows, and the rows of the assembled global array that its devices hold.
"""

import dataclasses
import hashlib
import json
import pathlib
import sys

import jax
import numpy as np

from wamjax.core.config import from_json
from wamjax.core.files import read_json
from wamjax.core.records import Batch
from wamjax.data import DataConfig, Loader, Mixture
from wamjax.data.normalising.statistics import MixedStatistics
from wamjax.data.normalising.statistics import from_json as statistics_from
from wamjax.data.windows.mixture import read_members
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.parallel.shardings import batch_sharding, host_share, put_batch
from wamjax.parallel.start import start_hosts


def digests(batch: Batch) -> list[str]:
    """Of each row: all its numbers."""
    fields = [np.asarray(leaf) for leaf in jax.tree.leaves(batch)]
    return [
        hashlib.sha256(b"".join(np.ascontiguousarray(f[row]).tobytes() for f in fields)).hexdigest()
        for row in range(len(fields[0]))
    ]


def main(plan: str) -> int:
    hosts = start_hosts()
    told = read_json(pathlib.Path(plan))
    size = told["batch"]
    rows = batch_sharding(make_mesh(MeshConfig(data=-1)), size)
    assert host_share(rows, size) == (hosts.index, hosts.count)
    config = from_json(DataConfig, told["config"])
    statistics = statistics_from(told["statistics"])
    assert isinstance(statistics, MixedStatistics)
    tables = read_members(config)
    out = pathlib.Path(told["out"]) / f"{hosts.count}-{hosts.index}.jsonl"
    with out.open("w") as file:
        for run in told["runs"]:
            own = dataclasses.replace(config, prefetch=run["prefetch"])
            loader = Loader(Mixture(own, statistics, tables), size, hosts.index, hosts.count)
            # The state of whoever stopped there: one integer, as it stands in a checkpoint.
            loader.restore({"next_example": run["start"] * size, "fingerprint": told["state"]})
            for step in range(run["start"], run["start"] + run["steps"]):
                batch = next(loader)
                globally = put_batch(batch.index, rows)
                assert globally.shape == (size,)
                held = {
                    place: value
                    for shard in globally.addressable_shards
                    for place, value in zip(
                        range(*shard.index[0].indices(size)[:2]), np.asarray(shard.data).tolist()
                    )
                }
                row = {
                    "prefetch": run["prefetch"],
                    "start": run["start"],
                    "step": step,
                    "windows": np.asarray(batch.index).tolist(),
                    "digests": digests(batch),
                    "held": sorted(held.items()),
                    "state": loader.state()["next_example"],
                }
                file.write(json.dumps(row) + "\n")
            loader.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
