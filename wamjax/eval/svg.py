"""Matplotlib figures as SVG: inside a page, whose colours and type they take, or alone on white.

They are drawn with sentinel colours, which are then replaced: by the page's CSS variables, so that
one picture serves light, dark and print, or by the light colours of templates/style.css.j2.
"""

import html
import io
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

INK, FAINT, CARD = "#010203", "#040506", "#0d0e0f"
SERIES = (
    "#070809", "#0a0b0c", "#101112", "#131415", "#161718", "#191a1b", "#1c1d1e", "#1f2021",
)  # fmt: skip
LIGHT = (
    "#1f5fbf", "#c05a12", "#7b7f88", "#14847b", "#8a4fb0", "#b5306b", "#74740f", "#3b3f8f",
)  # fmt: skip
PAINTS = {
    INK: ("var(--soft)", "#5d6069"),
    FAINT: ("var(--line)", "#dedcd5"),
    CARD: ("var(--card)", "#ffffff"),
    **{
        sentinel: (f"var(--series-{place})", colour)
        for place, (sentinel, colour) in enumerate(zip(SERIES, LIGHT, strict=True))
    },
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
MARKS = {
    "o": "M5 0A5 5 0 1 1 -5 0A5 5 0 1 1 5 0Z",
    "s": "M-4.4 -4.4H4.4V4.4H-4.4Z",
    "^": "M0 -5.4L5.2 4.2H-5.2Z",
    "D": "M0 -5.8L5.8 0L0 5.8L-5.8 0Z",
    "v": "M0 5.4L5.2 -4.2H-5.2Z",
    "P": "M-1.7 -5.2H1.7V-1.7H5.2V1.7H1.7V5.2H-1.7V1.7H-5.2V-1.7H-1.7Z",
    "X": "M-5 -2.6L-2.6 -5L0 -2.4L2.6 -5L5 -2.6L2.4 0L5 2.6L2.6 5L0 2.4L-2.6 5L-5 2.6L-2.4 0Z",
    "h": "M0 -5.4L4.7 -2.7V2.7L0 5.4L-4.7 2.7V-2.7Z",
}
"""Matplotlib's name of a marker -> its outline in a legend, about ten units wide."""


class Entry(NamedTuple):
    """Of a legend.

    Attributes:
        label: what is told apart.
        series: place of its colour.
        mark: its marker, a name in MARKS.
    """

    label: str
    series: int
    mark: str


def small_axes(title: str, width: int, height: int) -> tuple[Figure, Axes]:
    """A figure of so many points with one plot."""
    figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    return figure, axes


def log_axis(axis: Any, spell: Any) -> None:
    """A logarithmic axis with ticks at 1, 2 and 5 that `spell` writes."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: spell(value)))
    axis.set_minor_formatter(NullFormatter())


def to_svg(figure: Figure, salt: str) -> str:
    """The figure as an SVG element in sentinel colours, without fonts and names of its own."""
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
    text = re.sub(r"font-family: [^;\"]*;?", "", text)
    used = set(re.findall(r"#([\w.]+)[\")]", text))
    return re.sub(r'\sid="([^"]*)"', lambda found: found[0] if found[1] in used else "", text)


def inline(text: str) -> str:
    """What `to_svg` gave, as an element of a page."""
    for sentinel, (variable, _) in PAINTS.items():
        text = text.replace(sentinel, variable)
    return text.replace("<svg ", '<svg class="figure" role="img" ', 1)


def alone(text: str, legend: Sequence[Entry] = (), row: float = 17.0) -> str:
    """What `to_svg` gave, as a file: light colours on white, its legend below, a row an entry."""
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt" viewBox="[^"]*"', text)
    assert size is not None, "matplotlib writes the size of a figure first"
    width, height = float(size[1]), float(size[2])
    whole = height + row * len(legend) + (8 if legend else 0)
    lines = [
        f'<g transform="translate(14 {height + row * (place + 0.5):g})">'
        f'<path d="{MARKS[entry.mark]}" fill="{SERIES[entry.series]}"/>'
        f'<text x="12" y="4" style="font-size: 11px; fill: {INK}">{html.escape(entry.label)}</text>'
        "</g>"
        for place, entry in enumerate(legend)
    ]
    opening = (
        f'width="{width:g}pt" height="{whole:g}pt" viewBox="0 0 {width:g} {whole:g}" '
        'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif"'
    )
    text = text.replace(size[0], opening, 1)
    text = text.replace(">", f'>\n<rect width="100%" height="100%" fill="{CARD}"/>', 1)
    text = text.replace("</svg>", "\n".join([*lines, "</svg>"]))
    for sentinel, (_, colour) in PAINTS.items():
        text = text.replace(sentinel, colour)
    return text
