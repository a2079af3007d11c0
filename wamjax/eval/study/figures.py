"""The figures of a study: an element of the page, an SVG file and the numbers drawn as CSV.

As narrow as a phone's column. Labels of conditions stand above their row, so that long ones fit.
"""

import csv
import dataclasses
import io
from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from wamjax.eval.study import looks
from wamjax.eval.study.fronts import FRONTS, on_front
from wamjax.eval.study.looks import ENDS, Results
from wamjax.eval.study.tables import CAUSES
from wamjax.eval.svg import (
    CARD,
    INK,
    SERIES,
    STYLE,
    Entry,
    alone,
    inline,
    log_axis,
    small_axes,
    to_svg,
)
from wamjax.eval.worlds import CLEAN

WIDTH = 340
BARS = 4
"""More conditions than these are drawn without bars."""
CAUSE_SERIES = {"solved": 0, "nearly": 3, "lost": 1, "missed": 2, "diverged": 4, "other": 5}
Rows = list[dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Drawn:
    """One figure.

    Attributes:
        name: of its files.
        raw: as `svg.to_svg` gave it.
        legend: of the file; the page has one for several figures.
        rows: what is drawn.
    """

    name: str
    raw: str
    legend: tuple[Entry, ...]
    rows: Rows

    @property
    def inline(self) -> str:
        """As an element of the page."""
        return inline(self.raw)

    @property
    def svg(self) -> str:
        """As a file."""
        return alone(self.raw, self.legend)

    @property
    def csv(self) -> str:
        """As a table."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()


def figures(results: Results) -> dict[str, Drawn]:
    """All, by name, in the order of the page."""
    with matplotlib.rc_context(STYLE):
        return {figure.name: figure for figure in _all(results)}


def _all(results: Results) -> Iterator[Drawn]:
    axes = looks.axes_of(results)
    if looks.has_clean(results):
        yield _rates(results, CLEAN, "clean worlds")
    if axes:
        yield _rates(results, "axes", "mean of the axes")
    if looks.compared(results):
        yield _differences(results)
    yield _heat(results)
    if looks.has_severity(results):
        yield _severity(results, "")
        for axis in axes:
            yield _severity(results, axis)
    for name in FRONTS:
        yield _front(results, name)
    yield _causes(results)
    if results["transfer"] is not None:
        yield _transfer(results)


def _rows_of(title: str, count: int, each: int, top: int = 60) -> tuple[Any, Axes]:
    """A figure of horizontal rows, the first on top, with room for a label above each."""
    figure, axes = small_axes(title, WIDTH, top + each * count)
    axes.set_ylim(count - 0.45, -0.75)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    axes.set_axisbelow(True)
    return figure, axes


def _room(results: Results) -> tuple[float, float]:
    """Limits of an axis of success, in per cent, with room for marks on its ends."""
    roof = looks.roof(results)
    return -0.03 * roof, 1.03 * roof


def _label(axes: Axes, place: int, text: str) -> None:
    behind = {"facecolor": CARD, "edgecolor": "none", "pad": 0.6}
    spot, where = (0, place - 0.32), ("axes fraction", "data")
    axes.annotate(text, spot, xycoords=where, va="center", fontsize=10, bbox=behind)


def _rates(results: Results, what: str, title: str) -> Drawn:
    """A dot with its interval a condition, a small one a seed; the reference goes on dashed."""
    keys, rows, look = looks.final(results), results["conditions"], looks.looks(results)
    figure, axes = _rows_of(f"{title}, % solved", len(keys), 38)
    drawn: Rows = []
    for place, key in enumerate(keys):
        row = rows[key]
        if what == CLEAN:
            cell = row["cells"][CLEAN]
            ends = [cell["rate"], *cell["wilson95"]]
        else:
            cell = row["axes_together"]
            ends = [cell[end] for end in ENDS]
        value, low, high = (100 * end for end in ends)
        colour, mark = look[key]
        axes.plot([low, high], [place, place], color=SERIES[colour], linewidth=5, alpha=0.35)
        axes.plot(value, place, mark, color=SERIES[colour], markersize=8)
        seeds = [seed[what] for seed in row["seeds"].values()]
        spots = [100 * seed["rate"] for seed in seeds]
        axes.plot(spots, [place + 0.24] * len(spots), "o", color=SERIES[colour], markersize=3)
        _label(axes, place, row["label"])
        counts = {name: cell[name] for name in ("successes", "episodes")}
        drawn.append(
            {"condition": key, "seed": "all", **counts, **dict(zip(ENDS, ends, strict=True))}
        )
        for seed, cell in zip(row["seeds"], seeds, strict=True):
            counts = {name: cell[name] for name in ("successes", "episodes")}
            ends = [cell["rate"], *cell["wilson95"]]
            drawn.append(
                {"condition": key, "seed": seed, **counts, **dict(zip(ENDS, ends, strict=True))}
            )
    axes.set_xlim(*_room(results))
    return Drawn(f"rates_{what}", to_svg(figure, f"rates {what}"), (), drawn)


def _differences(results: Results) -> Drawn:
    """Clean filled, axes hollow; intervals draw the training seeds, too."""
    rows, look = results["conditions"], looks.looks(results)
    keys = looks.compared(results)
    figure, axes = _rows_of("difference to the reference, points", len(keys), 38)
    axes.axvline(0, color=INK, linewidth=1)
    drawn: Rows = []
    for place, key in enumerate(keys):
        against, (colour, mark) = rows[key]["against"], look[key]
        _label(axes, place, rows[key]["label"])
        found = {"clean": against["cells"].get(CLEAN), "axes": against["axes_together"]}
        for shift, (what, cell) in zip((0.0, 0.26), found.items(), strict=True):
            if cell is None:
                continue
            value, low, high = (100 * cell["with_seeds"][end] for end in ENDS)
            face = SERIES[colour] if what == "clean" else CARD
            at = place + shift
            axes.plot([low, high], [at, at], color=SERIES[colour], linewidth=1.5)
            axes.plot(value, at, mark, color=SERIES[colour], markersize=6, markerfacecolor=face)
            drawn.append(
                {
                    "condition": key,
                    "reference": against["key"],
                    "what": what,
                    **{end: cell["with_seeds"][end] for end in ENDS},
                    "p_holm": cell["p_holm"],
                    "verdict": cell["verdict"],
                }
            )
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel("filled: clean, hollow: axes" if len(drawn) > len(keys) else "")
    return Drawn("differences", to_svg(figure, "differences"), (), drawn)


def _heat(results: Results) -> Drawn:
    """Conditions by clean and axes."""
    rows, keys = results["conditions"], looks.final(results)
    columns = ([CLEAN] if looks.has_clean(results) else []) + looks.axes_of(results)
    figure, axes = _rows_of("% solved", len(keys), 36, 90)
    axes.set_xlim(0, len(columns))
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=45, ha="right")
    axes.tick_params(length=0)
    drawn: Rows = []
    for place, key in enumerate(keys):
        _label(axes, place, rows[key]["label"])
        against = rows[key]["against"]
        for column, axis in enumerate(columns):
            cell = rows[key]["cells"][axis]
            axes.barh(
                place + 0.16, 0.96, 0.54, column + 0.02,
                color=SERIES[0], alpha=45 * cell["rate"] / looks.roof(results), linewidth=0,
            )  # fmt: skip
            told = f"{100 * cell['rate']:.0f}"
            axes.annotate(told, (column + 0.5, place + 0.16), ha="center", va="center")
            drawn.append(
                {
                    "condition": key,
                    "axis": axis,
                    "successes": cell["successes"],
                    "episodes": cell["episodes"],
                    **dict(zip(ENDS, [cell["rate"], *cell["wilson95"]], strict=True)),
                    "verdict": against["cells"][axis]["verdict"] if against else "",
                }
            )
    return Drawn("heat_map", to_svg(figure, "heat map"), (), drawn)


def _severity(results: Results, axis: str) -> Drawn:
    """Success against severity under an axis, or all together; 0 is clean."""
    rows, look, keys = results["conditions"], looks.looks(results), looks.leading(results)
    figure, axes = small_axes(axis or "all axes together", WIDTH, 200)
    drawn: Rows = []
    for place, key in enumerate(keys):
        row, (colour, mark) = rows[key], look[key]
        cells = {0: row["cells"][CLEAN]} if CLEAN in row["cells"] else {}
        table = row["severities"][axis] if axis else row["by_severity"]
        cells |= {int(level): cell for level, cell in table.items()}
        levels = np.array(list(cells))
        rates = np.array([100 * cell["rate"] for cell in cells.values()])
        ends = 100 * np.array([cell["wilson95"] for cell in cells.values()]).T
        style: dict[str, Any] = {"color": SERIES[colour], "marker": mark, "markersize": 5}
        if row["arm"] == results["against"]:
            style["linestyle"] = "--"
        if len(keys) <= BARS and not axis:
            shift = 0.07 * (place - (len(keys) - 1) / 2)
            bars = np.maximum(np.abs(ends - rates), 0.0)
            axes.errorbar(levels + shift, rates, yerr=bars, capsize=2, elinewidth=1, **style)
        else:
            axes.plot(levels, rates, **style)
        drawn += [
            {
                "condition": key,
                "axis": axis or "all",
                "severity": level,
                "successes": cell["successes"],
                "episodes": cell["episodes"],
                **dict(zip(ENDS, [cell["rate"], *cell["wilson95"]], strict=True)),
            }
            for level, cell in cells.items()
        ]
    axes.set_xlabel("severity (0: clean)" if looks.has_clean(results) else "severity")
    axes.set_ylabel("% solved")
    axes.set_ylim(*_room(results))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    name = f"severity_{axis}" if axis else "severity"
    return Drawn(name, to_svg(figure, name), tuple(looks.legend(results, keys)), drawn)


def _front(results: Results, name: str) -> Drawn:
    front, rows, look = FRONTS[name], results["conditions"], looks.looks(results)
    best = on_front(results, name)
    figure, axes = small_axes(f"success against {front.says}", WIDTH, 220)
    costs = {key: rows[key]["cost"][front.cost] for key in best}
    rates = {key: 100 * rows[key]["together"]["value"] for key in best}
    edge = sorted((key for key in best if best[key]), key=costs.__getitem__)
    axes.step(
        [costs[key] for key in edge],
        [rates[key] for key in edge],
        where="post", color=INK, linewidth=1, linestyle=":",
    )  # fmt: skip
    for line in front.groups(results, best).values():
        colour = SERIES[look[line[0]][0]]
        axes.plot([costs[key] for key in line], [rates[key] for key in line], color=colour, lw=1)
        for key in line:
            cell = rows[key]["together"]
            ends = [100 * cell["low"], 100 * cell["high"]]
            axes.plot([costs[key]] * 2, ends, color=colour, linewidth=3, alpha=0.25)
            axes.plot(costs[key], rates[key], look[key][1], color=colour, markersize=6)
    axes.plot(
        [costs[key] for key in edge],
        [rates[key] for key in edge],
        "o", markersize=12, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1,
    )  # fmt: skip
    low, high = min(costs.values()), max(costs.values())
    if low > 0 and high > 4 * low:
        axes.set_xscale("log")
        axes.margins(x=0.08)
        log_axis(axes.xaxis, front.spell)
    else:
        middle, half = (low + high) / 2, max((high - low) * 0.6, 0.1 * high)
        axes.set_xlim(max(0.0, middle - half), middle + half)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: front.spell(value)))
    axes.set_xlabel(front.says)
    axes.set_ylabel("% solved")
    axes.set_ylim(*_room(results))
    drawn = [
        {
            "condition": key,
            front.cost: costs[key],
            **{end: rows[key]["together"][end] for end in ENDS},
            "on_the_front": int(best[key]),
        }
        for key in best
    ]
    shown = [line[-1] for line in looks.lines(results, best).values()]
    return Drawn(name, to_svg(figure, name), tuple(looks.legend(results, shown)), drawn)


def _causes(results: Results) -> Drawn:
    """How episodes ended, a bar a condition."""
    rows, keys = results["conditions"], looks.final(results)
    figure, axes = _rows_of("how episodes ended, %", len(keys), 38)
    drawn: Rows = []
    for place, key in enumerate(keys):
        _label(axes, place, rows[key]["label"])
        counts, start = rows[key]["causes"], 0.0
        for cause, count in counts.items():
            share = 100 * count / sum(counts.values())
            colour = SERIES[CAUSE_SERIES[cause]]
            axes.barh(place + 0.16, share, 0.46, start, color=colour, edgecolor=CARD, linewidth=1)
            if share > 11:
                spot = start + share / 2, place + 0.17
                axes.annotate(f"{count:,}", spot, ha="center", va="center", color=CARD, fontsize=9)
            drawn.append({"condition": key, "cause": cause, "episodes": count})
            start += share
    axes.set_xlim(0, 100)
    legend = tuple(Entry(says, CAUSE_SERIES[name], "s") for name, says in CAUSES.items())
    return Drawn("causes", to_svg(figure, "causes"), legend, drawn)


def _transfer(results: Results) -> Drawn:
    """Success in the target against that in the source domain, a mark a condition and seed."""
    look, points = looks.looks(results), results["transfer"]["points"]
    figure, axes = small_axes("target against source, % solved", WIDTH, 300)
    room = _room(results)
    axes.plot([0, 100], [0, 100], color=INK, linewidth=1, linestyle=":")
    for point in points:
        colour, mark = look[point["key"]]
        spot = 100 * point["source"], 100 * point["target"]
        axes.plot(*spot, mark, color=SERIES[colour], markersize=5, alpha=0.8)
    axes.set(xlim=room, ylim=room, xlabel="source", ylabel="target")
    keys = list(dict.fromkeys(point["key"] for point in points))
    shown = [key for key in keys if key in looks.final(results)]
    return Drawn(
        "transfer", to_svg(figure, "transfer"), tuple(looks.legend(results, shown)), points
    )
