"""Statistics of whole data sets, episode by episode: two passes, no image decoded, flat memory.

    first pass     shards -> a block an episode       merged in the order of the data
    second pass    shards -> bins between min and max    added up

The numbers are those that training would see: after a card's transforms where there is one. Of a
store no image is even read. Any number of processes may share the shards: what is merged, and in
which order, does not depend on it, so neither does a bit of the result.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.pool import Tick, Workers
from wamjax.core.progress import Progress
from wamjax.data.cards.prepared import Prepared
from wamjax.data.cards.reading import reading_of
from wamjax.data.config import DataConfig
from wamjax.data.faults import Ledger
from wamjax.data.files.store_format import cameras_of
from wamjax.data.normalising.moments import Block, Histogram, Spread
from wamjax.data.normalising.rows import action_blocks
from wamjax.data.normalising.statistics import Statistics, selection, told_by
from wamjax.data.sources.kinds import open_source
from wamjax.data.sources.source import Skipped

# Episodes of a part in the first pass, where shards are not larger: what it tells grows with them.
LARGEST = 1024
# Parts a process, so that none waits long for the others at the end.
EACH = 4
# By what the statistics are of: "action", "proprio", and "recorded" beside relative actions.
Spreads = dict[str, Spread]


class _Stream:
    """One data set, to be gone through more than once."""

    def __init__(self, config: DataConfig):
        self.config = config
        self.source = open_source(config.dir, config.split)
        if not config.card:
            # No image is looked at, so any camera will do.
            cameras = cameras_of(self.source.features)[:1]
            if not cameras:
                raise UserError(f"{config.dir} has no camera: it is no robot data that we know.")
            config = dataclasses.replace(config, cameras=cameras)
        self.reading = reading_of(config, self.source)
        what = f"episodes of {self.source.directory}"
        self.ledger = Ledger(what, len(self.source), config.bad_budget, "--bad-budget")

    def prepared(self, shards: range, tick: Tick) -> Iterator[Prepared | Skipped]:
        """The episodes of some shards in order, or what is wrong with them."""
        for item in self.source.scan(shards):
            if isinstance(item, Skipped):
                yield item
            else:
                try:
                    yield self.reading.prepare(item)
                except ValueError as error:
                    yield Skipped(self.source.fault(item.place, str(error)), 1)
            tick()

    def told(self) -> dict[str, Any]:
        """Whose the numbers are."""
        chosen = selection(self.config, self.reading.table, self.ledger.count)
        return {"data": self.source.fingerprint(), "selection": chosen}

    def rows(self, made: Prepared) -> dict[str, Iterator[np.ndarray]]:
        """Blocks of rows of one episode by what the statistics are of."""
        relative, chunk = self.reading.relative, self.config.chunk
        ours = made.actions, made.action_ok, made.proprio
        blocks = {"action": action_blocks(*ours, relative, chunk), "proprio": iter([made.proprio])}
        if relative is not None:
            blocks["recorded"] = action_blocks(*ours, None, chunk)
        return blocks


@functools.cache
def _opened(config: DataConfig) -> _Stream:
    """Opened once by each process that works on it."""
    return _Stream(config)


@dataclasses.dataclass(frozen=True)
class _Part:
    """Some shards of a data set."""

    config: DataConfig
    shards: range


@dataclasses.dataclass(frozen=True, eq=False)
class _Seen:
    """An episode in the first pass; None where it has no row.

    Attributes:
        steps: T.
        widths: numbers an action, numbers a state.
        blocks: of the rows by what the statistics are of, see `_Stream.rows`.
    """

    steps: int
    widths: tuple[int, int]
    blocks: dict[str, list[Block]]


@dataclasses.dataclass(frozen=True, eq=False)
class _Counting:
    """A part in the second pass, and the bins to count in."""

    part: _Part
    spreads: Spreads


def survey(part: _Part, tick: Tick) -> list[_Seen | Skipped]:
    """The first pass over some shards."""
    out: list[_Seen | Skipped] = []
    stream = _opened(part.config)
    for made in stream.prepared(part.shards, tick):
        if isinstance(made, Skipped):
            out.append(made)
            continue
        blocks = {
            name: [Block.of(rows) for rows in parts if len(rows)]
            for name, parts in stream.rows(made).items()
        }
        out.append(_Seen(len(made.kept), (made.actions.shape[1], made.proprio.shape[1]), blocks))
    return out


def count(counting: _Counting, tick: Tick) -> dict[str, np.ndarray]:
    """The second pass over some shards: the bins by what the statistics are of."""
    bins = {name: Histogram(spread) for name, spread in counting.spreads.items()}
    stream = _opened(counting.part.config)
    for made in stream.prepared(counting.part.shards, tick):
        # What is wrong was told in the first pass.
        if not isinstance(made, Skipped):
            for name, parts in stream.rows(made).items():
                for rows in parts:
                    bins[name].add(rows)
    return {name: own.bins for name, own in bins.items()}


def _parts(stream: _Stream, most: float) -> list[_Part]:
    """Shards in a row that have about `most` episodes together."""
    out, first, episodes = [], 0, 0
    shards = stream.source.description.shards
    for number, shard in enumerate(shards):
        episodes += shard.episodes
        if episodes >= most or number + 1 == len(shards):
            out.append(_Part(stream.config, range(first, number + 1)))
            first, episodes = number + 1, 0
    return out


def stream_statistics(configs: Sequence[DataConfig], workers: int = 1) -> Statistics:
    """Statistics of all episodes of several data sets together; none is held out.

    Args:
        configs: which data; numbers of the same widths. A card needs one of its cameras named.
        workers: processes, which share the shards.

    Raises:
        UserError: the data cannot be read, have more bad episodes than the budget, have none, or do
            not fit together.
    """
    if workers < 1:
        raise UserError(f"--workers must be at least 1, got {workers}.")
    _opened.cache_clear()
    streams = [_opened(dataclasses.replace(config, holdout=0.0)) for config in configs]
    total = sum(len(stream.source) for stream in streams)
    share = total / (EACH * workers)
    with Workers(workers) as pool, Progress("stats", 2 * total, "episodes") as progress:
        first = [part for stream in streams for part in _parts(stream, min(share, LARGEST))]
        survey_of = pool.in_order(survey, first, progress.advance)
        spreads, episodes, steps = _merged(streams, survey_of)
        second = [_Counting(part, spreads) for stream in streams for part in _parts(stream, share)]
        bins = {name: Histogram(spread) for name, spread in spreads.items()}
        for _, found in pool.spread(count, second, progress.advance):
            for name, counted in found.items():
                bins[name].bins += counted
    for own in bins.values():
        if (own.bins.sum(axis=1) != own.spread.count).any():
            raise UserError("The data changed while they were read: start again.")
    told = [stream.told() for stream in streams]
    reading = streams[0].reading
    return Statistics(
        **{name: found.moments() for name, found in bins.items()},
        episodes=episodes,
        steps=steps,
        fingerprint=told[0] if len(told) == 1 else {"members": told},
        relative=reading.relative,
        **told_by(reading.card, reading.relative),
    )


def _merged(
    streams: list[_Stream], found: Iterator[tuple[_Part, list[_Seen | Skipped]]]
) -> tuple[Spreads, int, int]:
    """Spreads, episodes and steps; bad episodes go to their ledger."""
    episodes, steps = 0, 0
    spreads: Spreads = {}
    for part, items in found:
        stream = _opened(part.config)
        for item in items:
            if isinstance(item, Skipped):
                stream.ledger.add(item.fault, item.episodes)
                continue
            if not spreads:
                action, proprio = item.widths
                wide = {"action": action, "proprio": proprio, "recorded": action}
                spreads = {name: Spread(wide[name]) for name in item.blocks}
            known = len(spreads["action"].mean), len(spreads["proprio"].mean)
            if item.widths != known:
                raise UserError(
                    f"{stream.source.directory} has {item.widths[0]} numbers an action and "
                    f"{item.widths[1]} a state, the data before have {known[0]} and {known[1]}: "
                    "ask for them apart."
                )
            for name, blocks in item.blocks.items():
                for block in blocks:
                    spreads[name].merge(block)
            episodes, steps = episodes + 1, steps + item.steps
    if not spreads:
        told = ", ".join(str(stream.source.directory) for stream in streams)
        raise UserError(f"{told}: there is no episode that can be read; choose another split.")
    return spreads, episodes, steps
