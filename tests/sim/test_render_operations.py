"""Counted operations against counts by hand."""

import pytest

from wamjax.sim.render.operations import Ceiling, bytes_written, most_frames, per_frame, per_kind


def test_a_ray_against_a_ball_by_hand():
    """Direction into the ball's frame 15, o.d 5, minus 1, p 6, p.p 5, r^2 - 1, root 1, t 2: 36.

    To a light also: o in the ball's frame 3 + 15; the sum is 54, for r^2 and -o.d are as before.
    """
    eye, shade = per_kind()["sphere"]
    assert eye.arithmetic == pytest.approx(36, abs=0.5)
    assert shade.arithmetic == pytest.approx(54, abs=0.5)


def test_operations_grow_with_pixels_geoms_and_shadows():
    kinds = ("plane", "box", "sphere", "capsule")
    small, large = per_frame(kinds, 16, 16), per_frame(kinds, 32, 32)
    assert large.arithmetic / small.arithmetic == pytest.approx(4, rel=0.01)
    more = per_frame((*kinds, "capsule"), 16, 16) - small
    eye, shade = per_kind()["capsule"]
    assert more.arithmetic / 256 == pytest.approx(eye.arithmetic + shade.arithmetic, rel=0.02)
    assert per_frame(kinds, 16, 16, shadows=0).arithmetic < small.arithmetic
    assert small.matrix == 2 * 26 * 4 * 256


def test_the_bound_is_the_scarcer_of_arithmetic_and_memory():
    frame = per_frame(("plane", "sphere"), 16, 16)
    fast = Ceiling("fast", 1e30, 5120.0)
    assert bytes_written(16, 16) == 5120
    assert most_frames(frame, 5120, fast) == 1.0
    slow = Ceiling("slow", frame.arithmetic, 1e30)
    assert most_frames(frame, 5120, slow) == 1.0
