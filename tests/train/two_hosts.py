"""One of two processes that train the toy system together.

python -m tests.train.two_hosts WORKDIR FSDP        (with the JAX_* addresses in the environment)
"""

import dataclasses
import sys
from typing import Any

import jax

from tests.train.toy import STATISTICS, TWO_STAGES, ToyLoader, ToyRun, ToySystem
from wamjax.core.runtime import enable_compile_cache
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.parallel.shardings import batch_sharding, host_share
from wamjax.parallel.start import start_hosts
from wamjax.train.loop import train


class ShareLoader(ToyLoader):
    """This host's rows of the global batches of the toy loader."""

    def __init__(self, batch: int, index: int, count: int):
        super().__init__(batch)
        self.rows = slice(index * batch // count, (index + 1) * batch // count)

    def __iter__(self) -> Any:
        for batch in super().__iter__():
            yield jax.tree.map(lambda array: array[self.rows], batch)


def main(workdir: str, fsdp: str) -> int:
    enable_compile_cache()
    hosts = start_hosts()
    settings = dataclasses.replace(ToyRun().train, stages=TWO_STAGES)
    run = ToyRun(train=settings, mesh=MeshConfig(data=-1, fsdp=int(fsdp)))
    share = host_share(batch_sharding(make_mesh(run.mesh), settings.batch), settings.batch)
    assert share == (hosts.index, hosts.count)
    loader = ShareLoader(settings.batch, *share)
    train(run, workdir, system=ToySystem(), loader=loader, statistics=STATISTICS)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
