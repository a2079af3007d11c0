"""Checkpoints: `<workdir>/checkpoints/<step>`, whole or absent.

Three items stand in each: `state` (step, weights, averages, optimizer; arrays), `data` (the
loader's state; JSON) and `meta` (config, statistics, their fingerprint, versions, seconds, FLOPs;
JSON). Orbax writes under a temporary name and renames at the end, so a half-written one is never
taken for a checkpoint; a table of check sums finds what happens to it later (train.intact).
"""

import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from jax.experimental import multihost_utils

from wamjax.core.errors import UserError
from wamjax.core.typing import Params
from wamjax.parallel.ending import all_here
from wamjax.train.intact import (
    UNFINISHED,
    fault,
    newest_intact,
    set_aside,
    steps_in,
    sweep,
    write_table,
)
from wamjax.train.lora import merged_on_host
from wamjax.train.outcome import stored_meta
from wamjax.train.rendezvous import Rendezvous, cause, told_by_all
from wamjax.train.state import TrainState

Say = Callable[[str], None]
FOLDER = "checkpoints"
# In the `meta` of a checkpoint that holds averaged weights and no state to go on from.
WEIGHTS_ONLY = "weights_only"


class Checkpoints:
    """The checkpoints of one workdir.

    A save that fails (a full disk, a directory that became read-only) is told, and training goes
    on to the next one; only the last state must be saved, see `finish`. On several hosts a save has
    failed for all of them if it failed for one. All of them call the same methods in one order.

    Args:
        workdir: checkpoints stand in its folder `checkpoints`, which is made if missing.
        keep: how many of the newest to keep.
        say: told in one line what was saved, lost or broken.

    Attributes:
        failed: steps whose save failed, in order.

    Raises:
        UserError: fewer than two are kept.
    """

    def __init__(self, workdir: pathlib.Path, keep: int, say: Say = print):
        if keep < 2:
            raise UserError(
                f"train.keep is {keep}, but if the newest checkpoint is broken the one before it "
                "is needed; set it to 2 or more."
            )
        self.directory = workdir.resolve() / FOLDER
        self.failed: list[int] = []
        self._workdir, self._keep, self._say = workdir.resolve(), keep, say
        self._under_way: int | None = None
        self._rendezvous = Rendezvous()
        self._opened: ocp.CheckpointManager | None = None
        self._manager  # noqa: B018  (what is wrong with the folder is told now)

    @property
    def _manager(self) -> ocp.CheckpointManager:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> ocp.CheckpointManager:
        if jax.process_index() == 0:
            sweep(self.directory)
        options = ocp.CheckpointManagerOptions(
            max_to_keep=self._keep,
            create=True,
            enable_async_checkpointing=True,
            async_options=ocp.AsyncOptions(
                post_finalization_callback=self._measure,
                barrier_sync_fn=self._rendezvous,
                # Else threads wait five minutes for a folder that could not be made.
                create_directories_asynchronously=False,
            ),
        )
        return ocp.CheckpointManager(self.directory, options=options)

    def _measure(self) -> None:
        if jax.process_index() == 0:
            write_table(self.directory / f"{self._under_way}{UNFINISHED}")

    def latest(self) -> int | None:
        """The step of the newest checkpoint that is what was saved; broken ones are set aside.

        One host looks, all get its answer.
        """
        self.wait()
        found = -1
        if jax.process_index() == 0:
            newest = newest_intact(self._workdir, FOLDER, self._say)
            found = -1 if newest is None else newest
        found = of_first_host(found)
        self._manager.reload()
        return None if found < 0 else found

    def back_to_good(self) -> int | None:
        """The step to go back to: of the newest checkpoint that no skipped step precedes.

        Newer ones are set aside. If all were saved among skipped steps (a preemption does that),
        it is the oldest, which has the weights from before those steps.
        """
        if self.latest() is not None and jax.process_index() == 0:
            older = steps_in(self.directory)
            read = ocp.JsonCheckpointHandler().restore
            while (
                len(older) > 1
                and stored_meta(read(epath.Path(self.directory) / str(older[-1]) / "meta"))[
                    "streak"
                ]
            ):
                checkpoint = self.directory / str(older.pop())
                wrong = "it was saved among skipped steps"
                set_aside(self._workdir, checkpoint, wrong, self._say)
        return self.latest()

    def meta(self, step: int) -> dict[str, Any]:
        """The JSON item `meta`."""
        args = ocp.args.Composite(meta=ocp.args.JsonRestore())
        return self._manager.restore(step, args=args)["meta"]

    def save(
        self, step: int, state: TrainState, data: Mapping[str, Any], meta: Mapping[str, Any]
    ) -> None:
        """Start writing; returns when the state may be overwritten, not when it is on disk."""
        self.wait()
        self._under_way = step
        self._rendezvous.begin()
        args = ocp.args.Composite(
            state=ocp.args.StandardSave(_items(state)),
            data=ocp.args.JsonSave(dict(data)),
            meta=ocp.args.JsonSave(dict(meta)),
        )
        if self._told(self._probe):
            write = functools.partial(self._manager.save, step, args=args, force=True)
            # Several hosts begin together: one that cannot ends the run, which starts anew.
            write() if jax.process_count() > 1 else self._told(write)

    def _probe(self) -> None:
        """Fail where no folder can be made before all hosts begin."""
        if jax.process_index() == 0:
            probe = self.directory / f".probe{UNFINISHED}"
            probe.mkdir(exist_ok=True)
            probe.rmdir()

    def wait(self) -> None:
        """Until what is being saved is on disk, or known not to be."""
        if self._under_way is not None and self._told(self._manager.wait_until_finished):
            self._under_way = None

    def _told(self, do: Callable[[], Any]) -> bool:
        """Do it; if it fails on any host say so and forget the save under way, on every host."""
        wrong = ""
        try:
            do()
        # Orbax raises what its writers raise: OSError, ValueError, XlaRuntimeError.
        except Exception as error:
            wrong = first_line(cause(error))
        wrong = told_by_all(wrong)
        if wrong:
            step, self._under_way = self._under_way, None
            assert step is not None
            self.failed.append(step)
            self._say(
                f"checkpoint of step {step} could not be saved ({wrong}); "
                "training goes on, the next save point tries again."
            )
            # The manager still counts it, and has dropped older ones that stay on disk.
            with contextlib.suppress(Exception):
                self._manager.close()
            self._opened = None
        return not wrong

    def finish(
        self, step: int, state: TrainState, data: Mapping[str, Any], meta: Mapping[str, Any]
    ) -> None:
        """Until the state of `step`, the last one, is on disk.

        Raises:
            UserError: it cannot be saved; what was saved before stands.
        """
        self.wait()
        if step in self.failed[-1:]:
            self._say(f"trying once more to save step {step}.")
            self.save(step, state, data, meta)
            self.wait()
        if step in self.failed[-1:]:
            newest = of_first_host(max(steps_in(self.directory), default=-1))
            if newest != step:
                stands = "no checkpoint stands" if newest < 0 else f"that of step {newest} stands"
                raise UserError(
                    f"step {step} could not be saved in {self.directory}, {stands}; make room or "
                    "make it writable, the same command goes on from there."
                )

    def restore(self, step: int, abstract: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """State and loader state of `step`.

        Args:
            step: a step that `latest` named.
            abstract: shapes, dtypes and the shardings wanted now; the mesh may be another one
                than when it was saved.

        Raises:
            UserError: it holds weights alone.
        """
        if WEIGHTS_ONLY in self.meta(step):
            raise UserError(
                f"{self._workdir} holds the weights of a run without its optimizer, so it cannot "
                "be trained on: choose another --workdir."
            )
        restored = self._manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(_items(abstract)), data=ocp.args.JsonRestore()
            ),
        )
        return TrainState(**{"window": None, **restored["state"]}), restored["data"]

    def preempted(self, step: int) -> bool:
        """Whether the cluster has asked all hosts to stop; they agree on the step."""
        return jax.process_count() > 1 and self._manager.reached_preemption(step)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Nothing is raised over an error that is on its way; one that is not that of all hosts
        # leaves the others elsewhere, where nobody can wait for them.
        if kind is not None and not all_here("failed"):
            return
        self.wait()
        if self._opened is not None:
            self._opened.close()


