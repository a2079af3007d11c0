"""The plain loop in a process of its own: OpenGL is chosen before MuJoCo is imported."""

import contextlib
import multiprocessing
import os
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from wamjax.core.runtime import enable_compile_cache
from wamjax.eval.bench_case import Case
from wamjax.eval.plain.loop import PlainLoop, Play


class LoopProcess:
    """A PlainLoop in a process of its own, which has chosen its OpenGL; a context manager.

    Args:
        case: see PlainLoop.
        library: "egl" or "osmesa", see `sim.render.opengl.backend`.
        cached: take programs from the compile cache, for tests.

    Attributes:
        compile_seconds: of the loop's jitted parts with their first calls; nothing is cached.
        way: how it steps.
        trial: seconds per tick of each way.
    """

    def __init__(self, case: Case, library: str, *, cached: bool = False):
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        chosen = {"MUJOCO_GL": library, "PYOPENGL_PLATFORM": library}
        # The child reads its surroundings when it imports MuJoCo and jax.
        caching = {"JAX_ENABLE_COMPILATION_CACHE": "1" if cached else "0"}
        with _environment(chosen | caching):
            context = multiprocessing.get_context("spawn")
            self.process = context.Process(target=_serve, args=(theirs, case, cached), daemon=True)
            self.process.start()
        self.pipe: Any = ours
        theirs.close()
        self.compile_seconds, self.way, self.trial = self._answer()

    def play(self, *, shadows: bool = True, script: np.ndarray | None = None) -> Play:
        """See PlainLoop.play."""
        self.pipe.send({"shadows": shadows, "script": script})
        return self._answer()

    def _answer(self) -> Any:
        try:
            kind, value = self.pipe.recv()
        except EOFError:
            raise RuntimeError("the plain loop's process ended without a word") from None
        if kind == "error":
            raise RuntimeError(f"the plain loop failed: {value}")
        return value

    def __enter__(self) -> "LoopProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.pipe.close()
        self.process.join(10)
        if self.process.is_alive():
            self.process.terminate()


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(pipe: Connection, case: Case, cached: bool) -> None:
    """The other process: answer until the pipe is closed."""
    try:
        if cached:
            enable_compile_cache()
        loop = PlainLoop(case)
        pipe.send(("made", (loop.compile_seconds, loop.way, loop.trial)))
        while True:
            try:
                wish = pipe.recv()
            except EOFError:
                return
            pipe.send(("played", loop.play(**wish)))
    except Exception:
        pipe.send(("error", traceback.format_exc()))
