"""Compiling in a process of its own: libtpu keeps memory of each program, and aborts on some."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any


class CompilerError(Exception):
    """The compiler ended its process, so that nothing is known of the program."""


def apart(function: Callable[..., None], *arguments: Any) -> None:
    """Run `function` in a fresh process.

    Args:
        function: of a module; what it finds it must leave on disk.
        *arguments: that can be pickled.

    Raises:
        CompilerError: the process died.
        Exception: what `function` raised.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            pool.submit(function, *arguments).result()
        except BrokenProcessPool as error:
            raise CompilerError("the compiler aborted") from error
