"""A tiny run on a mixture, in a process of its own, that writes down which windows it read.

python -m tests.train.mixture_run CONFIG WORKDIR DELAY
"""

import dataclasses
import json
import pathlib
import sys
import time

import numpy as np

from tests.test_configs import load
from wamjax.cli.train import run_training
from wamjax.core.config import from_json
from wamjax.core.files import read_json
from wamjax.core.runtime import enable_compile_cache
from wamjax.data import DataConfig, Loader
from wamjax.parallel.mesh import MeshConfig

STEPS = 12
CONFIG = pathlib.Path(__file__).resolve().parents[2] / "configs" / "mixture_tiny.py"


def main(config: str, workdir: str, delay: str) -> int:
    enable_compile_cache()
    where = pathlib.Path(workdir)
    read = Loader.__next__

    def noted(self: Loader):
        step = self.state()["next_example"] // self.batch_size
        batch = read(self)
        share = self.batch_size // self.host_count
        row = {
            "step": step,
            "first": self.host_index * share,
            "windows": np.asarray(batch.index).tolist(),
        }
        name = f"{where.name}-batches-{self.host_count}-{self.host_index}.jsonl"
        with (where.parent / name).open("a") as file:
            file.write(json.dumps(row) + "\n")
        time.sleep(float(delay))
        return batch

    Loader.__next__ = noted
    run = load(CONFIG).CONFIG
    data = from_json(DataConfig, read_json(config))
    data = dataclasses.replace(data, action_width=40, proprio_width=40)
    train = dataclasses.replace(run.train, steps=STEPS, batch=8, save_every=2, log_every=1)
    run = dataclasses.replace(run, data=data, train=train, mesh=MeshConfig(data=-1, fsdp=1))
    run_training(run, where)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
