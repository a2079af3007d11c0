"""A trained run as a folder of safetensors with all that its weights need, and as a run again.

OUT/model-*.safetensors, an index   averaged weights, by their path
OUT/conversion.json                 whose they are: run, step, the hash of the weights
OUT/config.json, statistics.json    what a policy needs beside them
OUT/training.json                   what else was told with the checkpoint (versions, seconds)
OUT/final.json                      of a finished run
"""

import pathlib
import shutil
from typing import Any

import flax.traverse_util
import jax.numpy as jnp
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_json, write_text
from wamjax.core.tree import count_parameters, leaves_by_path, weights_sha256
from wamjax.pretrained.convert import REQUEST, export, own_names
from wamjax.pretrained.opened import open_tensors
from wamjax.pretrained.tensors import InMemory
from wamjax.train.card import START, model_card, start_of
from wamjax.train.checkpoint import WEIGHTS_ONLY, Checkpoints, Say, load_for_inference, load_meta
from wamjax.train.outcome import FINAL
from wamjax.train.state import TrainState
from wamjax.train.workdir import CONFIG, told_if_unwritable

STATISTICS, TRAINING, CARD = "statistics.json", "training.json", "README.md"
EXPORTED = "exported"


def export_run(workdir: pathlib.Path, out: pathlib.Path) -> tuple[int, int]:
    """Write the averaged weights of the newest checkpoint, and what they need.

    Args:
        workdir: of `wamjax train`.
        out: a folder, which need not exist; what was begun there is gone on with.

    Returns:
        (step, how many tensors).

    Raises:
        UserError: there is no checkpoint, or the folder has no room or belongs to other weights.
    """
    config, statistics, weights, step = load_for_inference(workdir)
    leaves = {path: np.asarray(leaf) for path, leaf in leaves_by_path(weights).items()}
    told = {"run": workdir.name, "step": step, "weights_sha256": weights_sha256(weights)}
    export(InMemory(leaves), own_names(weights), out, {EXPORTED: told})
    meta = load_meta(workdir, step)
    training = {name: x for name, x in meta.items() if name not in ("config", "statistics")}
    final = read_json(workdir / FINAL) if (workdir / FINAL).is_file() else None
    card = model_card(
        config=config,
        statistics=statistics,
        training=training,
        final=final,
        start=start_of(workdir),
        whose=told,
        parameters=count_parameters(weights),
    )
    files = {CONFIG: config, STATISTICS: statistics, TRAINING: training, FINAL: final}
    files[START] = start_of(workdir)
    with told_if_unwritable(out):
        for name, value in files.items():
            if value is not None:
                write_json(out / name, value)
        # What somebody has written into it since then stays.
        if not (out / CARD).exists():
            write_text(out / CARD, card)
    return step, len(leaves)


def whose(folder: pathlib.Path) -> dict[str, Any]:
    """Run, step and hash of what `export_run` wrote.

    Raises:
        UserError: it did not write this folder.
    """
    told = read_json(folder / REQUEST) if (folder / REQUEST).is_file() else {}
    if EXPORTED not in told or "weights_sha256" not in told[EXPORTED]:
        raise UserError(
            f"{folder} is no exported run: give a folder that `wamjax convert --to safetensors "
            "WORKDIR` made."
        )
    return told[EXPORTED]


def import_run(folder: pathlib.Path, out: pathlib.Path, say: Say) -> int:
    """A workdir of what `export_run` wrote: to evaluate and sample, not to train on.

    Args:
        folder: what was written.
        out: the workdir, which is made.
        say: told in one line what went wrong.

    Returns:
        The step of its checkpoint.

    Raises:
        UserError: the folder is no exported run, not whole or changed, or `out` is not empty.
    """
    told = whose(folder)
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty: choose another --out.")
    tensors = open_tensors(folder)
    paths = {name: tensors.read(name) for name in tensors.shapes}
    weights = flax.traverse_util.unflatten_dict(paths, sep="/")
    if weights_sha256(weights) != told["weights_sha256"]:
        raise UserError(f"the weights in {folder} are not those that were exported: get it again.")
    parts = {"config": read_json(folder / CONFIG), "statistics": read_json(folder / STATISTICS)}
    meta = {**parts, **read_json(folder / TRAINING), WEIGHTS_ONLY: True}
    state = TrainState(step=jnp.int32(told["step"]), params=None, ema=weights, opt_state=None)
    with told_if_unwritable(out):
        write_json(out / CONFIG, parts["config"])
        with Checkpoints(out, 2, say) as checkpoints:
            checkpoints.save(told["step"], state, {}, meta)
            checkpoints.finish(told["step"], state, {}, meta)
        for name in (FINAL, START):
            if (folder / name).is_file():
                shutil.copyfile(folder / name, out / name)
    return told["step"]
