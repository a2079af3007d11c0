"""Groups of triangles, smooth normals, and fewer triangles of the same shape."""

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from tests.sim.random_meshes import ring
from wamjax.sim.render import build_mesh
from wamjax.sim.render.decimation import decimate
from wamjax.sim.render.mesh import GROUP, area_vectors, smooth_normals


def dense_ball() -> np.ndarray:
    """A unit ball of about 4,000 triangles."""
    points = np.random.RandomState(0).normal(size=(2000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    faces = ConvexHull(points).simplices
    corners = points[faces]
    inward = np.einsum("td,td->t", area_vectors(corners), corners.mean(axis=1)) < 0
    corners[inward] = corners[inward][:, [0, 2, 1]]
    return corners


def cube(cuts: int) -> np.ndarray:
    """The unit cube with 12 cuts^2 triangles."""
    step = np.linspace(-0.5, 0.5, cuts + 1)
    u, v = np.meshgrid(step[:-1], step[:-1], indexing="ij")
    u, v, d = u.ravel(), v.ravel(), 1 / cuts
    square = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]]) * d
    flat = np.stack([u, v], -1)[:, None, None] + square
    sides = []
    for axis in range(3):
        for side in (-0.5, 0.5):
            points = np.full((*flat.shape[:3], 3), side)
            points[..., (axis + 1) % 3], points[..., (axis + 2) % 3] = flat[..., 0], flat[..., 1]
            points = points.reshape(-1, 3, 3)
            sides.append(points if side > 0 else points[:, [0, 2, 1]])
    return np.concatenate(sides)


def volume(corners: np.ndarray) -> float:
    return float(np.einsum("td,td->", area_vectors(corners), corners[:, 0]) / 6)


def test_every_triangle_is_in_one_group_and_inside_its_ball():
    points, faces = ring()
    corners = points[faces]
    mesh = build_mesh(corners)
    assert mesh.corners.shape == (-(-len(corners) // GROUP), GROUP, 3, 3)
    flat = mesh.corners.reshape(-1, 9)
    wanted = corners.reshape(-1, 9).astype(np.float32)
    np.testing.assert_array_equal(np.unique(flat[: len(wanted)], axis=0), np.unique(wanted, axis=0))
    # What fills up the last group has no area.
    assert not area_vectors(flat[len(wanted) :].reshape(-1, 3, 3)).any()
    away = mesh.corners - mesh.centre[:, None, None]
    assert (np.linalg.norm(away, axis=-1) <= mesh.radius[:, None, None]).all()
    # Neighbours: a group is small beside the whole.
    assert mesh.radius.mean() < 0.5
    with pytest.raises(ValueError, match="finite triangles"):
        build_mesh(np.full((1, 3, 3), np.nan))


def test_normals_are_smooth_on_a_ball_and_flat_on_a_cube():
    corners = dense_ball()
    cosine = np.einsum("tcd,tcd->tc", smooth_normals(corners), corners)
    assert cosine.min() > 0.98
    sides = area_vectors(cube(3))
    sides /= np.linalg.norm(sides, axis=1, keepdims=True)
    np.testing.assert_allclose(smooth_normals(cube(3)), np.repeat(sides[:, None], 3, 1), atol=1e-12)


def test_decimation_keeps_the_shape():
    for corners, most, share in ((dense_ball(), 400, 0.95), (cube(16), 300, 0.999)):
        fewer = decimate(corners, most)
        print(f"{len(corners)} -> {len(fewer)}: volume {volume(fewer) / volume(corners):.4f}")
        assert most / 2 < len(fewer) <= most
        assert volume(fewer) / volume(corners) == pytest.approx(1, abs=1 - share)
    np.testing.assert_array_equal(decimate(cube(2), 48), cube(2))
    assert len(decimate(cube(8), 1)) == 1
