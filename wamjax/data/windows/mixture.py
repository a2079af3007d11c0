"""Windows of several data sets as one: cameras by role, numbers by meaning.

    window number   those of all data sets, one data set after the other
    order           which data set example i is of: shares.py; which of its windows: order.py
    cameras         a data set that lacks one has camera_mask False there
    actions         in the common layout; action_mask is False where a robot has no such number
    embodiment      data sets with the same name in their cards share a robot

Statistics stay those of each data set.
"""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

import grain
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.records import Batch
from wamjax.data.cards.layout import Layout, union
from wamjax.data.config import DataConfig
from wamjax.data.episodes import Episodes, read_episodes
from wamjax.data.normalising.statistics import MixedStatistics
from wamjax.data.windows.members import Member, members_of
from wamjax.data.windows.order import ENDLESS, shuffled
from wamjax.data.windows.pipeline import Windows
from wamjax.data.windows.shares import CYCLE, Share, Turns, shares

# Fields of a batch that stand in the layout of actions or of states.
ACTIONS = ("actions", "action_mask", "past_actions", "past_action_mask")
STATES = ("proprio", "proprio_mask", "next_proprio", "next_proprio_mask")


def read_members(config: DataConfig) -> dict[str, Episodes]:
    """Scan every data set of the mixture; see `read_episodes`."""
    return {member.name: read_episodes(member.config) for member in members_of(config)}


class MixedOrder:
    """A grain source: example number -> window number, over all data sets."""

    def __init__(self, turns: Turns, orders: list[Any], starts: np.ndarray):
        self.turns, self.orders, self.starts = turns, orders, starts

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: Any) -> int:
        member, turn = self.turns(int(index))
        return int(self.starts[member]) + int(self.orders[member][turn])


@dataclasses.dataclass(frozen=True)
class Common:
    """A common layout of some width, and where each data set's numbers stand in it."""

    layout: Layout
    places: tuple[np.ndarray, ...]
    width: int


def common(layouts: list[Layout], width: int | None, what: str) -> Common:
    """The common layout, padded to `width`.

    Raises:
        UserError: it is wider than that.
    """
    layout, places = union(layouts)
    total = len(layout) if width is None else width
    if total < len(layout):
        raise UserError(
            f"the mixture's {what} has {len(layout)} numbers, which data.{what}_width = {total} "
            f"cannot hold: raise it."
        )
    return Common(layout, places, total)


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
        cards: list[Any] = [member.card for member in self.members]
        self.action = common([c.action.layout for c in cards], config.action_width, "action")
        self.proprio = common([c.state.layout for c in cards], config.proprio_width, "proprio")
        self.embodiments = tuple(dict.fromkeys(card.embodiment for card in cards))

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def widths(self) -> tuple[int, int]:
        """Numbers of an action and of a state, padding included."""
        return self.action.width, self.proprio.width

    def order(self) -> grain.MapDataset[int]:
        """The endless stream of windows."""
        turns = Turns([share.count for share in self.shares], self.config.seed)
        orders = [shuffled(len(w), self.config.seed + 1 + k) for k, w in enumerate(self.windows)]
        return grain.MapDataset.source(typing.cast(Any, MixedOrder(turns, orders, self.starts)))

    def batch(self, windows: np.ndarray) -> Batch:
        """The examples `windows`, int64 [B]; -1 gives an example whose masks are all False."""
        owner = np.searchsorted(self.starts, np.maximum(windows, 0), side="right") - 1
        out: dict[str, np.ndarray] = {}
        for number, (member, own) in enumerate(zip(self.members, self.windows, strict=True)):
            rows = np.flatnonzero(owner == number)
            if not len(rows):
                continue
            local = np.where(windows[rows] < 0, -1, windows[rows] - self.starts[number])
            found = own.batch(local)
            for field in dataclasses.fields(found):
                value = getattr(found, field.name)
                if value is None:
                    continue
                wide = self._wide(field.name, np.asarray(value), number, member)
                if field.name not in out:
                    out[field.name] = np.zeros((len(windows), *wide.shape[1:]), wide.dtype)
                out[field.name][rows] = wide
        robots = [self.embodiments.index(member.card.embodiment) for member in self.members]
        out["embodiment"] = np.asarray(robots, np.int32)[owner]
        out["index"] = windows.astype(np.int32)
        return Batch(**out)

    def _wide(self, field: str, value: np.ndarray, number: int, member: Member) -> np.ndarray:
        """A field of one data set's batch, with room for the others' cameras and numbers."""
        if field in ("frames", "camera_mask"):
            room = np.zeros((len(value), len(self.config.cameras), *value.shape[2:]), value.dtype)
            room[:, list(member.views)] = value
            return room
        if field in ACTIONS + STATES:
            both = self.action if field in ACTIONS else self.proprio
            room = np.zeros((*value.shape[:-1], both.width), value.dtype)
            room[..., both.places[number]] = value
            return room
        return value

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
        """The shares as lines: data set, windows, weight, exact share."""
        lines = []
        for share in self.shares:
            lines.append(
                f"{share.name}: {share.windows} windows x {float(share.weight):g}, "
                f"{share.count} of {CYCLE} examples ({100 * float(share.exact):.3f} %)"
            )
        return lines
