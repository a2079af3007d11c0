"""How fast windows are made, and where the time goes.

    read     the encoded pictures of a window's episode, from disk
    decode   its frames, at the recorded size
    resize   to the size that is trained on
    rest     everything else of `Windows.batch`: numbers, masks, copying

Whole batches and their parts are timed in turn, batch by batch, so that a busy moment hits both.
Decoding alone is the limit of a loader that keeps nothing.
"""

import dataclasses
import time

import numpy as np
from PIL import Image

from wamjax.data.files.images import sized
from wamjax.data.files.pictures import Pictures, bytes_of, read_pictures
from wamjax.data.windows.pipeline import Windows
from wamjax.data.windows.windows import frame_rows

PARTS = ("read", "decode", "resize")


@dataclasses.dataclass(frozen=True)
class Speed:
    """Of one data set on one core.

    Attributes:
        windows, frames, batch: how many were measured, frames in each, windows a batch.
        first: seconds to the first batch.
        whole: seconds a window with nothing kept in memory.
        cpu: processor seconds a window; more than `whole` where a decoder has threads.
        parts: seconds a window by part, of PARTS.
        kept: seconds a window with decoded frames in memory.
        bytes: encoded bytes of a window's pictures.
    """

    windows: int
    frames: int
    batch: int
    first: float
    whole: float
    cpu: float
    parts: dict[str, float]
    kept: float
    bytes: float

    @property
    def rest(self) -> float:
        """Seconds a window that are none of the parts."""
        return max(0.0, self.whole - sum(self.parts.values()))


def measure(windows: Windows, batch: int, batches: int) -> Speed:
    """Time `batches` batches in the order of training.

    Args:
        windows: of one data set; its frames are read anew from disk.
        batch: windows in each.
        batches: at least 1.
    """
    bare = dataclasses.replace(windows.config, cache_bytes=0)
    cold = Windows(bare, windows.statistics, windows.episodes)
    warm = Windows(windows.config, windows.statistics, windows.episodes)
    order = windows.order()
    draws = [
        np.array([order[i] for i in range(start, start + batch)], np.int64)
        for start in range(0, batch * batches, batch)
    ]
    parts: dict[str, float] = dict.fromkeys(PARTS, 0.0)
    whole, cpu, size, first = 0.0, 0.0, 0.0, 0.0
    for number, numbers in enumerate(draws):
        started, spent = time.perf_counter(), time.process_time()
        cold.batch(numbers)
        whole += time.perf_counter() - started
        cpu += time.process_time() - spent
        first = first if number else whole
        found, encoded = _parts(cold, numbers)
        size += encoded
        for name in PARTS:
            parts[name] += found[name]
        warm.batch(numbers)
    started = time.perf_counter()
    for numbers in draws:
        warm.batch(numbers)
    kept = time.perf_counter() - started
    total = batch * batches
    views = len(windows.episodes.cameras)
    return Speed(
        windows=total,
        frames=windows.config.frames * views,
        batch=batch,
        first=first,
        whole=whole / total,
        cpu=cpu / total,
        parts={name: seconds / total for name, seconds in parts.items()},
        kept=kept / total,
        bytes=size / total,
    )


def _parts(windows: Windows, numbers: np.ndarray) -> tuple[dict[str, float], float]:
    """Seconds by part of the pictures of a batch, and their encoded bytes."""
    episodes, size = windows.episodes, windows.config.image_size
    spent: dict[str, float] = dict.fromkeys(PARTS, 0.0)
    encoded = 0.0
    rows, _ = frame_rows(windows.index, numbers, windows.plan)
    for wanted, number in zip(rows, windows.index.episode[numbers], strict=True):
        started = time.perf_counter()
        shown = episodes.source.pictures(episodes.places[number], episodes.cameras)
        spent["read"] += time.perf_counter() - started
        times = np.unique(episodes.recorded[wanted]).tolist()
        for view, camera in enumerate(episodes.cameras):
            if not episodes.camera_ok[number, view]:
                continue
            started = time.perf_counter()
            frames = read_pictures(shown[camera], times)
            spent["decode"] += time.perf_counter() - started
            pictures = [Image.fromarray(frame) for frame in frames if frame is not None]
            started = time.perf_counter()
            for picture in pictures:
                sized(picture, size)
            spent["resize"] += time.perf_counter() - started
            encoded += _bytes(shown[camera], times)
    return spent, encoded


def _bytes(pictures: Pictures, times: list[int]) -> float:
    if isinstance(pictures, list):
        return float(sum(len(pictures[t]) for t in times))
    return bytes_of(pictures) * len(times) / len(pictures)
