"""The toy run for the chaos test: it does harm to itself at certain batches and bears it.

python -m tests.train.chaos_run WORKDIR STEPS SECONDS_PER_BATCH SAVE_EVERY [KIND@BATCH ...]

    full        the disk is full for a while: no file may grow (EFBIG), or where WORKDIR is a file
                system of its own, it is filled up (ENOSPC)
    readonly    nobody may write to the checkpoints for a while

A while is `WHILE` batches, and until a save has failed: batches are made ahead of the steps, so
that on a slow machine no save might have been tried.
"""

import dataclasses
import os
import pathlib
import resource
import sys
from typing import Any, TextIO

from absl import logging

from tests.train.toy import STATISTICS, TWO_STAGES, ToyLoader, ToyRun, ToySystem
from wamjax.core.runtime import enable_compile_cache
from wamjax.train.loop import train

WHILE = 8
# Starts Python without the superuser's power to write where nobody may: by prctl it gives up
# (24, PR_CAPBSET_DROP) the capability (1, CAP_DAC_OVERRIDE), which is gone after exec.
OBEDIENT = """
import ctypes, os, sys
if os.getuid() == 0 and sys.platform == "linux":
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class Heard:
    """Standard error, counting the saves that were said to have failed."""

    def __init__(self, stream: TextIO):
        self.stream, self.failures = stream, 0

    def write(self, text: str) -> int:
        self.failures += text.count("could not be saved")
        return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class Harmful(ToyLoader):
    """Does harm when it has made so many batches, and undoes it a while later."""

    def __init__(self, batch: int, delay: float, workdir: pathlib.Path, harm: dict[int, str]):
        super().__init__(batch, delay=delay)
        self.workdir, self.harm, self.made = workdir, harm, 0
        self.now, self.until, self.failures = "", 0, 0

    def failed(self) -> int:
        """Saves that were said to have failed."""
        return sys.stderr.failures if isinstance(sys.stderr, Heard) else 0

    def make(self, start: int) -> Any:
        self.made += 1
        if self.now and self.made >= self.until and self.failed() > self.failures:
            getattr(self, self.now)(False)
            print(f"harm: {self.now} ends", file=sys.stderr, flush=True)
            self.now = ""
        if self.made in self.harm and not self.now:
            self.now, self.until = self.harm[self.made], self.made + WHILE
            self.failures = self.failed()
            getattr(self, self.now)(True)
            print(f"harm: {self.now} begins", file=sys.stderr, flush=True)
        return super().make(start)

    def full(self, begins: bool) -> None:
        filler = self.workdir.parent / "filler"
        if os.path.ismount(self.workdir.parent):
            if not begins:
                filler.unlink()
                return
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    return
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        soft = 64 if begins else hard
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def readonly(self, begins: bool) -> None:
        (self.workdir / "checkpoints").chmod(0o555 if begins else 0o755)


def quiet() -> None:
    """As `wamjax` does: what Orbax logs as an error it raises, too."""
    logging.set_verbosity(logging.FATAL)


def main(workdir: str, steps: str, delay: str, every: str, *harm: str) -> int:
    quiet()
    enable_compile_cache()
    sys.stderr = Heard(sys.stderr)
    run, folder = ToyRun(), pathlib.Path(workdir)
    # A kill may have come while nobody could write.
    if (folder / "checkpoints").is_dir():
        (folder / "checkpoints").chmod(0o755)
    (folder.parent / "filler").unlink(missing_ok=True)
    settings = dataclasses.replace(
        run.train, steps=int(steps), save_every=int(every), log_every=2, stages=TWO_STAGES
    )
    plan = {int(word.split("@")[1]): word.split("@")[0] for word in harm}
    train(
        dataclasses.replace(run, train=settings),
        workdir,
        system=ToySystem(),
        loader=Harmful(settings.batch, float(delay), folder, plan),
        statistics=STATISTICS,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
