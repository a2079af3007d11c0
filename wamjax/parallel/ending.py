"""How a host ends when something went wrong: soon, and the others too.

jax lets a process that ends wait five minutes for all others. They may be dead, or wait in a
collective for this one; and as long as it waits, no launcher knows that there is something to start
again. So a host that ends badly looks for `PATIENCE` seconds whether all do, as when a setting
is wrong; if not, it ends at once, and whoever it was connected to hears of it.
"""

import contextlib
import os
import sys
from typing import Any

import jax
from jax._src.distributed import global_state

PATIENCE = 5.0


def service() -> Any:
    """By which hosts tell one another things; jax has no public name for it."""
    return global_state.client


def all_here(place: str) -> bool:
    """Whether all hosts come to `place` within `PATIENCE`; one host is there."""
    if not jax.distributed.is_initialized():
        return True
    try:
        service().wait_at_barrier(f"wamjax/{place}", int(1000 * PATIENCE))
    # A host is late or dead, or the first one is, where the service was.
    except jax.errors.JaxRuntimeError:
        return False
    return True


def last_words(error: BaseException) -> str:
    """What a host says that ends by an error nobody expected."""
    lines = str(error).strip().splitlines() or [""]
    return (
        f"host {jax.process_index()} of {jax.process_count()} ends "
        f"({type(error).__name__}: {lines[0][:200]}); if that is a lost connection another host "
        "has died, see their logs. The same command goes on from the last checkpoint."
    )


def leave(code: int) -> int:
    """`code` if all hosts end; a host that ends alone ends here and now, with it."""
    if not all_here("end"):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)
    return code
