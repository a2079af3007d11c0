"""Numbers of a report as people read them: per cent, intervals, seconds, big counts."""

from collections.abc import Mapping
from typing import Any

from wamjax.core.progress import seconds as spell_seconds

NBSP = "\N{NO-BREAK SPACE}"

Cell = Mapping[str, Any]


def percent(rate: float, episodes: int) -> str:
    """ "92 %"; one decimal where the count supports it (1,000 episodes or more)."""
    return f"{100 * rate:.{1 if episodes >= 1000 else 0}f}{NBSP}%"


def interval(cell: Cell) -> str:
    """ "87–95 %"."""
    digits = 1 if cell["episodes"] >= 1000 else 0
    low, high = (f"{100 * end:.{digits}f}" for end in cell["wilson95"])
    return f"{low}–{high}{NBSP}%"


def count(cell: Cell) -> str:
    """ "184 / 200"."""
    return f"{cell['successes']:,} / {cell['episodes']:,}"


def big(number: float) -> str:
    """ "268 k", "1.3 M", "4.2e15"."""
    for limit, unit in ((1e15, None), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= limit:
            size = 1e3 if unit == "k" else limit
            return f"{number:.2e}" if unit is None else f"{number / size:.3g} {unit}"
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def size(number: float) -> str:
    """Bytes: "21 MiB", "1.4 GiB"."""
    for limit, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if number >= limit:
            return f"{number / limit:.3g} {unit}"
    return f"{number:.3g} B"


def duration(value: float) -> str:
    """ "7 s", "3 min 20 s" or "2 h 05 min"; tenths below ten seconds."""
    return f"{value:.1f} s" if value < 10 else spell_seconds(value)


def listed(names: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def verdict(task: str, policies: Mapping[str, Mapping[str, Any]], main: str) -> str:
    """The result of one task in a sentence or two; `policies` is the results' table."""
    mine = policies[main][task]
    clean, others = mine["clean"], [name for name in policies if name != main]
    parts = []
    if clean is not None:
        rivals = [f"{name} {_rate(policies[name][task]['clean'])}" for name in others]
        against = f", against {listed(rivals)}" if rivals else ""
        parts.append(
            f"On {task}, the {main} policy solves {_rate(clean)} of {clean['episodes']:,} clean "
            f"worlds (95{NBSP}% interval {interval(clean)}){against}."
        )
    if mine["axes"]:
        axes = mine["axes"]
        weakest = min(axes, key=lambda axis: axes[axis]["rate"])
        best = max(axes, key=lambda axis: axes[axis]["rate"])
        episodes = sum(cell["episodes"] for cell in axes.values())
        spread = (
            f"every axis at {_rate(axes[best])}"
            if axes[best]["rate"] == axes[weakest]["rate"]
            else f"best under {best} ({_rate(axes[best])}), worst under {weakest} "
            f"({_rate(axes[weakest])})"
        )
        parts.append(
            f"Over the {len(axes)} perturbation axes it averages "
            f"{percent(mine['mean_without_clean'], episodes)}: {spread}."
        )
    return " ".join(parts)


def _rate(cell: Cell) -> str:
    return percent(cell["rate"], cell["episodes"])


def paired(task: str, comparisons: Mapping[str, Any], main: str) -> str:
    """What the paired tests say about one task, in a sentence per rival."""
    out = []
    for other, tasks in comparisons.items():
        cells = tasks[task]
        better = [a for a, c in cells.items() if c["p_holm"] < 0.05 and c["difference"] > 0]
        worse = [a for a, c in cells.items() if c["p_holm"] < 0.05 and c["difference"] < 0]
        text = f"{main} beats {other} in {len(better)} of {len(cells)} rows"
        left = [axis for axis in cells if axis not in better]
        if better and left:
            text += f" (all but {listed(left)})"
        if worse:
            text += f" and loses in {listed(worse)}"
        out.append(text)
    if not out:
        return ""
    return (
        "Paired on worlds, exact McNemar test, Holm-corrected, level 0.05: " + "; ".join(out) + "."
    )
