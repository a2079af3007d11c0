"""Windows of one data set of a mixture, as the mixture shows them: for what is held out."""

import numpy as np

from wamjax.core.records import Batch
from wamjax.data.config import DataConfig
from wamjax.data.episodes import Episodes
from wamjax.data.normalising.placed import Placed
from wamjax.data.windows.pipeline import Windows
from wamjax.data.windows.seats import Seat
from wamjax.data.windows.windows import WindowIndex


class SeatedWindows:
    """The windows of one data set by its own numbers; a batch is that of the whole mixture.

    Args:
        windows: of the data set alone.
        seat: its place in the mixture.
    """

    def __init__(self, windows: Windows, seat: Seat):
        self.windows, self.seat = windows, seat
        self.config: DataConfig = windows.config
        self.index: WindowIndex = windows.index
        self.episodes: Episodes = windows.episodes
        self.action_normaliser = Placed(windows.action_normaliser, seat.action)
        self.proprio_normaliser = Placed(windows.proprio_normaliser, seat.proprio)

    def __len__(self) -> int:
        return len(self.windows)

    def batch(self, windows: np.ndarray) -> Batch:
        """The examples `windows`, int64 [B]; -1 gives an example whose masks are all False."""
        return self.seat.widen(self.windows.batch(windows))

    def recorded_actions(self, windows: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """The robot's own of normalised actions [B, K, A], as they would have been recorded."""
        return self.windows.recorded_actions(windows, self.seat.action.narrow(actions))

    def previous_actions(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The action before each window's first: normalised float32 [B, A], bool [B] recorded."""
        actions, recorded = self.windows.previous_actions(windows)
        return self.seat.action.spread(actions), recorded
