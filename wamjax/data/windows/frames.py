"""Frames by row: decoded once and kept while they fit, decoded at each use where they do not.

A frame that cannot be decoded is noted in a ledger, and the nearest readable frame of the same
camera stands in for it, marked as not real.
"""

from collections.abc import Iterator

import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.typing import Bool, Int, UInt8, typed
from wamjax.data.episodes import Episodes, image_fault
from wamjax.data.faults import BadRecord, Ledger
from wamjax.data.files.pictures import Pictures, read_pictures


def _outward(t: int, length: int) -> Iterator[int]:
    """t, then its neighbours from near to far, the earlier first."""
    yield t
    for distance in range(1, length):
        if t - distance >= 0:
            yield t - distance
        if t + distance < length:
            yield t + distance


class FrameStore:
    """uint8 frames [size, size, 3] of every step and camera of `episodes`.

    Args:
        episodes: the scanned data.
        size: side in pixels.
        cache_bytes: memory for decoded frames; the first steps that fit are kept.
        budget: fraction of all images that may be undecodable.
    """

    def __init__(self, episodes: Episodes, size: int, cache_bytes: int, budget: float):
        self.episodes, self.size = episodes, size
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
        for number in np.unique(episode):
            if number < self.kept_episodes and not self.loaded[number]:
                self._load(int(number))
        shape = (len(rows), self.views, rows.shape[1], self.size, self.size, 3)
        out = np.empty(shape, np.uint8)
        kept = episode < self.kept_episodes
        for view in range(self.views):
            if kept.all():
                out[:, view] = self.store[view][rows]
            elif kept.any():
                out[kept, view] = self.store[view][rows[kept]]
        for place in np.flatnonzero(~kept):
            out[place] = self._decode(int(episode[place]), rows[place])
        return out, self.good[rows]

    def _load(self, number: int) -> None:
        start, stop = self.episodes.starts[number], self.episodes.starts[number + 1]
        self.store[:, start:stop] = self._decode(number, np.arange(start, stop))
        self.loaded[number] = True

    def _decode(self, number: int, rows: np.ndarray) -> np.ndarray:
        """uint8 [V, T, size, size, 3] of rows of one episode, repeated rows decoded once."""
        place = self.episodes.places[number]
        try:
            encoded = self.episodes.source.pictures(place, self.episodes.cameras)
        except (BadRecord, OSError, ValueError) as error:
            raise UserError(f"The data changed while in use ({error}): start again.") from error
        start = int(self.episodes.starts[number])
        distinct, back = np.unique(rows - start, return_inverse=True)
        out = np.zeros((self.views, len(distinct), self.size, self.size, 3), np.uint8)
        for view, camera in enumerate(self.episodes.cameras):
            if not self.episodes.camera_ok[number, view]:
                continue
            steps = self.episodes.recorded[start + distinct].tolist()
            read = read_pictures(encoded[camera], steps, self.size)
            for slot, (row, frame) in enumerate(zip(distinct.tolist(), read, strict=True)):
                if frame is None:
                    frame = self._nearest(encoded[camera], number, camera, row)
                if frame is not None:
                    out[view, slot] = frame
        return out[:, back]

    def _nearest(self, pictures: Pictures, number: int, camera: str, row: int) -> np.ndarray | None:
        """The readable frame nearest to an unreadable one; those that are passed are noted."""
        start, place = int(self.episodes.starts[number]), self.episodes.places[number]
        for near in _outward(row, int(self.episodes.lengths[number])):
            step = int(self.episodes.recorded[start + near])
            (frame,) = read_pictures(pictures, [step], self.size)
            if frame is not None:
                return frame
            self.ledger.add(image_fault(self.episodes.source, place, camera, step))
            self.good[start + near] = False
        return None
