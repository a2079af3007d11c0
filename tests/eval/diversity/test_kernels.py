"""Paths and kernels: resampling, and the signature kernel against products of signatures."""

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from wamjax.eval.diversity import gaussian_gram, resample_path, signature_gram


def wave(turn: float, points: int = 40) -> np.ndarray:
    s = np.linspace(0, 1, points)
    return np.stack([s, np.sin(3 * s + turn), turn * s**2], 1)


def signature_products(one: np.ndarray, other: np.ndarray, depth: int = 14) -> float:
    """<signature, signature> of two paths in straight pieces, level by level (Chen's identity)."""

    def signature(path):
        levels = [np.ones(1)] + [np.zeros(path.shape[1] ** k) for k in range(1, depth + 1)]
        for step in np.diff(path, axis=0):
            piece = [np.ones(1)]
            for k in range(1, depth + 1):
                piece.append(np.outer(piece[-1], step).ravel() / k)
            levels = [
                sum(np.outer(levels[j], piece[k - j]).ravel() for j in range(k + 1))
                for k in range(depth + 1)
            ]
        return levels

    return float(sum(a @ b for a, b in zip(signature(one), signature(other))))


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 9))
def test_a_pause_does_not_count_by_length_but_does_by_time(repeats, where):
    path = wave(0.3, 10)
    paused = np.insert(path, [where] * repeats, path[where], axis=0)
    np.testing.assert_allclose(resample_path(paused, 25), resample_path(path, 25), atol=1e-12)
    by_time = resample_path(paused, 25, by="time")
    assert np.abs(by_time - resample_path(path, 25, by="time")).max() > 1e-3


def test_points_lie_at_equal_steps():
    path = np.array([[0.0, 0.0], [0.1, 0.0], [3.0, 0.0], [3.0, 1.0]])
    by_length = resample_path(path, 9)
    np.testing.assert_allclose(np.linalg.norm(np.diff(by_length, axis=0), axis=1), 0.5)
    np.testing.assert_allclose(resample_path(path, 4, by="time"), path)
    np.testing.assert_array_equal(by_length[[0, -1]], path[[0, -1]])
    np.testing.assert_array_equal(resample_path(path[[1, 1, 1]], 3), path[[1, 1, 1]])
    with pytest.raises(ValueError, match="points"):
        resample_path(path, 1)


def test_the_gaussian_kernel_by_hand():
    paths = np.stack([wave(0.0), wave(0.0) + np.array([0.0, 0.03, 0.04]), wave(0.5)])
    gram = gaussian_gram(paths, width=0.1)
    assert gram[0, 1] == pytest.approx(np.exp(-(0.05**2) / (2 * 0.1**2)))
    np.testing.assert_array_equal(np.diag(gram), 1.0)
    assert np.linalg.eigvalsh(gram).min() > 0


def test_the_signature_kernel_of_straight_lines_is_a_bessel_function():
    """Of increments v and w it is I_0(2 sqrt(<v, w>)), and J_0 where they are opposed."""
    ends = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [-0.5, 0.5, 1.0]])
    lines = np.linspace(0, 1, 60)[None, :, None] * ends[:, None]
    inner = ends @ ends.T / 0.5**2

    def kernel(product):
        root = 2 * np.sqrt(np.abs(product))
        return np.where(product > 0, scipy.special.i0(root), scipy.special.j0(root))

    expected = kernel(inner) / np.sqrt(np.outer(*[kernel(np.diag(inner))] * 2))
    np.testing.assert_allclose(signature_gram(lines, width=0.5), expected, atol=2e-4)


def test_the_signature_kernel_is_the_product_of_signatures():
    rng = np.random.default_rng(0)
    corners = rng.normal(size=(3, 4, 2)) * 0.5
    fine = np.stack([resample(path, 90) for path in corners])
    found = signature_gram(fine, width=1.0)
    products = np.array([[signature_products(a, b, 10) for b in corners] for a in corners])
    scale = np.sqrt(np.diag(products))
    np.testing.assert_allclose(found, products / np.outer(scale, scale), atol=2e-3)


def resample(path: np.ndarray, points: int) -> np.ndarray:
    """Straight pieces cut finely, corners kept."""
    return np.stack(
        [np.interp(np.linspace(0, len(path) - 1, points + 1), range(len(path)), c) for c in path.T],
        1,
    )


def test_the_signature_kernel_sees_neither_timing_nor_place():
    slow = np.linspace(0, 1, 60) ** 2
    path = wave(0.2, 60)
    other = np.stack([np.interp(slow, np.linspace(0, 1, 60), column) for column in path.T], 1)
    gram = signature_gram(np.stack([path, other, path + 5.0, path[::-1]]), width=0.5)
    np.testing.assert_allclose(gram[:3, :3], 1.0, atol=0.01)
    assert gram[0, 3] < 0.5  # backwards is another movement
    assert np.linalg.eigvalsh(gram).min() > -1e-3  # of the grid


def test_widths_that_measure_nothing_are_refused():
    paths = np.stack([wave(0.0, 5), wave(1.0, 5)])
    for gram in (gaussian_gram, signature_gram):
        with pytest.raises(ValueError, match="width must be above 0"):
            gram(paths, width=0.0)
    with pytest.raises(ValueError, match="take more points or a width of"):
        signature_gram(paths, width=0.01)
