"""The curve of RL after imitation: success in held-out worlds, iteration by iteration, as a PNG."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

PREFIX = "success/"
ENDS = ("/low", "/high")


def reward_curve(rows: Sequence[Mapping[str, Any]], path: pathlib.Path) -> None:
    """Draw success with its 95 % interval, task by task, and the reward while learning (dots).

    Args:
        rows: parsed lines of metrics.jsonl of a run with a ript stage.
        path: of the PNG.
    """
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    names = [key for key in dict.fromkeys(key for row in rows for key in row) if key[:8] == PREFIX]
    for name in (key for key in names if not key.endswith(ENDS)):
        points = [
            (row["step"], row[name], row[f"{name}/low"], row[f"{name}/high"])
            for row in rows
            if name in row
        ]
        step, rate, low, high = np.asarray(points, np.float64).T
        (line,) = axes.plot(step, 100 * rate, marker="o", label=name.removeprefix(PREFIX))
        axes.fill_between(step, 100 * low, 100 * high, color=line.get_color(), alpha=0.2)
    played = [(row["step"], 100 * row["reward"]) for row in rows if "reward" in row]
    if played:
        axes.plot(*np.asarray(played).T, ".", color="grey", markersize=3, label="while learning")
    axes.set_xlabel("iteration")
    axes.set_ylabel("% of worlds solved")
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(path, dpi=130)
