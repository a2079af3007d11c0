"""Which worlds an evaluation visits: a list of rows and one hash that names it.

The hash covers the rows and the bands of all axes, so that two results with the same hash were
obtained in the same worlds.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_json
from wamjax.sim.tasks.registry import find_task
from wamjax.sim.variants import AXES, SEVERITIES, Variant, find_axis, find_sub_axis

CLEAN = "clean"
FORMAT = 1
EVALUATION_SEEDS = 1 << 30
"""Worlds of evaluations have seeds below this, demonstrations from here on."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """The worlds of an evaluation.

    Attributes:
        rows: one dict per world: task, axis ("clean" or a name), sub_axis ("" if clean), severity
            (0 if clean), seed.
        sha256: hash of rows and bands.
    """

    rows: tuple[dict[str, Any], ...]
    sha256: str

    def variants(self, task: str) -> Variant:
        """The worlds of one task in the order of the rows, int32 [E] (NumPy)."""
        numbers = [_numbers(row) for row in self.rows if row["task"] == task]
        columns = np.array(numbers, np.int32).reshape(-1, 4).T
        return Variant(axis=columns[0], sub_axis=columns[1], severity=columns[2], seed=columns[3])


def build_manifest(
    tasks: Sequence[str],
    axes: Sequence[str],
    *,
    clean: int,
    per_axis: int,
    severities: Sequence[int],
    seed: int,
) -> Manifest:
    """Clean worlds and perturbed ones that share their seeds.

    World i of an axis is the twin of clean world i; its sub-axis and severity cycle, sub-axes
    fastest, so that every severity comes equally often when `per_axis` is a multiple.

    Args:
        tasks: names.
        axes: names; none for a clean evaluation only.
        clean: clean worlds per task.
        per_axis: worlds per task and axis.
        severities: out of 1..5.
        seed: of the choice of worlds.

    Raises:
        UserError: unknown task or axis, a severity outside 1..5, or negative counts.
    """
    for task in tasks:
        find_task(task)
    for axis in axes:
        find_axis(axis)
    for severity in severities:
        if not 1 <= severity <= SEVERITIES:
            raise UserError(f"severity must be 1..{SEVERITIES}, got {severity}.")
    if clean < 0 or per_axis < 0 or clean + per_axis == 0:
        raise UserError(f"ask for at least one world, got clean {clean}, per axis {per_axis}.")
    if axes and per_axis and not severities:
        raise UserError("perturbed worlds need at least one severity out of 1..5.")
    rows = []
    for task in tasks:
        rows += [_row(task, CLEAN, "", 0, world_seed(seed, i)) for i in range(clean)]
        for axis in axes:
            names = [sub.name for sub in AXES[axis]]
            for i in range(per_axis):
                name = names[i % len(names)]
                severity = severities[i // len(names) % len(severities)]
                rows.append(_row(task, axis, name, severity, world_seed(seed, i)))
    return Manifest(rows=tuple(rows), sha256=_hash(rows, _bands()))


def world_seed(seed: int, index: int) -> int:
    """The seed of world `index`, in 0..EVALUATION_SEEDS - 1, the same on every platform."""
    digest = hashlib.sha256(f"{seed}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "little") % EVALUATION_SEEDS


def save_manifest(path: str | os.PathLike, manifest: Manifest) -> pathlib.Path:
    """Write rows, bands and hash as JSON."""
    content = {
        "format": FORMAT,
        "sha256": manifest.sha256,
        "bands": _bands(),
        "rows": list(manifest.rows),
    }
    return write_json(path, content)


def load_manifest(path: str | os.PathLike) -> Manifest:
    """Read what `save_manifest` wrote.

    Raises:
        UserError: no manifest, changed after it was written, or made with other bands.
    """
    content = read_json(path)
    keys = {"format", "sha256", "bands", "rows"}
    if not isinstance(content, dict) or set(content) != keys or content["format"] != FORMAT:
        raise UserError(f"{path} is not a manifest of format {FORMAT}; build it anew.")
    if _hash(content["rows"], content["bands"]) != content["sha256"]:
        raise UserError(f"{path} was changed after it was written; restore it or build it anew.")
    if content["bands"] != _bands():
        raise UserError(f"{path} was made with other severity bands; build it anew.")
    for row in content["rows"]:
        find_task(row["task"])
        _numbers(row)
    return Manifest(rows=tuple(content["rows"]), sha256=content["sha256"])


def _row(task: str, axis: str, sub_axis: str, severity: int, seed: int) -> dict[str, Any]:
    return {
        "task": task,
        "axis": axis,
        "sub_axis": sub_axis,
        "severity": severity,
        "seed": seed,
    }


def _numbers(row: dict[str, Any]) -> tuple[int, int, int, int]:
    """(axis, sub-axis, severity, seed) as `Variant` numbers them."""
    if row["axis"] == CLEAN:
        return 0, 0, 0, row["seed"]
    sub_axis = find_sub_axis(row["axis"], row["sub_axis"])
    return find_axis(row["axis"]), sub_axis, row["severity"], row["seed"]


def _bands() -> dict[str, dict[str, list[list[float]]]]:
    return {
        axis: {sub.name: [[float(edge) for edge in band] for band in sub.bands] for sub in subs}
        for axis, subs in AXES.items()
    }


def _hash(rows: Sequence[dict[str, Any]], bands: dict[str, Any]) -> str:
    content = {"format": FORMAT, "bands": bands, "rows": list(rows)}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
