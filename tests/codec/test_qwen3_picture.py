"""Pictures are prepared for Qwen3-VL as by its own image processor."""

import jax.numpy as jnp
import numpy as np
import pytest
from einops import rearrange

from wamjax.codec.qwen3_picture import fitted, resized

pytest.importorskip("torch", reason="the reference; the extra `reference` brings it")
pytest.importorskip("transformers", reason="the reference; the extra `reference` brings it")

from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl as processing

PIXELS = [(224, 224), (480, 640), (37, 53), (90, 700), (5000, 4000), (100, 3000), (48, 80)]


@pytest.mark.parametrize(("least", "most"), [(65_536, 16_777_216), (4096, 50_176)])
@pytest.mark.parametrize(("height", "width"), PIXELS)
def test_sides_are_theirs(height, width, least, most):
    want = processing.smart_resize(height, width, 32, least, most)
    assert fitted(height, width, least=least, most=most) == want


@pytest.mark.parametrize(("height", "width"), [(54, 99), (20, 17)])
def test_pixels_are_theirs(height, width):
    """Up to the rounding of theirs to 256 levels, behind each axis."""
    draw = np.random.default_rng(0).integers(0, 256, (height // 3, width // 3 + 1, 3))
    picture = np.kron(draw, np.ones((3, 3, 1)))[:height, :width].astype(np.uint8)
    limits = {"shortest_edge": 1024, "longest_edge": 4096}
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    processor = processing.Qwen2VLImageProcessorPil(patch_size=4, size=limits, **half)
    told = processor(picture, return_tensors="np")
    size = fitted(*picture.shape[:2], side=8, least=1024, most=4096)
    _, rows, columns = told["image_grid_thw"][0]
    assert size == (4 * rows, 4 * columns)
    pattern = "(h w m n) (c t i j) -> t (h m i) (w n j) c"
    sides = {"h": rows // 2, "w": columns // 2, "m": 2, "n": 2, "t": 2, "i": 4, "j": 4}
    want = rearrange(told["pixel_values"], pattern, **sides)
    frames = jnp.asarray(picture[None, None] / 127.5 - 1, jnp.float32)
    levels = np.abs(np.asarray(resized(frames, *size))[0] - want) * 127.5
    assert levels.max() <= 1.5
    assert levels.mean() <= 0.5


def test_a_picture_that_is_too_narrow_is_refused():
    with pytest.raises(ValueError, match="201 x 1 pixels is too narrow"):
        fitted(201, 1)
