"""The numbers of a window's actions, normalised, and back.

    as recorded   y[t + k] = norm(a[t + k])               the same in every window: one table
    relative      y[t + k] = norm(a[t + k] from s[t])     others in each window, see cards.relative

What was not recorded is zero.
"""

import numpy as np

from wamjax.data.cards.relative import Relative
from wamjax.data.episodes import Episodes
from wamjax.data.normalising.normalise import Normaliser


class Chunks:
    """Actions of any rows, as they are told at any other.

    Args:
        episodes: whose actions.
        normaliser: of the actions as they are told.
        relative: how they are told relative to states; None as they were recorded.
    """

    def __init__(self, episodes: Episodes, normaliser: Normaliser, relative: Relative | None):
        self.episodes, self.normaliser, self.relative = episodes, normaliser, relative
        self._table = (
            normalised(normaliser, episodes.actions, episodes.action_ok)
            if relative is None
            else None
        )

    def told(self, rows: np.ndarray, now: np.ndarray) -> np.ndarray:
        """The actions of rows [B, K] as seen from the steps of rows [B], normalised [B, K, A]."""
        if self._table is not None:
            return self._table[rows]
        assert self.relative is not None
        table = self.episodes
        ok = table.action_ok[rows]
        raw = np.zeros((*rows.shape, table.actions.shape[1]), np.float32)
        seen_from = table.proprio[np.broadcast_to(now[:, None], rows.shape)[ok]]
        raw[ok] = self.relative.tell(table.actions[rows[ok]], seen_from)
        flat = raw.reshape(-1, raw.shape[-1])
        return normalised(self.normaliser, flat, ok.reshape(-1)).reshape(*rows.shape, -1)

    def recorded(self, actions: np.ndarray, now: np.ndarray) -> np.ndarray:
        """The inverse of `told`: raw [B, K, A] as they would have been recorded."""
        raw = np.array(self.normaliser.invert(actions), np.float32)
        if self.relative is None:
            return raw
        width = self.episodes.actions.shape[1]
        flat = raw[..., :width].reshape(-1, width)
        back = self.relative.restore(flat, self.episodes.proprio[np.repeat(now, raw.shape[1])])
        raw[..., :width] = back.reshape(*raw.shape[:2], width)
        return raw


def normalised(normaliser: Normaliser, values: np.ndarray, ok: np.ndarray | None) -> np.ndarray:
    """float32 [N, width]; zero in dimensions and rows that were not recorded."""
    width = len(np.asarray(normaliser.mask))
    wide = np.pad(values, ((0, 0), (0, width - values.shape[1])))
    out = np.asarray(normaliser.apply(wide), np.float32)
    return out if ok is None else np.where(ok[:, None], out, np.float32(0))
