"""Statistics of actions and proprio, in one pass for moments and one for quantiles.

    mean, M2 <- merge of blocks (Chan, Golub, LeVeque 1979); std = sqrt(M2 / n)
    q        <- histogram of BINS equal bins between min and max

The q-quantile is NumPy's linear one between order statistics, each known to half a bin, so it is
off by at most (max - min) / (2 BINS). Memory does not grow with the data.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from wamjax.core.config import difference, fingerprint
from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_json
from wamjax.data.card import Card
from wamjax.data.config import DataConfig
from wamjax.data.episodes import Episodes, read_episodes
from wamjax.data.split import members

BINS = 2**15
CONSTANT = 1e-6  # a range below this (m, rad or 1) is no motion
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Moments:
    """Of each dimension, in the units of the data; tuples of one float a dimension."""

    count: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    min: tuple[float, ...]
    max: tuple[float, ...]
    q01: tuple[float, ...]
    q99: tuple[float, ...]

    @property
    def width(self) -> int:
        return len(self.mean)


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What normalisation needs, and whose it is.

    Attributes:
        action, proprio: over the rows of the training episodes that were recorded.
        episodes, steps: how many were looked at.
        fingerprint: the files and the selection that these numbers belong to.
        layouts: "action" and "proprio" -> what each number means, in words, where a card tells.
        grippers: numbers of an action that are 0 ... 1 whatever the statistics, where a card tells.
    """

    action: Moments
    proprio: Moments
    episodes: int
    steps: int
    fingerprint: dict[str, Any]
    layouts: dict[str, tuple[str, ...]] | None = None
    grippers: tuple[int, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, value: Any) -> "Statistics":
        """The inverse of `to_json`.

        Raises:
            UserError: not statistics of this format.
        """
        try:
            if value["format"] != FORMAT:
                raise UserError(
                    f"The statistics have format {value['format']}, we read {FORMAT}: compute anew."
                )
            return cls(
                action=_moments(value["action"]),
                proprio=_moments(value["proprio"]),
                episodes=value["episodes"],
                steps=value["steps"],
                fingerprint=value["fingerprint"],
                layouts=_layouts(value),
                grippers=_grippers(value),
            )
        except (KeyError, TypeError) as error:
            raise UserError(
                f"The file holds no statistics ({error!r} is missing): compute them anew."
            ) from error


@dataclasses.dataclass(frozen=True)
class MixedStatistics:
    """Those of each data set of a mixture."""

    members: dict[str, Statistics]

    def of(self, name: str) -> Statistics:
        """Those of one data set.

        Raises:
            UserError: there are none of it.
        """
        if name not in self.members:
            raise UserError(
                f"There are no statistics of {name!r}: choose one of {', '.join(self.members)}."
            )
        return self.members[name]

    def to_json(self) -> dict[str, Any]:
        return {"members": {name: own.to_json() for name, own in self.members.items()}}


def from_json(value: Any) -> Statistics | MixedStatistics:
    """Statistics as they are kept with weights, of one data set or of several.

    Raises:
        UserError: none of this format.
    """
    if isinstance(value, dict) and "members" in value:
        members = {name: Statistics.from_json(own) for name, own in value["members"].items()}
        return MixedStatistics(members)
    return Statistics.from_json(value)


def _layouts(value: dict[str, Any]) -> dict[str, tuple[str, ...]] | None:
    # Statistics of data without a card, and those from before there were cards, have none.
    if "layouts" not in value or value["layouts"] is None:
        return None
    return {what: tuple(names) for what, names in value["layouts"].items()}


def _grippers(value: dict[str, Any]) -> tuple[int, ...] | None:
    if "grippers" not in value or value["grippers"] is None:
        return None
    return tuple(value["grippers"])


def _moments(value: dict[str, Any]) -> Moments:
    tuples = {name: tuple(value[name]) for name in ("mean", "std", "min", "max", "q01", "q99")}
    return Moments(count=value["count"], **tuples)


