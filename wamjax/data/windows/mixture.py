"""Windows of several data sets as one: cameras by role, numbers by meaning.

    window number   those of all data sets, one data set after the other
    order           which data set example i is of: shares.py; which of its windows: order.py
    example         the data set's own, with room for the cameras and numbers of others: seats.py

Statistics stay those of each data set.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from wamjax.core.records import Batch
from wamjax.data.config import DataConfig
from wamjax.data.episodes import Episodes, read_episodes
from wamjax.data.normalising.statistics import MixedStatistics
from wamjax.data.windows.members import members_of
from wamjax.data.windows.order import ENDLESS, Order, shuffled
from wamjax.data.windows.pipeline import Windows
from wamjax.data.windows.seats import seating
from wamjax.data.windows.shares import CYCLE, Share, Turns, shares


def read_members(config: DataConfig) -> dict[str, Episodes]:
    """Scan every data set of the mixture; see `read_episodes`."""
    return {member.name: read_episodes(member.config) for member in members_of(config)}


class MixedOrder:
    """Example number -> window number, over all data sets."""

    def __init__(self, turns: Turns, orders: list[Order], starts: np.ndarray):
        self.turns, self.orders, self.starts = turns, orders, starts

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: Any) -> int:
        member, turn = self.turns(int(index))
        return int(self.starts[member]) + int(self.orders[member][turn])


class Mixture:
    """All windows of one part of a mixture; it has the functions of `Windows`.

    Args:
        config: which mixture and windows.
        statistics: of its data sets.
        episodes: the scanned data by name, if they are at hand.

    Raises:
        UserError: see `members_of` and `Windows`.
    """

    def __init__(
        self,
        config: DataConfig,
        statistics: MixedStatistics,
        episodes: Mapping[str, Episodes] | None = None,
    ):
        self.config, self.members = config, members_of(config)
        self.statistics = statistics
        tables = read_members(config) if episodes is None else episodes
        self.windows = [
            Windows(member.config, statistics.of(member.name), tables[member.name])
            for member in self.members
        ]
        self.starts = np.concatenate([[0], np.cumsum([len(w) for w in self.windows])])
        names = [member.name for member in self.members]
        weights = [member.weight for member in self.members]
        self.shares: tuple[Share, ...] = shares(names, weights, [len(w) for w in self.windows])
        self.seating = seating(config, {member.name: member.card for member in self.members})
        self.action, self.proprio = self.seating.action, self.seating.proprio
        self.embodiments = self.seating.embodiments

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def widths(self) -> tuple[int, int]:
        """Numbers of an action and of a state, padding included."""
        return self.action.width, self.proprio.width

    def order(self) -> Order:
        """The endless stream of windows."""
        turns = Turns([share.count for share in self.shares], self.config.seed)
        orders = [shuffled(len(w), self.config.seed + 1 + k) for k, w in enumerate(self.windows)]
        return MixedOrder(turns, orders, self.starts)

    def batch(self, windows: np.ndarray, places: tuple[int, ...] | None = None) -> Batch:
        """See `Numbered`."""
        owner = np.searchsorted(self.starts, np.maximum(windows, 0), side="right") - 1
        out: dict[str, np.ndarray] = {}
        for number, (seat, own) in enumerate(zip(self.seating.seats, self.windows, strict=True)):
            rows = np.flatnonzero(owner == number)
            if not len(rows):
                continue
            local = np.where(windows[rows] < 0, -1, windows[rows] - self.starts[number])
            found = seat.widen(own.batch(local, places))
            for field in dataclasses.fields(found):
                value = getattr(found, field.name)
                if value is None:
                    continue
                wide = np.asarray(value)
                if field.name not in out:
                    out[field.name] = np.zeros((len(windows), *wide.shape[1:]), wide.dtype)
                out[field.name][rows] = wide
        out["index"] = windows.astype(np.int32)
        return Batch(**out)

    def seen(self) -> dict[str, Any]:
        """See `Numbered`; weights do not matter."""
        return {
            "cameras": list(self.config.cameras),
            "members": {
                member.name: own.seen()
                for member, own in zip(self.members, self.windows, strict=True)
            },
        }

    def fingerprint(self) -> dict[str, Any]:
        """All that decides the windows, their order and their numbers."""
        return {
            "mixture": {
                share.name: [str(share.weight), share.windows, share.count] for share in self.shares
            },
            "cameras": list(self.config.cameras),
            "widths": list(self.widths),
            "seed": self.config.seed,
            "members": {
                member.name: own.fingerprint()
                for member, own in zip(self.members, self.windows, strict=True)
            },
        }

    def told(self) -> list[str]:
        """The shares as lines: data set, windows, weight, exact share, and what was left out."""
        lines = []
        for share, own in zip(self.shares, self.windows, strict=True):
            idle = f", {own.left_out} idle windows left out" if own.left_out else ""
            lines.append(
                f"{share.name}: {share.windows} windows x {float(share.weight):g}, "
                f"{share.count} of {CYCLE} examples ({100 * float(share.exact):.3f} %){idle}"
            )
        return lines
