"""A made-up causal codec on made-up data, and a process that encodes with it until it is killed.

python -m tests.data.encoded_windows DATA OUT DELAY
"""

import pathlib
import sys
import time
from typing import Any

import numpy as np

from tests.data.synthetic import config
from wamjax.data.files import latent_format as form
from wamjax.data.files.latent_format import LatentPlan
from wamjax.data.normalising.statistics import compute_statistics
from wamjax.data.windows.pipeline import Numbered, Windows
from wamjax.data.writing.latents import make_latents

CODEC = {"kind": "Made up", "views": 1, "weights": None}
WINDOW = {"history": 2, "future": 2}
SHAPE = (1, 4, 2, 2, 3)
SHARD_BYTES = 2**12  # 21 windows of float32


def encode(frames: np.ndarray) -> np.ndarray:
    """[B, 1, T, 2, 2, 3]: means of the first camera's quarters, added up over the window."""
    b, _, t, h, w, _ = frames.shape
    cells = frames[:, 0].reshape(b, t, 2, h // 2, 2, w // 2, 3) / np.float32(127.5) - 1
    return np.cumsum(cells.mean((3, 5), dtype=np.float32), axis=1, dtype=np.float32)[:, None]


def windows_of(directory: pathlib.Path, **changes: Any) -> Windows:
    settings = config(directory, **(WINDOW | changes))
    return Windows(settings, compute_statistics(settings))


def plan_of(windows: Numbered, **changes: Any) -> LatentPlan:
    told = {"codec": CODEC, "shape": SHAPE, "window_frames": 4}
    return LatentPlan(
        frames=windows.seen(),
        windows=len(windows),
        **(told | changes),  # type: ignore[arg-type]
    )


def make(out: pathlib.Path, windows: Numbered, encode: Any = encode, **changes: Any) -> LatentPlan:
    def read(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = windows.batch(numbers)
        return np.asarray(found.frames), np.asarray(found.frame_mask)

    plan = plan_of(windows, **changes)
    make_latents(out, plan, read, encode, {}, batch=8)
    return plan


def main(directory: str, out: str, delay: str) -> int:
    form.SHARD_BYTES = SHARD_BYTES

    def slow(frames: np.ndarray) -> np.ndarray:
        print("encoded", flush=True)
        time.sleep(float(delay))
        return encode(frames)

    make(pathlib.Path(out), windows_of(pathlib.Path(directory), part="all"), slow)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
