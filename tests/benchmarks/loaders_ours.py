"""wamjax's loader as a contestant, and decoding alone, which is the limit of any loader."""

import concurrent.futures
import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.benchmarks.turns import Player, serve
from wamjax.core.runtime import versions
from wamjax.data import DataConfig, Windows, compute_statistics, make_loader, read_episodes
from wamjax.data.files.images import decode_each
from wamjax.data.files.pictures import encoded as stored
from wamjax.data.windows.windows import frame_rows

MOST = 2**28  # bytes of frames that are compared


def examples(windows: Windows) -> dict[str, np.ndarray]:
    """Every window once, or some that are spread evenly where they are large: row of the first
    action, the state there, frames of the first camera and actions."""
    config = windows.config
    size = config.frames * len(config.cameras) * config.image_size**2 * 3
    count = min(len(windows), MOST // size)
    numbers = np.linspace(0, len(windows) - 1, count).round().astype(np.int64)
    found = windows.batch(numbers)
    return {
        "row": np.asarray(windows.index.row[numbers]),
        "proprio": np.asarray(found.proprio),
        "frames": np.asarray(found.frames)[:, 0],
        "actions": np.asarray(found.actions),
    }


def encoded(windows: Windows) -> Iterator[list[bytes]]:
    """The encoded frames of one window after the other, in the order of training."""
    episodes, order = windows.episodes, windows.order()
    for i in itertools.count():
        number = np.array([order[i]], np.int64)
        rows, _ = frame_rows(windows.index, number, windows.plan)
        episode = int(windows.index.episode[number[0]])
        times = np.unique(episodes.recorded[rows[0]]).tolist()
        shown = episodes.source.pictures(episodes.places[episode], episodes.cameras)
        images: list[bytes] = []
        for pictures in shown.values():
            images += stored(pictures, times) or []
        yield images


def limit(windows: Windows, batch: int, workers: int) -> Player:
    """The frames of a window are decoded and let go; they are in memory as they were encoded."""
    stream = encoded(windows)
    held = itertools.cycle([next(stream) for _ in range(8 * batch)])
    threads = concurrent.futures.ThreadPoolExecutor(workers)

    def decoded() -> int:
        mine = [next(held) for _ in range(batch)]
        shares = [mine[k::workers] for k in range(workers)]
        list(threads.map(lambda share: [decode_each(images) for images in share], shares))
        return batch

    return Player(decoded, None, {})


def make(settings: dict[str, Any]) -> Player:
    """Of a `DataConfig` and a batch; "limit" for decoding alone."""
    config = DataConfig(**{**settings["config"], "cameras": tuple(settings["config"]["cameras"])})
    episodes = read_episodes(config)
    statistics = compute_statistics(config, episodes)
    if settings["limit"]:
        windows = Windows(config, statistics, episodes)
        return limit(windows, settings["batch"], config.workers)
    loader = make_loader(config, settings["batch"], statistics, episodes=episodes)

    def batch() -> int:
        return len(next(loader).frames)

    kept = dataclasses.replace(config, cache_bytes=0)
    return Player(
        batch, lambda: examples(Windows(kept, statistics, episodes)), {"versions": versions()}
    )


if __name__ == "__main__":
    serve(make)
