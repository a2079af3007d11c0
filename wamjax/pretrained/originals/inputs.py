"""Small inputs of encoders, and how transformers is told them."""

from typing import Any

import jax
import numpy as np

from wamjax.codec.vit import Pixels
from wamjax.core.typing import Params
from wamjax.pretrained.originals.base import Module

EAGER = {"attn_implementation": "eager"}
LENGTH, REAL = 8, 6
"""Words of the small input, and how many of them are no padding."""


def of_transformers(kind: str, config: str, **options: Any) -> Module:
    """A module of transformers, with attention as it is written down."""
    return Module("transformers", kind, {**options, **EAGER}, config)


def drawn_words(rng: np.random.Generator, vocabulary: int) -> dict[str, np.ndarray]:
    """Words, and a mask with padding behind them."""
    return {
        "words": rng.integers(vocabulary, size=(1, LENGTH)),
        "mask": np.arange(LENGTH)[None] < REAL,
    }


def run(encoder: Any, weights: Params, *given: Any) -> np.ndarray:
    """What one of our encoders makes."""
    return np.asarray(jax.jit(encoder.apply)({"params": weights}, *given))


def drawn_frames(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """One of the batch, in [-1, 1]."""
    return rng.uniform(-1, 1, (1, *shape, 3)).astype(np.float32)


def pixels_of(frames: np.ndarray, trained: Pixels) -> np.ndarray:
    """Frames in [-1, 1] as an encoder was trained on them, channels before rows; float64."""
    pixels = ((frames + 1) / 2 - np.array(trained.mean)) / np.array(trained.deviation)
    return np.moveaxis(pixels, -1, -3)