def summarise(blocks: Callable[[], Iterable[np.ndarray]], width: int) -> Moments:
    """Moments and quantiles of the rows of all blocks.

    Args:
        blocks: called twice; gives float [n, width] blocks, the same ones each time.
        width: number of dimensions.
    """
    count, mean, spread = 0, np.zeros(width), np.zeros(width)
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    for block in blocks():
        if not len(block):
            continue
        rows = np.asarray(block, np.float64)
        here = rows.mean(axis=0)
        total = count + len(rows)
        shift = here - mean
        spread += ((rows - here) ** 2).sum(axis=0) + shift**2 * count * len(rows) / total
        mean = mean + shift * len(rows) / total
        low, high = np.minimum(low, rows.min(axis=0)), np.maximum(high, rows.max(axis=0))
        count = total
    if count == 0:
        zero = (0.0,) * width
        return Moments(0, zero, zero, zero, zero, zero, zero)
    bins = np.zeros((width, BINS), np.int64)
    span = high - low
    for block in blocks():
        rows = np.asarray(block, np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            places = np.where(span > 0, (rows - low) / span, 0.0) * BINS
        places = np.clip(places.astype(np.int64), 0, BINS - 1)
        for dim in range(width):
            bins[dim] += np.bincount(places[:, dim], minlength=BINS)
    quantiles = [_quantile(bins, low, high, count, q) for q in (0.01, 0.99)]
    return Moments(
        count,
        *(tuple(map(float, v)) for v in (mean, np.sqrt(spread / count), low, high)),
        *(tuple(map(float, v)) for v in quantiles),
    )


def _quantile(
    bins: np.ndarray, low: np.ndarray, high: np.ndarray, count: int, q: float
) -> np.ndarray:
    """Linear interpolation between the two order statistics around rank q (count - 1)."""
    rank = q * (count - 1)
    below, above = int(np.floor(rank)), int(np.ceil(rank))
    out = np.zeros(len(bins))
    for dim, histogram in enumerate(bins):
        reached = np.cumsum(histogram)
        width = (high[dim] - low[dim]) / BINS
        pair = [low[dim] + (np.searchsorted(reached, r + 1) + 0.5) * width for r in (below, above)]
        out[dim] = pair[0] + (pair[1] - pair[0]) * (rank - below)
    return np.clip(out, low, high)


def data_fingerprint(episodes: Episodes, config: DataConfig) -> dict[str, Any]:
    """The files, and which of their numbers were looked at."""
    if episodes.card is None:
        selection = {"action_key": config.action_key, "proprio_key": config.proprio_key}
    else:
        selection = {"card": episodes.card_table, "every": config.every}
    shared = {"holdout": config.holdout, "skipped": episodes.faults.count}
    return {"data": episodes.source.fingerprint(), "selection": {**selection, **shared}}


def compute_statistics(config: DataConfig, episodes: Episodes | None = None) -> Statistics:
    """Statistics of the training part; no image but each camera's first is decoded.

    Args:
        config: which data; `part` does not matter, held-out episodes are never looked at.
        episodes: the scanned data, if they are at hand.

    Raises:
        UserError: the data cannot be read, or no episode is left for training.
    """
    table = read_episodes(config) if episodes is None else episodes
    chosen = np.flatnonzero(members(list(table.contents), config.holdout, "train"))
    if not len(chosen):
        raise UserError(
            f"data.holdout = {config.holdout:g} leaves no training episode of "
            f"{table.source.directory}: lower it."
        )

    def blocks(values: np.ndarray, ok: np.ndarray | None) -> Iterator[np.ndarray]:
        for episode in chosen:
            rows = slice(table.starts[episode], table.starts[episode + 1])
            yield values[rows] if ok is None else values[rows][ok[rows]]

    return Statistics(
        action=summarise(lambda: blocks(table.actions, table.action_ok), table.actions.shape[1]),
        proprio=summarise(lambda: blocks(table.proprio, None), table.proprio.shape[1]),
        episodes=len(chosen),
        steps=int(table.lengths[chosen].sum()),
        fingerprint=data_fingerprint(table, config),
        **_told(table.card),
    )


def _told(card: Card | None) -> dict[str, Any]:
    """What a card tells of the numbers."""
    if card is None:
        return {}
    layouts = {"action": card.action.layout, "proprio": card.state.layout}
    return {
        "layouts": {what: tuple(map(str, layout)) for what, layout in layouts.items()},
        "grippers": tuple(n for n, dim in enumerate(card.action.layout) if dim.fraction),
    }


def default_path(config: DataConfig, value: dict[str, Any]) -> pathlib.Path:
    """Beside the data, named by the fingerprint."""
    return pathlib.Path(config.dir) / f"wamjax_statistics_{fingerprint(value)}.json"


def save_statistics(path: str | os.PathLike, statistics: Statistics) -> pathlib.Path:
    """Write JSON, whole or not at all."""
    return write_json(path, statistics.to_json())


def load_statistics(path: str | os.PathLike, expected: dict[str, Any] | None = None) -> Statistics:
    """Read JSON and refuse the statistics of other data.

    Args:
        path: the file.
        expected: `data_fingerprint` of the data at hand; None skips the comparison.

    Raises:
        UserError: missing, not statistics, or of other data (the sentence names what differs).
    """
    statistics = Statistics.from_json(read_json(path))
    if expected is not None:
        check_statistics(statistics, expected, str(path))
    return statistics


def check_statistics(statistics: Statistics, expected: dict[str, Any], where: str) -> None:
    """Refuse statistics whose fingerprint is not `expected`.

    Raises:
        UserError: they belong to other data.
    """
    rows = difference(statistics.fingerprint, expected)
    if rows:
        path, theirs, ours = rows[0]
        raise UserError(
            f"The statistics in {where} belong to other data ({path}: {theirs} there, {ours} "
            f"here, {len(rows)} differences): compute them anew with `wamjax data stats`."
        )


def _writable(directory: pathlib.Path) -> bool:
    """Whether the directory is meant to be written to; the superuser may, but should not."""
    return bool(directory.stat().st_mode & 0o222) and os.access(directory, os.W_OK)


def statistics_for(
    config: DataConfig,
    episodes: Episodes | None = None,
    directory: str | os.PathLike | None = None,
) -> Statistics:
    """Stored statistics if they belong to these data, else computed and stored.

    Args:
        config: which data.
        episodes: the scanned data, if they are at hand.
        directory: where to store; by default beside the data, and nowhere if that is read-only.
    """
    table = read_episodes(config) if episodes is None else episodes
    expected = data_fingerprint(table, config)
    path = default_path(config, expected)
    if directory is not None:
        path = pathlib.Path(directory) / path.name
    if path.is_file():
        return load_statistics(path, expected)
    statistics = compute_statistics(config, table)
    if directory is not None or _writable(path.parent):
        save_statistics(path, statistics)
    return statistics
