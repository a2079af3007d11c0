"""A small RLDS data set and the smallest run on it, for tests of the command line."""

import pathlib

import numpy as np

from wamjax.core.records import Episode
from wamjax.data.writing.rlds import write_rlds

CONFIG = '''"""A very small run."""
import dataclasses

from tests.recipes.systems import SMALL
from wamjax.core.config import to_flags
from wamjax.data.config import DataConfig
from wamjax.train.config import TrainConfig
from wamjax.train.run_config import RunConfig

CONFIG = RunConfig(
    name="small",
    system=SMALL,
    data=DataConfig(dir="nowhere", image_size=16, chunk=4, text_length=24, holdout=0.25),
    train=TrainConfig(steps=4, batch=8, save_every=2, log_every=2),
)


def get_config():
    return to_flags(CONFIG)
'''


def episodes(count: int, seed: int = 0, length: int = 6):
    """Pictures of a square; the action points to it."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        place = rng.uniform(2, 13, 2)
        frames = np.full((length, 16, 16, 3), 40, np.uint8)
        x, y = place.astype(int)
        frames[:, y - 1 : y + 2, x - 1 : x + 2] = (200, 60, 40)
        actions = np.zeros((length, 7), np.float32)
        actions[:, :2] = (place - 8) / 100 + rng.normal(0, 1e-3, (length, 2))
        actions[:, 6] = number % 2
        yield Episode(
            frames={"primary": frames, "wrist": frames[:, ::-1].copy()},
            proprio=rng.normal(size=(length, 7)).astype(np.float32),
            actions=actions,
            instruction="reach the red square",
            success=True,
            control_hz=10.0,
            metadata={"task": "reach", "seed": number},
        )


def make(folder: pathlib.Path, count: int = 12, seed: int = 0) -> tuple[pathlib.Path, pathlib.Path]:
    """(data set, config file)."""
    directory = write_rlds(folder / "data", "square", "1.0.0", episodes(count, seed))
    config = folder / "small.py"
    config.write_text(CONFIG)
    return directory, config
