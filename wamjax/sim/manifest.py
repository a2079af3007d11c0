"""Which worlds an evaluation visits: a list of rows and one hash that names it.

The hash covers the rows, the bands of their sub-axes and the texture families, so that two results
with the same hash were obtained in the same worlds. No world is visited twice, and every perturbed
world of `quick_manifest` and `standard_manifest` has a clean twin: a clean row with its task and
seed.
"""

import collections
import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_json
from wamjax.sim.axes import (
    AXIS_NAMES,
    SEVERITIES,
    bands_of,
    find_axis,
    find_preset,
    find_sub_axis,
    sub_axes,
)
from wamjax.sim.perturbations import SEEN, UNSEEN
from wamjax.sim.presets import LIBERO_PLUS, OWN, PRESETS
from wamjax.sim.tasks.registry import find_task
from wamjax.sim.variants import Variant

CLEAN = "clean"
FORMAT = 2
EVALUATION_SEEDS = 1 << 30
"""Worlds of evaluations have seeds below this, demonstrations from here on."""
QUICK_CLEAN, QUICK_EACH = 70, 2
"""Of `quick_manifest`: clean worlds per task, and worlds per sub-axis and severity."""
ROW_KEYS = ("task", "axis", "sub_axis", "preset", "severity", "seed")

Cell = tuple[str, int]
"""Sub-axis and severity."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """The worlds of an evaluation.

    Attributes:
        rows: one dict per world: task, axis ("clean" or a name), sub_axis and preset ("" if clean),
            severity (0 if clean), seed.
        sha256: hash of rows, bands and texture families.
    """

    rows: tuple[dict[str, Any], ...]
    sha256: str

    def variants(self, task: str) -> Variant:
        """The worlds of one task in the order of the rows, int32 [E] (NumPy)."""
        numbers = [_numbers(row) for row in self.rows if row["task"] == task]
        axis, sub_axis, preset, severity, seed = np.array(numbers, np.int32).reshape(-1, 5).T
        return Variant(axis=axis, sub_axis=sub_axis, preset=preset, severity=severity, seed=seed)


def build_manifest(
    tasks: Sequence[str],
    axes: Sequence[str],
    *,
    clean: int,
    per_axis: int,
    severities: Sequence[int],
    seed: int,
    preset: str = OWN,
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
        preset: whose sub-axes and bands.

    Raises:
        UserError: unknown task, axis or preset, one of them twice, a severity outside 1..5, or
            negative counts.
    """
    for severity in severities:
        _check_severity(severity)
    if clean < 0 or per_axis < 0 or clean + per_axis == 0:
        raise UserError(f"ask for at least one world, got clean {clean}, per axis {per_axis}.")
    if axes and per_axis and not severities:
        raise UserError("perturbed worlds need at least one severity out of 1..5.")
    cells = {axis: _cells(axis, preset, severities) for axis in axes}
    chosen = {
        (task, axis): list(itertools.islice(itertools.cycle(cells[axis]), per_axis))
        for task in tasks
        for axis in axes
    }
    return _manifest(tasks, axes, chosen, clean=clean, seed=seed, preset=preset)


def quick_manifest(tasks: Sequence[str], seed: int, preset: str = OWN) -> Manifest:
    """Every sub-axis at every severity twice, and 70 clean worlds, per task.

    Args:
        tasks: names.
        seed: of the choice of worlds.
        preset: whose sub-axes and bands.

    Raises:
        UserError: unknown task or preset.
    """
    severities = range(1, SEVERITIES + 1)
    cells = {axis: QUICK_EACH * _cells(axis, preset, severities) for axis in AXIS_NAMES}
    chosen = {(task, axis): cells[axis] for task in tasks for axis in AXIS_NAMES}
    return _manifest(tasks, AXIS_NAMES, chosen, clean=QUICK_CLEAN, seed=seed, preset=preset)


