"""Which conditions a page shows where, and by what colour and mark each is known throughout."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wamjax.eval.svg import MARKS, SERIES, Entry
from wamjax.eval.worlds import AXES, CLEAN

Results = Mapping[str, Any]
NEUTRAL = 2
"""Place of the grey, which the reference has."""
CROWD = 6
"""More lines than these do not share a picture."""
ENDS = ("value", "low", "high")
ROOFS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


def final(results: Results) -> list[str]:
    """Conditions of fully trained weights."""
    rows = results["conditions"]
    return [key for key, row in rows.items() if math.isclose(row["fraction"], 1.0)]


def earlier(results: Results) -> list[str]:
    """Conditions of the checkpoints before."""
    whole = final(results)
    return [key for key in results["conditions"] if key not in whole]


def leading(results: Results) -> list[str]:
    """Final conditions, or the first of each arm where all are too many for one picture."""
    keys, rows = final(results), results["conditions"]
    if len(keys) <= CROWD:
        return keys
    first = {rows[key]["arm"]: key for key in reversed(keys)}
    return [key for key in keys if key in first.values()]


def at_home(results: Results, keys: Iterable[str]) -> list[str]:
    """Those tried in the domain of the first condition: scores of two domains are two things."""
    rows = results["conditions"]
    home = next(iter(rows.values()))["domain"]
    return [key for key in keys if rows[key]["domain"] == home]


def axes_of(results: Results) -> list[str]:
    """Axes that were tried, in order."""
    there = {axis for row in results["conditions"].values() for axis in row["cells"]}
    return [axis for axis in AXES if axis in there]


def has_clean(results: Results) -> bool:
    """Whether clean worlds were tried."""
    return all(CLEAN in row["cells"] for row in results["conditions"].values())


def has_severity(results: Results) -> bool:
    """Whether several severities were tried."""
    rows = results["conditions"].values()
    return len({level for row in rows for level in row["by_severity"]}) > 1


def compared(results: Results) -> list[str]:
    """Final conditions that have a reference."""
    return [key for key in final(results) if results["conditions"][key]["against"]]


def roof(results: Results) -> float:
    """Where axes of success end, one for all figures of a study, so that they can be compared.

    Above the highest rate of a condition, of a seed and of a severity, and above the intervals of
    conditions; in per cent.
    """
    highest = 0.0
    for row in results["conditions"].values():
        seeds = [cell for seed in row["seeds"].values() for cell in seed.values() if cell]
        single = [cell for table in row["severities"].values() for cell in table.values()]
        whole = [*row["cells"].values(), *row["by_severity"].values()]
        rates = [cell["rate"] for cell in [*seeds, *single]]
        highest = max([highest, *rates, *(cell["wilson95"][1] for cell in whole)])
    return 100 * next(roof for roof in ROOFS if roof >= min(highest, 1.0))


def success_of(results: Results) -> str:
    """What `together` in study.json is."""
    count = len(axes_of(results))
    if not count:
        return "the share of clean worlds solved"
    axes = "all seven axes" if count == len(AXES) else ", ".join(axes_of(results))
    return f"the mean over {'clean and ' if has_clean(results) else ''}{axes}"


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What the checkpoints of a run have in common, its arm first."""
    return row["arm"], row["data"], row["mode"], row["domain"]


def lines(results: Results, keys: Iterable[str]) -> dict[tuple[str, ...], list[str]]:
    """Conditions that differ in the checkpoint alone, the earliest first."""
    rows, found = results["conditions"], dict[tuple[str, ...], list[str]]()
    for key in sorted(keys, key=lambda key: rows[key]["fraction"]):
        found.setdefault(_line(rows[key]), []).append(key)
    return found


def samplers(results: Results, keys: Iterable[str]) -> dict[tuple[str, ...], list[str]]:
    """Conditions that differ in the mode alone, by milliseconds."""
    rows, found = results["conditions"], dict[tuple[str, ...], list[str]]()
    for key in sorted(keys, key=lambda key: rows[key]["cost"]["ms_per_chunk"]):
        row = rows[key]
        found.setdefault((row["arm"], row["data"], row["domain"]), []).append(key)
    return found


def looks(results: Results) -> dict[str, tuple[int, str]]:
    """Condition -> (place of its colour, its mark): arms differ in colour, what is tried of one in
    the mark; of a single arm everything differs in both. Checkpoints of a run look alike."""
    rows, marks = results["conditions"], list(MARKS)
    variants: dict[str, list[tuple[str, ...]]] = {}
    for row in rows.values():
        mine = variants.setdefault(row["arm"], [])
        if _line(row) not in mine:
            mine.append(_line(row))
    others = [arm for arm in variants if arm != results["against"]]
    free = [place for place in range(len(SERIES)) if place != NEUTRAL]
    colours = {arm: free[place % len(free)] for place, arm in enumerate(others)}
    turns = {arm: place // len(free) for place, arm in enumerate(others)}
    colours[results["against"]], turns[results["against"]] = NEUTRAL, 0
    found = {}
    for key, row in rows.items():
        variant = variants[row["arm"]].index(_line(row))
        colour = colours[row["arm"]] if len(variants) > 1 else variant % len(SERIES)
        found[key] = colour, marks[(variant + turns[row["arm"]]) % len(marks)]
    return found


def legend(results: Results, keys: Sequence[str]) -> list[Entry]:
    """Of these conditions."""
    look = looks(results)
    return [Entry(results["conditions"][key]["label"], *look[key]) for key in keys]


def undominated(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of the points (cost, success) that none beats in one without losing in the other, by
    cost."""
    kept, best = [], -math.inf
    for name in sorted(points, key=lambda name: (points[name][0], -points[name][1])):
        cost, success = points[name]
        if success > best or (kept and points[kept[-1]] == (cost, success)):
            kept.append(name)
            best = success
    return kept