def _items(state: TrainState) -> dict[str, Any]:
    """The state as it stands on disk: without what it does not have."""
    fields = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    return {name: value for name, value in fields.items() if value is not None}


def of_first_host(number: int) -> int:
    """What the first of all hosts found, on every one of them."""
    if jax.process_count() == 1:
        return number
    return int(multihost_utils.broadcast_one_to_all(np.int32(number)))


def first_line(error: BaseException) -> str:
    """What an error says, short enough for one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


def load_for_inference(
    workdir: str | pathlib.Path, step: int | None = None
) -> tuple[dict[str, Any], Any, Params, int]:
    """What a policy needs of a trained run; nothing but the averaged weights is read.

    Args:
        workdir: of a run of `wamjax train`.
        step: which checkpoint; by default the newest.

    Returns:
        (config JSON, statistics JSON, averaged weights as NumPy arrays, step). Adapters are merged
        into their kernels.

    Raises:
        UserError: there is no such checkpoint, or it is broken.
    """
    directory = pathlib.Path(workdir).resolve() / FOLDER
    if not directory.is_dir():
        raise UserError(f"{workdir} has no folder {FOLDER}; train there first.")
    steps = steps_in(directory)
    if not steps or (step is not None and step not in steps):
        found = ", ".join(map(str, steps)) if steps else "none"
        wanted = "no checkpoint" if step is None else f"no checkpoint of step {step}"
        raise UserError(f"{workdir} has {wanted} (found: {found}); train further there.")
    chosen = steps[-1] if step is None else step
    wrong = fault(directory / str(chosen))
    if wrong is not None:
        raise UserError(
            f"the checkpoint of step {chosen} in {workdir} is broken ({wrong}); give another step "
            f"({', '.join(map(str, steps))}) or train further there."
        )
    folder = epath.Path(directory) / str(chosen)
    meta = load_meta(workdir, chosen)
    arrays = ocp.PyTreeCheckpointHandler()
    shapes = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype),
        arrays.metadata(folder / "state").tree["ema"],
    )
    to_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), shapes)
    restored = arrays.restore(
        folder / "state",
        args=ocp.args.PyTreeRestore(
            item={"ema": shapes}, restore_args={"ema": to_numpy}, partial_restore=True
        ),
    )
    config = meta["config"]
    return config, meta["statistics"], merged_on_host(restored["ema"], config), chosen


def load_meta(workdir: str | pathlib.Path, step: int) -> Mapping[str, Any]:
    """The JSON item `meta` of a checkpoint that stands there."""
    folder = epath.Path(pathlib.Path(workdir).resolve()) / FOLDER / str(step)
    return ocp.JsonCheckpointHandler().restore(folder / "meta")
