"""How alike two end-effector paths are: Gram matrices with ones on the diagonal.

    gaussian    exp(- mean_t |x_t - y_t|^2 / 2 width^2)            x, y: T points each
    signature   u_xy / sqrt(u_xx u_yy), where with x and y in units of width
                d2 u / ds dt = <dx / ds, dy / dt> u,   u(0, .) = u(., 0) = 1      (arXiv 2006.14794)

The Gaussian kernel compares places: resample paths at equal steps of their length first, so that a
pause does not count as another way, or of time, if it shall. The signature kernel (whose entropy
is used by FAKTUAL, arXiv 2603.11634) compares the order of movements: it does not see the timing,
nor where a path begins. Its equation is solved by the second-order scheme on the grid of points.

The width is in metres and decides what counts as different: it must be the same for all that is
compared, so it is never taken from the data.
"""

from typing import Literal, assert_never

import numpy as np

from wamjax.core.typing import Float, typed

# Increments whose product is above this are too coarse for the scheme (errors of some per cent).
_COARSEST = 1.0


@typed
def resample_path(
    path: Float[np.ndarray, "T D"], points: int, *, by: Literal["length", "time"] = "length"
) -> Float[np.ndarray, "N D"]:
    """`points` points at equal steps of path length or of time, first and last kept.

    A path that does not move gives its place, again and again.

    Raises:
        ValueError: an empty path, or fewer than two points.
    """
    if not len(path) or points < 2:
        raise ValueError(f"a path of {len(path)} points gives no {points} points")
    match by:
        case "length":
            steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
            path = path[np.concatenate([[True], steps > 0])]
            along = np.concatenate([[0.0], np.cumsum(steps[steps > 0])])
        case "time":
            along = np.arange(len(path), dtype=float)
        case _:
            assert_never(by)
    places = np.linspace(0.0, along[-1], points)
    return np.stack([np.interp(places, along, column) for column in path.T], 1)


@typed
def gaussian_gram(paths: Float[np.ndarray, "N T D"], *, width: float) -> Float[np.ndarray, "N N"]:
    """Likeness 0 ... 1 of N paths of T points in metres.

    Raises:
        ValueError: a width that is not above 0.
    """
    flat = _in_widths(paths, width).reshape(len(paths), -1)
    squares = (flat * flat).sum(1)
    distance = squares[:, None] + squares - 2 * flat @ flat.T
    gram = np.exp(-np.maximum(distance, 0.0) / (2 * paths.shape[1]))
    np.fill_diagonal(gram, 1.0)
    return gram


@typed
def signature_gram(paths: Float[np.ndarray, "N T D"], *, width: float) -> Float[np.ndarray, "N N"]:
    """Likeness -1 ... 1 of N paths of T points in metres, by the order of their movements.

    Raises:
        ValueError: a width that is not above 0, or too small for so few points.
    """
    increments = np.diff(_in_widths(paths, width), axis=1)
    coarsest = float((increments**2).sum(-1).max(initial=0.0))
    if coarsest > _COARSEST:
        raise ValueError(
            f"steps of {np.sqrt(coarsest):.2g} widths are too long; take more points or a width of "
            f"{width * np.sqrt(coarsest / _COARSEST):.2g}"
        )
    N, T, _ = increments.shape
    row = np.ones((T + 1, N, N))
    for i in range(T):
        above, row = row, np.ones((T + 1, N, N))
        for j in range(T):
            a = increments[:, i] @ increments[:, j].T
            row[j + 1] = (row[j] + above[j + 1]) * (1 + a / 2 + a**2 / 12)
            row[j + 1] -= above[j] * (1 - a**2 / 12)
    scale = np.sqrt(np.diag(row[-1]))
    return row[-1] / np.outer(scale, scale)


def _in_widths(paths: Float[np.ndarray, "N T D"], width: float) -> Float[np.ndarray, "N T D"]:
    if not width > 0:
        raise ValueError(f"the width must be above 0 metres, got {width}")
    return (paths / width).astype(np.float64)
