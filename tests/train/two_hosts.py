"""One of several processes that train the toy system together.

python -m tests.train.two_hosts WORKDIR FSDP [LEARNING_RATE [WIDENED]]

with the JAX_* addresses in the environment. A host whose code is WIDENED computes another loss.
TOY_TENSOR is the mesh's `tensor`; where TOY_HARM is HOST:KIND@BATCH that host does itself the harm
of tests.train.chaos_run.
"""

import dataclasses
import os
import pathlib
import sys
import traceback
from typing import Any

import jax

from tests.train.chaos_run import Harmful, quiet
from tests.train.toy import STATISTICS, TWO_STAGES, ToyRun, ToySystem
from wamjax.core.errors import UserError
from wamjax.core.runtime import enable_compile_cache
from wamjax.parallel.ending import last_words, leave
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.parallel.shardings import batch_sharding, host_share
from wamjax.parallel.start import start_hosts
from wamjax.train.loop import train


def log_of(workdir: pathlib.Path, index: int) -> pathlib.Path:
    """What a host said."""
    return workdir.parent / f"{workdir.name}-{index}.log"


class ShareLoader(Harmful):
    """This host's rows of the global batches of the toy loader."""

    def __init__(self, batch: int, index: int, count: int, *, delay: float, **harm: Any):
        super().__init__(batch, delay, **harm)
        self.rows = slice(index * batch // count, (index + 1) * batch // count)

    def failed(self) -> int:
        """The first host says it for all."""
        return log_of(self.workdir, 0).read_text().count("could not be saved")

    def __iter__(self) -> Any:
        for batch in super().__iter__():
            yield jax.tree.map(lambda array: array[self.rows], batch)


class WidenedSystem(ToySystem):
    """As if another version of the code were installed here."""

    def loss(self, params: Any, batch: Any, key: Any, objective: str) -> Any:
        total, parts = super().loss(params, batch, key, objective)
        return 2.0 * total, parts


def main(workdir: str, fsdp: str, rate: str = "0.01", widened: str = "") -> int:
    quiet()
    enable_compile_cache()
    hosts = start_hosts()
    steps = int(os.environ.get("TOY_STEPS", "20"))
    settings = dataclasses.replace(
        ToyRun().train, stages=TWO_STAGES, learning_rate=float(rate), steps=steps
    )
    tensor = int(os.environ.get("TOY_TENSOR", "1"))
    run = ToyRun(train=settings, mesh=MeshConfig(data=-1, fsdp=int(fsdp), tensor=tensor))
    share = host_share(batch_sharding(make_mesh(run.mesh), settings.batch), settings.batch)
    assert share == (hosts.index // tensor, hosts.count // tensor)
    delay = float(os.environ.get("TOY_DELAY", "0"))
    sick, _, harm = os.environ.get("TOY_HARM", "").partition(":")
    plan = {int(harm.split("@")[1]): harm.split("@")[0]} if sick == str(hosts.index) else {}
    loader = ShareLoader(
        settings.batch, *share, delay=delay, workdir=pathlib.Path(workdir), harm=plan
    )
    system = WidenedSystem() if widened else ToySystem()
    try:
        train(run, workdir, system=system, loader=loader, statistics=STATISTICS)
    except UserError as error:
        print(error, file=sys.stderr, flush=True)
        return leave(2)
    except Exception as error:
        traceback.print_exc()
        print(last_words(error), file=sys.stderr, flush=True)
        return leave(1)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
