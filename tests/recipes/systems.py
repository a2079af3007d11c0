"""A very small system and a batch for it, shared by the tests of recipes, policies and configs."""

import dataclasses
import functools

import jax
import numpy as np

from tests.weights import drawn_weights
from wamjax.core.records import Batch
from wamjax.core.text import encode_text
from wamjax.model.couplings import Size, coupled
from wamjax.recipes.config import CodecConfig, ContextConfig, SystemConfig, TextConfig
from wamjax.recipes.system import System

SMALL = SystemConfig(
    views=2,
    predicted_views=1,
    image_size=16,
    history=1,
    future=2,
    chunk=4,
    text_length=24,
    codec=CodecConfig(patch=4),
    text=TextConfig(width=16, words=6, hidden=8),
    context=ContextConfig(tokens=2, channels=(8, 8), kernels=(4, 3), strides=(2, 1)),
    model=coupled("mot", Size(width=24, depth=2, heads=2, head_dim=12, action_width=16), patch=2),
    imagined_steps=2,
    solver_steps=2,
)


def small(training: str = "joint", **changes) -> System:
    return System(dataclasses.replace(SMALL, training=training, **changes))


@functools.cache
def weights(system: System):
    return drawn_weights(jax.eval_shape(system.init, jax.random.key(0)))


def batch(count: int = 3, seed: int = 0) -> Batch:
    """Random windows; every mask is full."""
    rng = np.random.default_rng(seed)
    words = ["reach the red cube", "go to the blue cube", "push green"]
    return Batch(
        frames=rng.integers(0, 256, (count, 2, 3, 16, 16, 3), dtype=np.uint8),
        camera_mask=np.ones((count, 2), bool),
        frame_mask=np.ones((count, 3), bool),
        actions=rng.normal(size=(count, 4, 7)).astype(np.float32),
        action_mask=np.ones((count, 4, 7), bool),
        proprio=rng.normal(size=(count, 7)).astype(np.float32),
        proprio_mask=np.ones((count, 7), bool),
        text=np.stack([encode_text(words[row % 3], 24) for row in range(count)]),
        index=np.arange(count, dtype=np.int32),
    )
