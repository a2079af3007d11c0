"""Checkpoints: `<workdir>/checkpoints/<step>`, whole or absent.

Three items stand in each: `state` (step, weights, averages, optimizer; arrays), `data` (the
loader's state; JSON) and `meta` (config, statistics, their fingerprint, versions, seconds, FLOPs;
JSON). Orbax writes under a temporary name and renames at the end, so a half-written one is never
taken for a checkpoint.
"""

import pathlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from wamjax.core.errors import UserError
from wamjax.core.typing import Params
from wamjax.train.state import TrainState

FOLDER = "checkpoints"


class Checkpoints:
    """The checkpoints of one workdir.

    Args:
        workdir: checkpoints stand in its folder `checkpoints`, which is made if missing.
        keep: how many of the newest to keep.
    """

    def __init__(self, workdir: pathlib.Path, keep: int):
        self.directory = workdir.resolve() / FOLDER
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, create=True, enable_async_checkpointing=True
        )
        self._manager = ocp.CheckpointManager(self.directory, options=options)

    def latest(self) -> int | None:
        """The step of the newest whole checkpoint."""
        return self._manager.latest_step()

    def meta(self, step: int) -> dict[str, Any]:
        """The JSON item `meta`."""
        args = ocp.args.Composite(meta=ocp.args.JsonRestore())
        return self._manager.restore(step, args=args)["meta"]

    def save(
        self, step: int, state: TrainState, data: Mapping[str, Any], meta: Mapping[str, Any]
    ) -> None:
        """Start writing; returns when the state may be overwritten, not when it is on disk."""
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state),
                data=ocp.args.JsonSave(dict(data)),
                meta=ocp.args.JsonSave(dict(meta)),
            ),
            force=True,
        )

    def restore(self, step: int, abstract: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """State and loader state of `step`.

        Args:
            step: a step that `latest` named.
            abstract: shapes, dtypes and the shardings wanted now; the mesh may be another one
                than when it was saved.
        """
        restored = self._manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(abstract), data=ocp.args.JsonRestore()
            ),
        )
        return restored["state"], restored["data"]

    def preempted(self, step: int) -> bool:
        """Whether the cluster has asked all hosts to stop; they agree on the step."""
        return jax.process_count() > 1 and self._manager.reached_preemption(step)

    def wait(self) -> None:
        """Until everything saved is on disk."""
        self._manager.wait_until_finished()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._manager.close()


def load_for_inference(
    workdir: str | pathlib.Path, step: int | None = None
) -> tuple[dict[str, Any], Any, Params, int]:
    """What a policy needs of a trained run; nothing but the averaged weights is read.

    Args:
        workdir: of a run of `wamjax train`.
        step: which checkpoint; by default the newest.

    Returns:
        (config JSON, statistics JSON, averaged weights as NumPy arrays, step).

    Raises:
        UserError: there is no such checkpoint.
    """
    directory = pathlib.Path(workdir).resolve() / FOLDER
    if not directory.is_dir():
        raise UserError(f"{workdir} has no folder {FOLDER}; train there first.")
    steps = sorted(ocp.utils.checkpoint_steps(epath.Path(directory)))
    if not steps or (step is not None and step not in steps):
        found = ", ".join(map(str, steps)) if steps else "none"
        wanted = "no checkpoint" if step is None else f"no checkpoint of step {step}"
        raise UserError(f"{workdir} has {wanted} (found: {found}); train further there.")
    chosen = steps[-1] if step is None else step
    folder = epath.Path(directory) / str(chosen)
    meta = ocp.JsonCheckpointHandler().restore(folder / "meta")
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
    return meta["config"], meta["statistics"], restored["ema"], chosen
