"""Worlds of the target domain on a pool of processes.

Each worker owns the models, the data and the OpenGL context of its worlds; joint targets go in,
joint readings and pictures come out. Processes are spawned, so nothing of JAX or OpenGL is shared
with the parent; a script that plays needs the usual `if __name__ == "__main__":`.
"""

import contextlib
import itertools
import multiprocessing
import os
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import mujoco
import numpy as np

from wamjax.core.errors import UserError
from wamjax.sim.render import opengl
from wamjax.sim.scene import SceneSpec
from wamjax.sim.target.drawing import Painter
from wamjax.sim.target.model import REALITY, Reality, build_target
from wamjax.sim.target.world import Start, TargetWorld

NO_PICTURES = (
    "the target domain draws with OpenGL and found none ({}); install libegl1 (or libosmesa6 and "
    "MUJOCO_GL=osmesa), or play without pictures."
)


@contextlib.contextmanager
def worker_environment() -> Iterator[None]:
    """$MUJOCO_GL for processes that start inside: what the user set, else a library that works.

    MuJoCo chooses its OpenGL when it is imported, so it must be known before.
    """
    before = os.environ.get("MUJOCO_GL")
    if not before and (chosen := opengl.backend()):
        os.environ["MUJOCO_GL"] = chosen
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("MUJOCO_GL", None)
        else:
            os.environ["MUJOCO_GL"] = before


class _Worker:
    """The other end of the pipe: some worlds of the batch."""

    def __init__(self, reality: Reality):
        self.reality = reality
        self.worlds: list[TargetWorld] = []
        self.painters: dict[tuple[SceneSpec, int], Painter] = {}

    def open(self, spec: SceneSpec, starts: list[Start]) -> None:
        self.worlds = [TargetWorld(spec, start, self.reality) for start in starts]

    def tick(self, before: np.ndarray, after: np.ndarray, slides: np.ndarray) -> np.ndarray:
        rows = zip(self.worlds, before, after, slides, strict=True)
        return np.stack([world.tick(*told) for world, *told in rows])

    def draw(self, cameras: tuple[str, ...], size: int) -> np.ndarray:
        out = []
        for world in self.worlds:
            place = (world.spec, size)
            if place not in self.painters:
                try:
                    self.painters[place] = Painter(build_target(world.spec, self.reality), size)
                except Exception as error:
                    raise UserError(NO_PICTURES.format(error)) from error
            out.append(self.painters[place].draw(world, cameras))
        return np.stack(out)


def _serve(pipe: Connection, reality: Reality) -> None:
    """Answers (name of a method, arguments) until None comes or the parent is gone."""
    # A world that blows up is reported as such; MuJoCo would write MUJOCO_LOG.TXT.
    mujoco.set_mju_user_warning(lambda message: None)
    worker = _Worker(reality)
    while True:
        try:
            message = pipe.recv()
        except EOFError:
            return
        if message is None:
            return
        try:
            pipe.send((True, getattr(worker, message[0])(*message[1])))
        except UserError as error:
            pipe.send((False, (True, str(error))))
        except Exception:
            pipe.send((False, (False, traceback.format_exc())))


class Pool:
    """Workers that step and draw the worlds of one batch at a time.

    Args:
        processes: how many; by default one per core that this process may use.
        reality: the target's constants.
    """

    def __init__(self, processes: int | None = None, reality: Reality = REALITY):
        count = len(os.sched_getaffinity(0)) if processes is None else processes
        if count < 1:
            raise UserError(f"the target domain needs at least one process, not {count}.")
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        self._shares: list[slice] = []
        with worker_environment():
            for _ in range(count):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, reality), daemon=True)
                process.start()
                theirs.close()
                self._pipes.append(ours)
                self._processes.append(process)

    def open(self, spec: SceneSpec, starts: list[Start]) -> None:
        """Puts a new batch of worlds in the place of the last one."""
        edges = np.linspace(0, len(starts), len(self._pipes) + 1).round().astype(int)
        shares = [slice(int(low), int(high)) for low, high in itertools.pairwise(edges)]
        self._shares = shares
        self._ask("open", [(spec, starts[share]) for share in shares])

    def tick(self, before: np.ndarray, after: np.ndarray, slides: np.ndarray) -> np.ndarray:
        """One control tick of all worlds; see `TargetWorld.tick`, with a leading axis E."""
        rows = [(before[share], after[share], slides[share]) for share in self._shares]
        return self._gather("tick", rows)

    def draw(self, cameras: tuple[str, ...], size: int) -> np.ndarray:
        """uint8 [E, V, H, W, 3].

        Raises:
            UserError: there is no OpenGL.
        """
        return self._gather("draw", [(cameras, size)] * len(self._pipes))

    def close(self) -> None:
        """Ends the workers."""
        for pipe in self._pipes:
            with contextlib.suppress(OSError):
                pipe.send(None)
            pipe.close()
        for process in self._processes:
            process.join(10)
        self._pipes, self._processes = [], []

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _gather(self, name: str, arguments: list[tuple]) -> np.ndarray:
        return np.concatenate(self._ask(name, arguments))

    def _ask(self, name: str, arguments: list[tuple]) -> list[Any]:
        """The answers of the workers that have worlds."""
        busy = [
            (pipe, told)
            for pipe, told, share in zip(self._pipes, arguments, self._shares, strict=True)
            if share.stop > share.start or name == "open"
        ]
        for pipe, told in busy:
            pipe.send((name, told))
        answers = []
        for pipe, _ in busy:
            try:
                answers.append(pipe.recv())
            except EOFError:
                answers.append((False, (False, "it died; out of memory?")))
        for done, answer in answers:
            if not done:
                expected, text = answer
                if expected:
                    raise UserError(text)
                raise RuntimeError(f"a worker of the target domain failed: {text}")
        return [answer for _, answer in answers]
