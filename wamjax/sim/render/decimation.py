"""Fewer triangles of nearly the same shape: vertex clustering with quadrics.

All points of one cell of a grid become one point x, the one nearest to the planes of the triangles
that touch the cell, weighted by area (Lindstrom, SIGGRAPH 2000):

    minimise sum_i |n_i . (x - p_i)|^2,   n_i = (b - a) x (c - a)

where the planes leave x open, it stays at the mean of the points. Triangles with two corners in one
cell vanish. The grid is the finest that leaves at most the wanted number.
"""

import numpy as np

from wamjax.sim.render.mesh import area_vectors

STEPS = 14
FINEST, COARSEST = 1 / 2048, 1.0
"""Sizes of a cell that are tried, as shares of the mesh's largest extent."""
RIGID = 1e-3
"""Directions with less than this share of the strongest quadric's weight are left open."""


def decimate(corners: np.ndarray, most: int) -> np.ndarray:
    """At most `most` triangles, but never none.

    Args:
        corners: [T, 3, 3], m.
        most: at least 1.

    Returns:
        [T', 3, 3]; the same where there are few enough.
    """
    if len(corners) <= most:
        return corners
    points = corners.reshape(-1, 3).astype(np.float64)
    low, extent = points.min(axis=0), float(np.ptp(points, axis=0).max())
    fine, coarse = np.log(FINEST), np.log(COARSEST)
    best = None
    for _ in range(STEPS):
        middle = (fine + coarse) / 2
        place = _cells(points, low, extent * np.exp(middle))
        kept = _kept(place)
        if 0 < len(kept) <= most:
            best, coarse = (place, kept, extent * np.exp(middle)), middle
        elif len(kept):
            fine = middle
        else:
            coarse = middle
    # A mesh whose triangles all vanish before they are few keeps its largest ones.
    if best is None:
        size = np.linalg.norm(area_vectors(corners), axis=1)
        return corners[np.sort(np.argsort(-size, kind="stable")[:most])]
    place, kept, cell = best
    return _representatives(corners, place, cell)[kept]


def _cells(points: np.ndarray, low: np.ndarray, size: float) -> np.ndarray:
    """The number of each point's cell, 0 .. cells - 1, int [3 T]."""
    index = np.floor((points - low) / size).astype(np.int64)
    wide = index.max(axis=0) + 1
    key = (index[:, 0] * wide[1] + index[:, 1]) * wide[2] + index[:, 2]
    return np.unique(key, return_inverse=True)[1].ravel()


def _kept(place: np.ndarray) -> np.ndarray:
    """Triangles with corners in three cells, one of each such set and turn, int [K, 3]."""
    faces = place.reshape(-1, 3)
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (a != c)]
    if not len(faces):
        return faces
    # Begin each with its lowest corner: then equal triangles have equal rows.
    first = np.argmin(faces, axis=1)[:, None]
    turned = np.take_along_axis(faces, (first + np.arange(3)) % 3, axis=1)
    return np.unique(turned, axis=0)


def _representatives(corners: np.ndarray, place: np.ndarray, cell: float) -> np.ndarray:
    """Where each cell's point goes, [cells, 3]."""
    count = int(place.max()) + 1

    def total(values: np.ndarray) -> np.ndarray:
        flat = values.reshape(len(values), -1)
        sums = [np.bincount(place, column, count) for column in flat.T]
        return np.stack(sums, axis=-1).reshape(count, *values.shape[1:])

    points = corners.reshape(-1, 3).astype(np.float64)
    mean = total(points) / np.bincount(place, minlength=count)[:, None]
    n = np.repeat(area_vectors(corners.astype(np.float64)), 3, axis=0)
    n = n / max(np.abs(n).max(), 1e-30)
    square = total(n[:, :, None] * n[:, None, :])
    # Offsets from the mean keep the numbers small.
    right = total(n * np.sum(n * (points - mean[place]), axis=1, keepdims=True))
    weight, axes = np.linalg.eigh(square)
    firm = weight > RIGID * weight[:, -1:]
    inverse = np.where(firm, 1.0 / np.where(firm, weight, 1.0), 0.0)
    step = np.einsum("cij,cj,ckj,ck->ci", axes, inverse, axes, right)
    length = np.linalg.norm(step, axis=1, keepdims=True)
    return mean + step * np.minimum(1.0, cell / np.maximum(length, 1e-30))
