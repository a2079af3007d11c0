"""Resampling along one axis as a matrix, as PyTorch's `interpolate` has it.

    y_o = sum_i k((i - c_o) / s) x_i,   c_o = (o + 1/2) inputs / outputs - 1/2

k is Keys' cubic kernel (1981). Without antialiasing s = 1, k's slope is -3/4, and what lies beyond
an end is as the end; with it s is the stride where that is above 1, the slope is -1/2, and what
lies beyond an end has no weight. `linear` has a hat for k, and ends on ends:

    y_o = sum_i max(1 - |i - c_o|, 0) x_i,   c_o = o (inputs - 1) / (outputs - 1)
"""

import numpy as np


def resampling(outputs: int, inputs: int, *, antialias: bool) -> np.ndarray:
    """The matrix of `mode="bicubic"`, float32 [outputs, inputs]; each row sums to 1."""
    stride = inputs / outputs
    stretch = max(stride, 1.0) if antialias else 1.0
    centre = (np.arange(outputs) + 0.5) * stride - 0.5
    beyond = int(np.ceil(2 * stretch)) + 1
    place = np.arange(-beyond, inputs + beyond)
    weight = _keys((place[None] - centre[:, None]) / stretch, -0.5 if antialias else -0.75)
    if antialias:
        matrix = weight[:, beyond:-beyond]
    else:
        matrix = weight @ (np.clip(place, 0, inputs - 1)[:, None] == np.arange(inputs)[None])
    return (matrix / matrix.sum(1, keepdims=True)).astype(np.float32)


def linear(outputs: int, inputs: int) -> np.ndarray:
    """The matrix of `mode="bilinear", align_corners=True`; as `resampling`."""
    centre = np.arange(outputs) * (inputs - 1) / max(outputs - 1, 1)
    apart = np.abs(np.arange(inputs)[None] - centre[:, None])
    return np.maximum(1 - apart, 0).astype(np.float32)


def _keys(x: np.ndarray, slope: float) -> np.ndarray:
    """Keys' kernel; it is 0 beyond 2."""
    x = np.abs(x)
    near = ((slope + 2) * x - (slope + 3)) * x**2 + 1
    far = slope * (((x - 5) * x + 8) * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
