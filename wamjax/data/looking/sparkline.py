"""A small line over time as inline SVG in the page's colours; no library, no script.

Long episodes are drawn by their lowest and highest value in each column, so that no peak is lost.
"""

import dataclasses

import numpy as np

from wamjax.data.normalising.statistics import CONSTANT

WIDTH, HEIGHT, EDGE = 300, 64, 5
COLUMNS = 150


@dataclasses.dataclass(frozen=True)
class Line:
    """One dimension.

    Attributes:
        label: name and number.
        span: "-0.02 to 0.31", or "always 0".
        note: how many are no numbers, or "".
        svg: the drawing.
    """

    label: str
    span: str
    note: str
    svg: str


def line(label: str, values: np.ndarray, real: np.ndarray, hz: float | None) -> Line:
    """Draw `values` [T].

    Args:
        label: of the dimension.
        values: float64 [T].
        real: bool [T], the step is defined; others are drawn as hollow dots and do not count in
            the span.
        hz: steps a second, or None.
    """
    finite = np.isfinite(values)
    told = values[finite & real]
    if not told.size:
        span, low, high = "no number", 0.0, 0.0
    elif np.ptp(told) < CONSTANT:
        span, low, high = f"always {told[0]:.3g}", float(told[0]), float(told[0])
    else:
        span, low, high = f"{told.min():.3g} to {told.max():.3g}", told.min(), told.max()
    end = "" if hz is None else f", {(len(values) - 1) / hz:.1f} s"
    spoken = f"steps 0 to {len(values) - 1}{end}"
    note = "" if finite.all() else f"{int((~finite).sum())} not finite (red)"
    return Line(label, span, note, _svg(values, real & finite, real, low, high, spoken))


def _svg(
    values: np.ndarray, drawn: np.ndarray, real: np.ndarray, low: float, high: float, spoken: str
) -> str:
    count = len(values)

    def x(t: float) -> float:
        return EDGE + (WIDTH - 2 * EDGE) * (t / (count - 1) if count > 1 else 0.5)

    def y(value: float) -> float:
        share = 0.5 if high - low < CONSTANT else min(max((value - low) / (high - low), 0.0), 1.0)
        return HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * share

    parts = [
        f'<svg class="line" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{spoken}">',
        f'<path class="frame" d="M{EDGE} {HEIGHT - EDGE}H{WIDTH - EDGE}"/>',
    ]
    if low < 0 < high:
        parts.append(f'<path class="zero" d="M{EDGE} {y(0):.1f}H{WIDTH - EDGE}"/>')
    for run in _runs(drawn):
        points = _thinned(values, run)
        if len(points) == 1:
            t, value = points[0]
            parts.append(f'<circle class="dot" cx="{x(t):.1f}" cy="{y(value):.1f}" r="2"/>')
        else:
            path = " ".join(f"{x(t):.1f},{y(value):.1f}" for t, value in points)
            parts.append(f'<polyline points="{path}"/>')
    for t in np.flatnonzero(~real & np.isfinite(values))[:COLUMNS].tolist():
        parts.append(
            f'<circle class="ring" cx="{x(t):.1f}" cy="{y(float(values[t])):.1f}" r="2.5"/>'
        )
    for t in np.flatnonzero(~np.isfinite(values))[:COLUMNS].tolist():
        parts.append(f'<path class="broken" d="M{x(t):.1f} {EDGE}V{HEIGHT - EDGE}"/>')
    return "".join([*parts, "</svg>"])


def _runs(drawn: np.ndarray) -> list[tuple[int, int]]:
    """(first, behind) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], drawn.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _thinned(values: np.ndarray, run: tuple[int, int]) -> list[tuple[int, float]]:
    first, behind = run
    steps = np.arange(first, behind)
    if len(steps) > 2 * COLUMNS:
        kept = [first, behind - 1]
        for block in np.array_split(steps, COLUMNS):
            kept += [int(block[values[block].argmin()]), int(block[values[block].argmax()])]
        steps = np.unique(kept)
    return [(int(t), float(values[t])) for t in steps]