def standard_manifest(tasks: Sequence[str], seed: int, preset: str = OWN) -> Manifest:
    """10,030 perturbed worlds over all tasks, as many per axis as LIBERO-Plus has, and clean twins.

    Under another preset the shares of the axes are that benchmark's, and so are those of its
    sub-axes where they are known. Severities come equally often.

    Args:
        tasks: names.
        seed: of the choice of worlds.
        preset: whose sub-axes, bands and shares.

    Raises:
        UserError: unknown task or preset.
    """
    find_preset(preset)
    shares = (LIBERO_PLUS if preset == OWN else PRESETS[preset]).shares
    severities = range(1, SEVERITIES + 1)
    chosen: dict[tuple[str, str], list[Cell]] = {}
    for axis in AXIS_NAMES:
        cells = _cells(axis, preset, severities)
        weights = [_weight(axis, name, preset) for name, _ in cells]
        quotas = apportion(shares[axis], [1] * len(tasks), f"{seed}/{axis}")
        for task, quota in zip(tasks, quotas, strict=True):
            counts = apportion(quota, weights, f"{seed}/{axis}/{task}")
            pairs = zip(cells, counts, strict=True)
            chosen[task, axis] = [cell for cell, count in pairs for _ in range(count)]
    clean = max((len(cells) for cells in chosen.values()), default=0)
    return _manifest(tasks, AXIS_NAMES, chosen, clean=clean, seed=seed, preset=preset)


MANIFESTS: dict[str, Callable[[Sequence[str], int, str], Manifest]] = {
    "quick": quick_manifest,
    "standard": standard_manifest,
}


def named_manifest(name: str, tasks: Sequence[str], seed: int, preset: str = OWN) -> Manifest:
    """One of MANIFESTS.

    Raises:
        UserError: unknown name, task or preset.
    """
    if name not in MANIFESTS:
        raise UserError(
            f"manifest {name!r} does not exist; known manifests: {', '.join(MANIFESTS)}."
        )
    return MANIFESTS[name](tasks, seed, preset)


