"""One of two processes that train the toy system together.

python -m tests.train.two_hosts WORKDIR FSDP [LEARNING_RATE [WIDENED]]

with the JAX_* addresses in the environment. A host whose code is WIDENED computes another loss.
"""

import dataclasses
import os
import sys
from typing import Any

import jax

from tests.train.toy import STATISTICS, TWO_STAGES, ToyLoader, ToyRun, ToySystem
from wamjax.core.errors import UserError
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


class WidenedSystem(ToySystem):
    """As if another version of the code were installed here."""

    def loss(self, params: Any, batch: Any, key: Any, objective: str) -> Any:
        total, parts = super().loss(params, batch, key, objective)
        return 2.0 * total, parts


def main(workdir: str, fsdp: str, rate: str = "0.01", widened: str = "") -> int:
    enable_compile_cache()
    hosts = start_hosts()
    steps = int(os.environ.get("TOY_STEPS", "20"))
    settings = dataclasses.replace(
        ToyRun().train, stages=TWO_STAGES, learning_rate=float(rate), steps=steps
    )
    run = ToyRun(train=settings, mesh=MeshConfig(data=-1, fsdp=int(fsdp)))
    share = host_share(batch_sharding(make_mesh(run.mesh), settings.batch), settings.batch)
    assert share == (hosts.index, hosts.count)
    loader = ShareLoader(settings.batch, *share)
    loader.delay = float(os.environ.get("TOY_DELAY", "0"))
    system = WidenedSystem() if widened else ToySystem()
    try:
        train(run, workdir, system=system, loader=loader, statistics=STATISTICS)
    except UserError as error:
        print(error, file=sys.stderr, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
