"""Frames by row: decoded once and kept while they fit, decoded at each use where they do not.

A frame that cannot be decoded is noted in a ledger, and the nearest readable frame of the same
camera stands in for it, marked as not real.

Several threads share the work of a batch, episode by episode or window by window, and each writes
where nobody else does; what they found is noted when all are done, in the order of the work, so
that nothing depends on how many there were.
"""

import concurrent.futures
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.typing import Bool, Int, UInt8, typed
from wamjax.data.episodes import Episodes, image_fault
from wamjax.data.faults import BadRecord, Fault, Ledger
from wamjax.data.files.pictures import Pictures, read_pictures


def _outward(t: int, length: int) -> Iterator[int]:
    """t, then its neighbours from near to far, the earlier first."""
    yield t
    for distance in range(1, length):
        if t - distance >= 0:
            yield t - distance
        if t + distance < length:
            yield t + distance


@functools.cache
def _threads(count: int) -> concurrent.futures.ThreadPoolExecutor:
    """Shared by all data sets of a process."""
    return concurrent.futures.ThreadPoolExecutor(count, thread_name_prefix="frames")


# A frame that cannot be decoded: its row, and what is told of it.
Bad = tuple[int, Fault]


class FrameStore:
    """uint8 frames [size, size, 3] of every step and camera of `episodes`.

    Args:
        episodes: the scanned data.
        size: side in pixels.
        cache_bytes: memory for decoded frames; the first steps that fit are kept.
        budget: fraction of all images that may be undecodable.
        workers: threads that decode.
    """

    def __init__(
        self, episodes: Episodes, size: int, cache_bytes: int, budget: float, workers: int = 1
    ):
        self.episodes, self.size, self.workers = episodes, size, workers
        self.steps, self.views = int(episodes.starts[-1]), len(episodes.cameras)
        room = cache_bytes // (self.views * size * size * 3)
        # Whole episodes only, so that an episode is either kept or not.
        self.kept_episodes = int(np.searchsorted(episodes.starts, room, side="right")) - 1
        self.kept_rows = int(episodes.starts[self.kept_episodes])
        self.store = np.empty((self.views, self.kept_rows, size, size, 3), np.uint8)
        self.loaded = np.zeros(len(episodes), bool)
        self.good = np.ones(self.steps, bool)
        self.ledger = Ledger(
            f"images of {episodes.source.directory}", self.steps * self.views, budget
        )

    @typed
    def gather(
        self, rows: Int[np.ndarray, "B T"], episode: Int[np.ndarray, "B"]
    ) -> tuple[UInt8[np.ndarray, "B V T H W 3"], Bool[np.ndarray, "B T"]]:
        """Frames of `rows`, each of the episode given, and whether they are the recorded ones.

        Raises:
            UserError: more images are bad than the budget allows, or the data changed.
        """
        shape = (len(rows), self.views, rows.shape[1], self.size, self.size, 3)
        out = np.empty(shape, np.uint8)
        if not out.size:
            return out, self.good[rows]
        missing = [
            int(number)
            for number in np.unique(episode)
            if number < self.kept_episodes and not self.loaded[number]
        ]
        starts = self.episodes.starts
        self._share(
            [
                (number, np.arange(start, stop), self.store[:, start:stop])
                for number in missing
                for start, stop in [(int(starts[number]), int(starts[number + 1]))]
            ]
        )
        self.loaded[missing] = True
        kept = episode < self.kept_episodes
        for view in range(self.views):
            if kept.all():
                out[:, view] = self.store[view][rows]
            elif kept.any():
                out[kept, view] = self.store[view][rows[kept]]
        self._share([(int(episode[n]), rows[n], out[n]) for n in np.flatnonzero(~kept)])
        return out, self.good[rows]

    def _share(self, jobs: list[tuple[int, np.ndarray, np.ndarray]]) -> None:
        """`_decode` each job, in several threads."""
        bad: list[list[Bad]] = [[] for _ in jobs]
        left = iter(enumerate(jobs))  # asked by all threads, one at a time under Python's lock

        def work() -> None:
            for number, job in left:
                bad[number] = self._decode(*job)

        helpers = min(self.workers, len(jobs)) - 1
        asked: list[Any] = []
        try:
            asked += [_threads(self.workers).submit(work) for _ in range(helpers)]
            work()
        finally:
            concurrent.futures.wait(asked)
        for future in asked:
            future.result()
        for row, fault in (each for found in bad for each in found):
            self.ledger.add(fault)
            self.good[row] = False

    def _decode(self, number: int, rows: np.ndarray, out: np.ndarray) -> list[Bad]:
        """Rows of one episode into `out`, uint8 [V, T, size, size, 3]; repeated ones once."""
        place = self.episodes.places[number]
        try:
            encoded = self.episodes.source.pictures(place, self.episodes.cameras)
        except (BadRecord, OSError, ValueError) as error:
            raise UserError(f"The data changed while in use ({error}): start again.") from error
        start = int(self.episodes.starts[number])
        wanted = (rows - start).tolist()
        distinct = sorted({*wanted})
        steps = self.episodes.recorded[start:].take(distinct).tolist()
        bad: list[Bad] = []
        for view, camera in enumerate(self.episodes.cameras):
            if not self.episodes.camera_ok[number, view]:
                out[view] = 0
                continue
            frames = dict(zip(distinct, read_pictures(encoded[camera], steps, self.size)))
            for row, frame in frames.items():
                if frame is None:
                    frames[row], passed = self._nearest(encoded[camera], number, camera, row)
                    bad += passed
            for slot, row in enumerate(wanted):
                frame = frames[row]
                out[view, slot] = 0 if frame is None else frame
        return bad

    def _nearest(
        self, pictures: Pictures, number: int, camera: str, row: int
    ) -> tuple[np.ndarray | None, list[Bad]]:
        """The readable frame nearest to an unreadable one, and those that were passed."""
        start, place = int(self.episodes.starts[number]), self.episodes.places[number]
        passed: list[Bad] = []
        for near in _outward(row, int(self.episodes.lengths[number])):
            step = int(self.episodes.recorded[start + near])
            (frame,) = read_pictures(pictures, [step], self.size)
            if frame is not None:
                return frame, passed
            fault = image_fault(self.episodes.source, place, camera, step)
            passed.append((start + near, fault))
        return None, passed
