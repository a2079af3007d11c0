"""A triangle mesh as the ray caster wants it: in groups of neighbours, each inside a ball.

A ray that misses a group's ball misses its triangles, so the smaller the balls, the less is met for
nothing: triangles are cut at the median along the longest side of their bounding box until GROUP
are left (a k-d tree whose leaves are full but the last).
"""

import flax.struct
import numpy as np

from wamjax.core.typing import AnyArray

GROUP = 16
CREASE = 60.0
"""Degrees: a smooth surface bends less than this from triangle to triangle."""


@flax.struct.dataclass
class Mesh:
    """C groups of GROUP triangles, in the geom's frame.

    Corners go round counterclockwise seen from outside.

    Attributes:
        corners: float32 [C, GROUP, 3, 3], m, per triangle three points; triangles that are a single
            point, which no ray meets, fill the last group.
        normals: float32 [C, GROUP, 3, 3], outward at each corner, unit vectors.
        centre: float32 [C, 3], m, of a ball around each group.
        radius: float32 [C], m.
    """

    corners: AnyArray
    normals: AnyArray
    centre: AnyArray
    radius: AnyArray


def build_mesh(corners: np.ndarray, normals: np.ndarray | None = None) -> Mesh:
    """A mesh from its triangles, NumPy leaves.

    Args:
        corners: [T, 3, 3], m, T at least 1, counterclockwise seen from outside.
        normals: [T, 3, 3], at the corners; by default across each triangle, which is then flat.

    Raises:
        ValueError: no triangle, or numbers that are not finite.
    """
    corners = np.asarray(corners, np.float64)
    if corners.ndim != 3 or not len(corners) or not np.isfinite(corners).all():
        raise ValueError(f"a mesh needs finite triangles [T, 3, 3], got shape {corners.shape}")
    if normals is None:
        normals = np.repeat(unit(area_vectors(corners))[:, None], 3, axis=1)
    order = _leaves(corners.mean(axis=1))
    corners, normals = corners[order], np.asarray(normals, np.float64)[order]
    spare = -len(corners) % GROUP
    point = np.broadcast_to(corners[-1:, :1], (spare, 3, 3))
    corners = np.concatenate([corners, point]).reshape(-1, GROUP, 3, 3)
    normals = np.concatenate([normals, np.broadcast_to(normals[-1:], (spare, 3, 3))])
    points = corners.reshape(len(corners), -1, 3)
    centre = (points.min(axis=1) + points.max(axis=1)) / 2
    reach = np.linalg.norm(points - centre[:, None], axis=-1).max(axis=1)
    return Mesh(
        corners=corners.astype(np.float32),
        normals=normals.reshape(corners.shape).astype(np.float32),
        centre=centre.astype(np.float32),
        # A little more than needed, for what float32 rounds off.
        radius=(1.0001 * reach + 1e-6).astype(np.float32),
    )


def area_vectors(corners: np.ndarray) -> np.ndarray:
    """(b - a) x (c - a), outward and twice the area long, [T, 3]."""
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def unit(vectors: np.ndarray) -> np.ndarray:
    """Along the last axis; zero stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)


def smooth_normals(corners: np.ndarray, crease: float = CREASE) -> np.ndarray:
    """At each corner the mean over the triangles around it, by area, but not across a crease.

    Args:
        corners: [T, 3, 3]; points closer than a micrometre are the same point.
        crease: degrees; triangles that bend away further do not count.

    Returns:
        unit vectors [T, 3, 3].
    """
    areas = area_vectors(corners)
    flat = unit(areas)
    _, place = np.unique(np.round(corners.reshape(-1, 3), 6), axis=0, return_inverse=True)
    order = np.argsort(place.ravel(), kind="stable")
    ends = np.flatnonzero(np.diff(place.ravel()[order])) + 1
    normals = np.empty((3 * len(corners), 3))
    for around in np.split(order, ends):
        faces = around // 3
        alike = flat[faces] @ flat[faces].T > np.cos(np.deg2rad(crease))
        normals[around] = alike @ areas[faces]
    normals = unit(normals).reshape(corners.shape)
    return np.where(np.abs(normals).sum(-1, keepdims=True) > 0, normals, flat[:, None])


def _leaves(centres: np.ndarray) -> np.ndarray:
    """The triangles in the order of the leaves."""
    done, waiting = [], [np.arange(len(centres))]
    while waiting:
        members = waiting.pop()
        if len(members) <= GROUP:
            done.append(members)
            continue
        inside = centres[members]
        axis = int(np.argmax(np.ptp(inside, axis=0)))
        members = members[np.argsort(inside[:, axis], kind="stable")]
        cut = GROUP * -(-len(members) // (2 * GROUP))
        # The right part, which alone may have a leaf that is not full, comes last.
        waiting += [members[cut:], members[:cut]]
    return np.concatenate(done)
