"""How fast windows are made, and where the time goes.

    read     the encoded pictures of a window, from disk (of a video: with decoding)
    decode   its frames, at the recorded size
    resize   to the size that is trained on
    copy     to their places in the batch
    rest     everything else of `Windows.batch`: numbers and masks

Whole batches and their parts are timed in turn on one thread, batch by batch, so that a busy moment
hits both. Decoding alone is the limit of a loader that keeps nothing.
"""

import dataclasses
import time

import numpy as np
from PIL import Image

from wamjax.data.files.images import decode_each, sized
from wamjax.data.files.pictures import bytes_of, encoded, read_pictures
from wamjax.data.windows.pipeline import Windows
from wamjax.data.windows.windows import frame_rows

PARTS = ("read", "decode", "resize", "copy")


@dataclasses.dataclass(frozen=True)
class Speed:
    """Of one data set, on one thread where nothing else is said.

    Attributes:
        windows, frames, batch: how many were measured, frames in each, windows a batch.
        first: seconds to the first batch.
        whole: seconds a window with nothing kept in memory.
        shared: the same with `workers` threads.
        p50, p95: seconds a batch of these: half of them, and 19 of 20, are faster.
        cpu: processor seconds a window.
        parts: seconds a window by part, of PARTS.
        kept: seconds a window with decoded frames in memory.
        workers: threads, `data.workers`.
        bytes: encoded bytes of a window's pictures.
    """

    windows: int
    frames: int
    batch: int
    first: float
    whole: float
    shared: float
    p50: float
    p95: float
    cpu: float
    parts: dict[str, float]
    kept: float
    workers: int
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
    config = windows.config
    bare = dataclasses.replace(config, cache_bytes=0)
    alone = dataclasses.replace(bare, workers=1)
    cold, several, warm = (
        Windows(given, windows.statistics, windows.episodes) for given in (alone, bare, config)
    )
    order = windows.order()
    draws = [
        np.array([order[i] for i in range(start, start + batch)], np.int64)
        for start in range(0, batch * batches, batch)
    ]
    parts: dict[str, float] = dict.fromkeys(PARTS, 0.0)
    whole, cpu, size, first = 0.0, 0.0, 0.0, 0.0
    shared: list[float] = []
    for number, numbers in enumerate(draws):
        started, spent = time.perf_counter(), time.process_time()
        cold.batch(numbers)
        whole += time.perf_counter() - started
        cpu += time.process_time() - spent
        first = first if number else whole
        found, encoded_bytes = _parts(cold, numbers)
        size += encoded_bytes
        for name in PARTS:
            parts[name] += found[name]
        started = time.perf_counter()
        several.batch(numbers)
        shared.append(time.perf_counter() - started)
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
        shared=sum(shared) / total,
        p50=float(np.quantile(shared, 0.5)),
        p95=float(np.quantile(shared, 0.95)),
        cpu=cpu / total,
        parts={name: seconds / total for name, seconds in parts.items()},
        kept=kept / total,
        workers=config.workers,
        bytes=size / total,
    )


def _parts(windows: Windows, numbers: np.ndarray) -> tuple[dict[str, float], float]:
    """Seconds by part of the pictures of a batch, and their encoded bytes."""
    episodes, size = windows.episodes, windows.config.image_size
    spent: dict[str, float] = dict.fromkeys(PARTS, 0.0)
    total = 0.0

    def charge(part: str, started: float) -> None:
        spent[part] += time.perf_counter() - started

    rows, _ = frame_rows(windows.index, numbers, windows.plan)
    for wanted, number in zip(rows, windows.index.episode[numbers], strict=True):
        started = time.perf_counter()
        shown = episodes.source.pictures(episodes.places[number], episodes.cameras)
        charge("read", started)
        times = np.unique(episodes.recorded[wanted]).tolist()
        for view, camera in enumerate(episodes.cameras):
            if not episodes.camera_ok[number, view]:
                continue
            started = time.perf_counter()
            images = encoded(shown[camera], times)
            charge("read", started)
            started = time.perf_counter()
            decoded = decode_each(images) if images else read_pictures(shown[camera], times)
            charge("decode", started)
            frames = [frame for frame in decoded if frame is not None]
            started = time.perf_counter()
            if any(frame.shape[:2] != (size, size) for frame in frames):
                frames = [sized(Image.fromarray(frame), size) for frame in frames]
            charge("resize", started)
            place = np.empty((len(frames), size, size, 3), np.uint8)
            started = time.perf_counter()
            for slot, frame in enumerate(frames):
                place[slot] = frame
            charge("copy", started)
            if images is None:
                total += bytes_of(shown[camera]) * len(times) / len(shown[camera])
            else:
                total += sum(map(len, images))
    return spent, total