def apportion(total: int, weights: Sequence[int], salt: str) -> list[int]:
    """`total` split in proportion to whole weights; what is left over goes to the largest
    remainders, among equals by a hash of `salt` and the place."""
    whole = sum(weights)
    counts = [total * weight // whole for weight in weights]

    def rank(place: int) -> tuple[int, bytes]:
        digest = hashlib.sha256(f"{salt}/{place}".encode()).digest()
        return -(total * weights[place] % whole), digest

    for place in sorted(range(len(weights)), key=rank)[: total - sum(counts)]:
        counts[place] += 1
    return counts


def world_seeds(seed: int, count: int) -> list[int]:
    """Different seeds in 0..EVALUATION_SEEDS - 1, the same on every platform.

    The first n are the same for every count.
    """
    seeds: dict[int, None] = {}
    index = 0
    while len(seeds) < count:
        digest = hashlib.sha256(f"{seed}/{index}".encode()).digest()
        seeds[int.from_bytes(digest[:8], "little") % EVALUATION_SEEDS] = None
        index += 1
    return list(seeds)


def save_manifest(path: str | os.PathLike, manifest: Manifest) -> pathlib.Path:
    """Write rows, bands, texture families and hash as JSON."""
    rows = list(manifest.rows)
    content = {"format": FORMAT, "sha256": manifest.sha256, "world": _world(rows), "rows": rows}
    return write_json(path, content)


def load_manifest(path: str | os.PathLike) -> Manifest:
    """Read what `save_manifest` wrote.

    Raises:
        UserError: no manifest, changed after it was written, made with other bands or texture
            families, or with a row that names no world or one twice.
    """
    content = read_json(path)
    keys = {"format", "sha256", "world", "rows"}
    if not isinstance(content, dict) or set(content) != keys or content["format"] != FORMAT:
        raise UserError(f"{path} is not a manifest of format {FORMAT}; build it anew.")
    if _hash(content["rows"], content["world"]) != content["sha256"]:
        raise UserError(f"{path} was changed after it was written; restore it or build it anew.")
    for row in content["rows"]:
        if not isinstance(row, dict) or set(row) != set(ROW_KEYS):
            raise UserError(f"{path}: a row must have {', '.join(ROW_KEYS)}; build it anew.")
        find_task(row["task"])
        _numbers(row)
    _check_once(content["rows"])
    if content["world"] != _world(content["rows"]):
        raise UserError(f"{path} was made with other severity bands or textures; build it anew.")
    return Manifest(rows=tuple(content["rows"]), sha256=content["sha256"])


def _manifest(
    tasks: Sequence[str],
    axes: Sequence[str],
    chosen: dict[tuple[str, str], list[Cell]],
    *,
    clean: int,
    seed: int,
    preset: str,
) -> Manifest:
    """World i of every task and axis has seed i, and so has clean world i."""
    if not tasks:
        raise UserError("a manifest needs at least one task.")
    for task in tasks:
        find_task(task)
    seeds = world_seeds(seed, max([clean, *map(len, chosen.values())]))
    rows = []
    for task in tasks:
        rows += [_row(task, CLEAN, "", "", 0, number) for number in seeds[:clean]]
        for axis in axes:
            for (name, severity), number in zip(chosen[task, axis], seeds, strict=False):
                rows.append(_row(task, axis, name, preset, severity, number))
    _check_once(rows)
    return Manifest(rows=tuple(rows), sha256=_hash(rows, _world(rows)))


def _cells(axis: str, preset: str, severities: Sequence[int]) -> list[Cell]:
    """All sub-axes at all severities, sub-axes fastest."""
    return [(name, severity) for severity in severities for name in sub_axes(axis, preset)]


def _weight(axis: str, sub_axis: str, preset: str) -> int:
    return 1 if preset == OWN else PRESETS[preset].rows[axis][sub_axis].weight


def _row(
    task: str, axis: str, sub_axis: str, preset: str, severity: int, seed: int
) -> dict[str, Any]:
    return dict(zip(ROW_KEYS, (task, axis, sub_axis, preset, severity, seed), strict=True))


def _check_severity(severity: int) -> None:
    if not 1 <= severity <= SEVERITIES:
        raise UserError(f"severity must be 1..{SEVERITIES}, got {severity}.")


def _check_once(rows: Sequence[dict[str, Any]]) -> None:
    count = collections.Counter(tuple(row[key] for key in ROW_KEYS) for row in rows)
    twice = [world for world, number in count.items() if number > 1]
    if twice:
        raise UserError(
            f"{len(twice)} worlds come twice, first {'/'.join(map(str, twice[0]))}; name every "
            "task and axis once."
        )


def _numbers(row: dict[str, Any]) -> tuple[int, int, int, int, int]:
    """(axis, sub-axis, preset, severity, seed) as `Variant` numbers them."""
    if row["axis"] == CLEAN:
        return 0, 0, 0, 0, row["seed"]
    _check_severity(row["severity"])
    sub_axis, preset = find_sub_axis(row["axis"], row["sub_axis"]), find_preset(row["preset"])
    return find_axis(row["axis"]), sub_axis, preset, row["severity"], row["seed"]


def _world(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The tables that the rows depend on: the bands of their sub-axes and the texture families."""
    used = {(row["preset"], row["axis"], row["sub_axis"]) for row in rows if row["axis"] != CLEAN}
    return {
        "bands": {
            "/".join((preset, axis, name)): [
                [float(edge) for edge in band] for band in bands_of(axis, name, preset)
            ]
            for preset, axis, name in sorted(used)
        },
        "families": {"seen": list(SEEN), "unseen": list(UNSEEN)},
    }


def _hash(rows: Sequence[dict[str, Any]], world: dict[str, Any]) -> str:
    content = {"format": FORMAT, "world": world, "rows": list(rows)}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
