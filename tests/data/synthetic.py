"""Small made-up episodes, the same ones every time."""

import pathlib
import shutil
from collections.abc import Iterator

import numpy as np

from wamjax.core.records import Episode
from wamjax.data.config import DataConfig

SIZE = 16
LENGTHS = (7, 2, 12, 1, 20, 5, 9, 3, 15, 8, 6, 11, 4, 10)


def episode(number: int, length: int, size: int = SIZE) -> Episode:
    """An episode whose pixel (0, 0) of frame t tells the episode, the step and the camera."""
    draw = np.random.default_rng([number, length])
    frames = draw.integers(8, 255, (2, length, size, size, 3)).astype(np.uint8)
    for view in range(2):
        frames[view, :, 0, 0] = [[number + 8, t + 8, view + 8] for t in range(length)]
    actions = draw.normal(size=(length, 7)).astype(np.float32)
    actions[:, 3] = 0.0
    actions[:, 6] = draw.integers(0, 2, length)
    actions[-1] = 0.0
    return Episode(
        frames={"primary": frames[0], "wrist": frames[1]},
        proprio=draw.normal(size=(length, 7)).astype(np.float32) * [1, 2, 3, 1, 1, 1, 0.1],
        actions=actions,
        instruction=f"reach the {('red', 'blue')[number % 2]} cube",
        success=number % 3 != 0,
        control_hz=10.0,
        metadata={"task": "reach", "seed": 100 + number, "noise": 0.25, "clean": True},
    )


def episodes(lengths: tuple[int, ...] = LENGTHS) -> Iterator[Episode]:
    for number, length in enumerate(lengths):
        yield episode(number, length)


def config(directory: pathlib.Path, **changes: object) -> DataConfig:
    """A DataConfig for the made-up data, no prefetch thread."""
    values = {"dir": str(directory), "image_size": SIZE, "prefetch": 0, "holdout": 0.25}
    return DataConfig(**(values | changes))  # type: ignore[arg-type]


def copy(source: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """A writable copy of a data set, to be damaged."""
    shutil.copytree(source, target)
    for path in target.iterdir():
        path.chmod(0o644)
    return target
