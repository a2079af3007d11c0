"""Frames by row: decoded once and kept while they fit, decoded at each use where they do not.

A frame that cannot be decoded is noted in a ledger, and the nearest readable frame of the same
camera stands in for it, marked as not real.

Several threads share the decoding of a batch, camera by camera, and the fetching where it takes
long; each writes where nobody else does, and what they found is noted when all are done, in the
order of the work, so that nothing depends on how many there were.
"""

import concurrent.futures
import functools
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.typing import Bool, Int, UInt8, typed
from wamjax.data.episodes import Episodes, image_fault
from wamjax.data.faults import BadRecord, Fault, Ledger
from wamjax.data.files.images import decode_into
from wamjax.data.files.pictures import Pictures, fetch, read_pictures
from wamjax.data.files.video import Video


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
FETCHED = 512  # encoded frames that are in memory at most, if not those of one episode
SLOW = 2e-4  # seconds: what takes longer to fetch is fetched side by side


class Shown(NamedTuple):
    """What one camera shows in some rows of an episode, as it is encoded.

    Attributes:
        episode: its number.
        camera: its name.
        pictures: of the whole episode.
        rows: int64 [T]; those that are repeated stand side by side.
        times: T steps as they were recorded.
        images: of these; None for a video.
        out: uint8 [T, size, size, 3], where the frames go.
    """

    episode: int
    camera: str
    pictures: Pictures
    rows: np.ndarray
    times: list[int]
    images: list[bytes] | None
    out: np.ndarray


# What is asked for: an episode's number, rows [T] of it, and where they go, uint8 [V, T, ...].
Job = tuple[int, np.ndarray, np.ndarray]
Piece = TypeVar("Piece")
Done = TypeVar("Done")


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
        self.slow = False  # whether fetching takes long
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
        spans = [(n, *self.episodes.starts[n : n + 2].tolist()) for n in missing]
        self._read(
            [(n, np.arange(start, stop), self.store[:, start:stop]) for n, start, stop in spans]
        )
        self.loaded[missing] = True
        kept = episode < self.kept_episodes
        for view in range(self.views):
            if kept.all():
                out[:, view] = self.store[view][rows]
            elif kept.any():
                out[kept, view] = self.store[view][rows[kept]]
        self._read([(int(episode[n]), rows[n], out[n]) for n in np.flatnonzero(~kept)])
        return out, self.good[rows]

    def _read(self, jobs: list[Job]) -> None:
        """Fetch, then decode: Python's lock changes hands at every file and every image, and least
        often if each is done in a row."""
        most = max((len(rows) for _, rows, _ in jobs), default=1)
        size = max(1, FETCHED // (self.views * most))
        for start in range(0, len(jobs), size):
            block = jobs[start : start + size]
            began = time.perf_counter()
            fetched = self._side_by_side(self._fetch, block, self.slow)
            self.slow = (time.perf_counter() - began) / len(block) > SLOW
            pieces = [shown for found in fetched for shown in found]
            for row, fault in itertools.chain(*self._side_by_side(self._fill, pieces, True)):
                self.ledger.add(fault)
                self.good[row] = False

    def _side_by_side(
        self, work: Callable[[Piece], Done], pieces: list[Piece], several: bool
    ) -> list[Done]:
        """`work` of each piece, in several threads if asked."""
        done: list[Any] = [None for _ in pieces]
        left = iter(enumerate(pieces))  # asked by all threads, one at a time under Python's lock

        def share() -> None:
            for k, piece in left:
                done[k] = work(piece)

        asked: list[Any] = []
        try:
            for _ in range(min(self.workers, len(pieces)) - 1 if several else 0):
                asked.append(_threads(self.workers).submit(share))
            share()
        finally:
            concurrent.futures.wait(asked)
        for future in asked:
            future.result()
        return done

    def _fetch(self, job: Job) -> list[Shown]:
        """What each camera shows, as it is encoded."""
        number, rows, out = job
        known = self.episodes
        try:
            shown = known.source.pictures(known.places[number], known.cameras)
        except (BadRecord, OSError, ValueError) as error:
            raise UserError(f"The data changed while in use ({error}): start again.") from error
        times = known.recorded[rows].tolist()
        found: list[Shown] = []
        for view, there in enumerate(known.camera_ok[number].tolist()):
            if not there:
                out[view] = 0
                continue
            camera = known.cameras[view]
            pictures = shown[camera]
            images = fetch(pictures, times)
            found.append(Shown(number, camera, pictures, rows, times, images, out[view]))
        return found

    def _fill(self, shown: Shown) -> list[Bad]:
        """Decode into place; what is told is bad."""
        images, times, bad = shown.images, shown.times, []
        frames = shown.pictures.read(times, self.size) if isinstance(shown.pictures, Video) else ()
        for k, place in enumerate(shown.out):
            if k and times[k] == times[k - 1]:
                place[...] = shown.out[k - 1]
            elif images is not None and decode_into(images[k], place):
                continue
            elif frames and (frame := frames[k]) is not None:
                place[...] = frame
            else:
                near, passed = self._nearest(shown, int(shown.rows[k]))
                place[...] = 0 if near is None else near
                bad += passed
        return bad

    def _nearest(self, shown: Shown, row: int) -> tuple[np.ndarray | None, list[Bad]]:
        """The readable frame nearest to an unreadable one, and those that were passed."""
        number, known = shown.episode, self.episodes
        start, place = int(known.starts[number]), known.places[number]
        passed: list[Bad] = []
        for near in _outward(row - start, int(known.lengths[number])):
            step = int(known.recorded[start + near])
            (frame,) = read_pictures(shown.pictures, [step], self.size)
            if frame is not None:
                return frame, passed
            fault = image_fault(known.source, place, shown.camera, step)
            passed.append((start + near, fault))
        return None, passed
