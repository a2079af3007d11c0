"""Curves as inline SVG that takes its colours and its type from the page.

Matplotlib draws with sentinel colours, which are then replaced by the page's CSS variables, so
that one picture serves light, dark and print. Figures are 340 px wide: a phone shows one beside
nothing, a desk several in a row, and neither scales the lettering.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

INK, FAINT = "#010203", "#040506"
SERIES = ("#070809", "#0a0b0c")
VARIABLES = {
    INK: "var(--soft)",
    FAINT: "var(--line)",
    SERIES[0]: "var(--series-0)",
    SERIES[1]: "var(--series-1)",
}
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11.0,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12.0,
    "lines.linewidth": 1.8,
}


def _svg(figure: Figure, salt: str) -> str:
    """The figure as an SVG element without prolog, namespaces, metadata or fixed colours."""
    buffer = io.StringIO()
    # Without a date and with fixed ids the same numbers give the same file.
    options: dict[str, Any] = {"format": "svg", "transparent": True, "metadata": {"Date": None}}
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": salt}):
        figure.savefig(buffer, **options)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r"font: [\d.]+px [^;\"]*", _font, text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    return text.replace("<svg ", '<svg class="figure" role="img" ', 1)


def _font(found: re.Match[str]) -> str:
    """Keep the size, leave the family to the page."""
    size = found.group(0).split()[1]
    return f"font-size: {size}"


def _axes(title: str, height: float = 2.2) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(340 / 72, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    return figure, axes


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
            figure, axes = _axes(name.replace("/", ": "))
            axes.plot(steps, losses, color=SERIES[0], alpha=0.3, linewidth=1)
            axes.plot(steps, smooth(losses, max(1, len(losses) // 25)), color=SERIES[0])
            axes.set_xlabel("training step")
            if (losses > 0).all() and losses.max() > 5 * losses.min():
                axes.set_yscale("log")
            axes.margins(x=0.02)
            out.append(_svg(figure, f"curve {name}"))
    return out


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
        with matplotlib.rc_context(STYLE):
            figure, axes = _axes(name, 1.55)
            axes.plot(steps[real], logged[real, dim], color=SERIES[0], marker="o", markersize=3)
            axes.plot(
                steps[real],
                predicted[real, dim],
                color=SERIES[1],
                marker="s",
                markersize=3,
                linestyle="--",
            )
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            out.append(_svg(figure, f"{salt} {name}"))
    return out
