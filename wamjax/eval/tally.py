"""Episode records -> rates with intervals, means over axes, paired comparisons.

    mean_without_clean = mean over the seven axes of the axis' success rate
    mean_with_clean    = mean over the same seven and clean

Means weigh axes equally, whatever their episode counts, and leave out the bonus axes. Comparisons
are exact McNemar tests on the worlds shared by two policies, Holm-corrected over clean and the
axes of a task.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from wamjax.eval.statistics import holm, mcnemar, separate, wilson
from wamjax.eval.worlds import AXES, BONUS, CLEAN

Rows = Sequence[Mapping[str, Any]]


def rate(successes: int, episodes: int) -> dict[str, Any]:
    """{successes, episodes, rate, wilson95}; rate and interval as fractions."""
    return {
        "successes": successes,
        "episodes": episodes,
        "rate": successes / episodes,
        "wilson95": list(wilson(successes, episodes)),
    }


def summary(rows: Rows) -> dict[str, Any]:
    """One policy on one task: clean, each axis that was tried, and the two means.

    Beside them, from what the manifest's rows tell: each axis by severity and by sub-axis, all
    seven by severity, how often each way of solving the task was taken, and in how many worlds
    the physics diverged (they count as not solved). Where no clean world (or no perturbed one) was
    tried, the entry and the mean are null.
    """
    cells = _cells(rows, lambda row: row["axis"])
    clean = cells.pop(CLEAN) if CLEAN in cells else None
    bonus = {axis: cells.pop(axis) for axis in BONUS if axis in cells}
    cells = {axis: cells[axis] for axis in AXES if axis in cells}
    graded = [row for row in rows if row["axis"] != CLEAN and "severity" in row]
    axes = [axis for axis in (*AXES, *BONUS) if any(row["axis"] == axis for row in graded)]

    def within(axis: str, key: str) -> dict[str, dict[str, Any]]:
        mine = [row for row in graded if row["axis"] == axis and key in row]
        return _cells(mine, lambda row: str(row[key]))

    perturbed = [cell["rate"] for cell in cells.values()]
    return {
        "clean": clean,
        "axes": cells,
        "bonus": bonus,
        "severities": {axis: within(axis, "severity") for axis in axes},
        "sub_axes": {axis: within(axis, "sub_axis") for axis in axes},
        "by_severity": _cells(
            [row for row in graded if row["axis"] in AXES], lambda row: str(row["severity"])
        ),
        "modes": _modes(rows),
        "diverged": sum(bool(row["diverged"]) for row in rows if "diverged" in row),
        "mean_with_clean": (
            float(np.mean([clean["rate"], *perturbed])) if clean and perturbed else None
        ),
        "mean_without_clean": float(np.mean(perturbed)) if perturbed else None,
    }


def _cells(rows: Rows, name: Callable[[Mapping[str, Any]], str]) -> dict[str, dict[str, Any]]:
    """Rates of the rows that share a name, names in order."""
    groups: dict[str, list[bool]] = {}
    for row in rows:
        groups.setdefault(name(row), []).append(bool(row["success"]))
    return {key: rate(sum(groups[key]), len(groups[key])) for key in sorted(groups)}


def _modes(rows: Rows) -> dict[str, int]:
    """How often each way of solving the task was taken in the worlds that were solved."""
    taken = [row["mode"] for row in rows if row["success"] and "mode" in row]
    return {mode: taken.count(mode) for mode in sorted({mode for mode in taken if mode})}


def comparisons(
    episodes: Mapping[str, Mapping[str, Rows]], main: str
) -> dict[str, dict[str, dict[str, Any]]]:
    """`main` against every other policy: other -> task -> clean or axis -> the paired test.

    Each entry has `difference` (rate of main minus rate of the other), `p_mcnemar`, `p_holm` and
    `separate` (the Wilson 95 % intervals have no point in common).
    """
    out: dict[str, dict[str, dict[str, Any]]] = {}
    for other in episodes:
        if other != main:
            out[other] = {
                task: _compare(rows, episodes[other][task]) for task, rows in episodes[main].items()
            }
    return out


def _compare(ours: Rows, theirs: Rows) -> dict[str, Any]:
    axes = [axis for axis in (CLEAN, *AXES, *BONUS) if any(row["axis"] == axis for row in ours)]
    pairs = {}
    for axis in axes:
        first = np.array([row["success"] for row in ours if row["axis"] == axis])
        second = np.array([row["success"] for row in theirs if row["axis"] == axis])
        pairs[axis] = (first, second)
    raw = {axis: mcnemar(*pair) for axis, pair in pairs.items()}
    corrected = holm(raw)
    return {
        axis: {
            "difference": float(first.mean() - second.mean()),
            "p_mcnemar": raw[axis],
            "p_holm": corrected[axis],
            "separate": separate(
                wilson(int(first.sum()), first.size), wilson(int(second.sum()), second.size)
            ),
        }
        for axis, (first, second) in pairs.items()
    }
