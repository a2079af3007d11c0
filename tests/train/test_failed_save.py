"""A save that fails is told at once, and leaves nothing behind that somebody would wait for."""

import errno
import os
import pathlib
import threading
from typing import Any

import jax.numpy as jnp
import pytest

from wamjax.train.checkpoint import Checkpoints
from wamjax.train.intact import fault, steps_in
from wamjax.train.state import TrainState


def state() -> TrainState:
    weights = {"kernel": jnp.arange(6.0)}
    return TrainState(step=jnp.int32(1), params=weights, ema=weights, opt_state={})


@pytest.mark.parametrize("item", ["2", "state"])
def test_a_folder_that_cannot_be_made_is_told_and_no_thread_waits_for_it(
    item: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    make, told = os.mkdir, []

    def full(path: Any, *args: Any, **named: Any) -> None:
        if pathlib.Path(path).name.startswith(f"{item}.orbax"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        make(path, *args, **named)

    with Checkpoints(tmp_path, 2, told.append) as checkpoints:
        checkpoints.save(1, state(), {}, {})
        checkpoints.wait()
        threads = {*threading.enumerate()}
        with monkeypatch.context() as patch:
            patch.setattr(os, "mkdir", full)
            checkpoints.save(2, state(), {}, {})
            checkpoints.wait()
        (line,) = told
        assert "checkpoint of step 2 could not be saved ([Errno 28] No space left" in line
        # A process ends when its threads have; those of a pool are idle.
        assert not [
            thread
            for thread in {*threading.enumerate()} - threads
            if not thread.daemon and not thread.name.startswith(("asyncio_", "ThreadPool"))
        ]
        checkpoints.save(3, state(), {}, {})
    assert steps_in(tmp_path / "checkpoints") == [1, 3]
    assert fault(tmp_path / "checkpoints" / "3") is None
