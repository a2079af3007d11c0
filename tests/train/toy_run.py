"""Trains the toy system in a process of its own, to be killed.

python -m tests.train.toy_run WORKDIR STEPS SECONDS_PER_BATCH
"""

import dataclasses
import sys

from tests.train.toy import STATISTICS, TWO_STAGES, ToyLoader, ToyRun, ToySystem
from wamjax.core.runtime import enable_compile_cache
from wamjax.train.loop import train


def main(workdir: str, steps: str, delay: str) -> int:
    enable_compile_cache()
    run = ToyRun()
    settings = dataclasses.replace(
        run.train, steps=int(steps), save_every=3, log_every=2, stages=TWO_STAGES
    )
    train(
        dataclasses.replace(run, train=settings),
        workdir,
        system=ToySystem(),
        loader=ToyLoader(settings.batch, delay=float(delay)),
        statistics=STATISTICS,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
