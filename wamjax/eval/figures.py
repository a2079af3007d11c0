"""Curves as inline SVG that takes its colours and its type from the page.

Figures are as narrow as a phone's column: a desk shows several in a row, and neither has to shrink
the lettering.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.ticker import MaxNLocator

from wamjax.eval.svg import SERIES, STYLE, inline, log_axis, small_axes, to_svg

SPAN = 0.02
POLICIES = 2
"""At most so many are drawn in one picture."""


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Running mean over the last `width` values, fewer at the start."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - width, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def learning_curves(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One SVG per loss stream in the training metrics: the loss against the step, log scale.

    Args:
        rows: parsed lines of metrics.jsonl; keys with "loss" in their name are streams.
    """
    names = sorted({key for row in rows for key in row if "loss" in key})
    out = []
    for name in names:
        points = [(row["step"], row[name]) for row in rows if name in row]
        steps, losses = np.array(points, np.float64).T
        real = np.isfinite(losses)
        steps, losses = steps[real], losses[real]
        if len(losses) == 0:
            continue
        with matplotlib.rc_context(STYLE):
            figure, axes = small_axes(name.replace("/", ": "), 340, 160)
            axes.plot(steps, losses, color=SERIES[0], alpha=0.3, linewidth=1)
            axes.plot(steps, smooth(losses, max(1, len(losses) // 25)), color=SERIES[0])
            axes.set_xlabel("training step")
            if (losses > 0).all() and losses.max() > 5 * losses.min():
                axes.set_yscale("log")
                log_axis(axes.yaxis, "{:g}".format)
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.margins(x=0.02)
            out.append(inline(to_svg(figure, f"curve {name}")))
    return out


def severity_curve(policies: Mapping[str, Mapping[str, Any]], salt: str) -> str:
    """Success against severity over all seven axes, 0 being clean, with 95 % intervals; or "".

    Args:
        policies: name -> its table on a task (`tally.summary`); at most two are drawn.
        salt: distinguishes this drawing from others on the page.
    """
    drawn: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
    for name, table in list(policies.items())[:POLICIES]:
        points = [] if table["clean"] is None else [(0, table["clean"])]
        drawn[name] = points + [(int(level), cell) for level, cell in table["by_severity"].items()]
    if min(len(points) for points in drawn.values()) < 3:
        return ""
    with matplotlib.rc_context(STYLE):
        figure, axes = small_axes("success against severity, all seven axes", 340, 190)
        for (name, points), colour in zip(drawn.items(), SERIES):
            levels = np.array([level for level, _ in points])
            rates = np.array([100 * cell["rate"] for _, cell in points])
            ends = 100 * np.array([cell["wilson95"] for _, cell in points]).T
            bars = np.maximum(np.abs(ends - rates), 0.0)
            axes.errorbar(levels, rates, yerr=bars, color=colour, marker="o", label=name, capsize=3)
        axes.set_xlabel("severity (0: clean)")
        axes.set_ylabel("% of worlds solved")
        axes.set_ylim(0, 100)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if len(drawn) > 1:
            axes.legend(frameon=False)
        return inline(to_svg(figure, f"severity {salt}"))


def action_panels(
    logged: np.ndarray,
    predicted: np.ndarray,
    names: Sequence[str],
    mask: np.ndarray,
    salt: str,
) -> list[str]:
    """One SVG per action dimension: predicted against logged over the chunk.

    Args:
        logged: float [K, A].
        predicted: float [K, A], same units.
        names: A labels with units.
        mask: bool [K, A]; steps that are not real are left out.
        salt: distinguishes this window's drawings from others on the page.
    """
    steps = np.arange(len(logged))
    out = []
    for dim, name in enumerate(names):
        real = mask[:, dim]
        if not real.any():
            continue
        with matplotlib.rc_context({**STYLE, "font.size": 9.0, "axes.titlesize": 9.5}):
            figure, axes = small_axes(name, 150, 105)
            for values, colour, line in (
                (logged, SERIES[0], "-"),
                (predicted, SERIES[1], "--"),
            ):
                axes.plot(steps[real], values[real, dim], line, color=colour, marker=".")
            low, high = axes.get_ylim()
            if high - low < SPAN:
                # Differences far below what a robot can execute should not look like errors.
                middle = (low + high) / 2
                axes.set_ylim(middle - SPAN / 2, middle + SPAN / 2)
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(3))
            out.append(inline(to_svg(figure, f"{salt} {name}")))
    return out
