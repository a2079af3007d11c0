"""Statistics of whole data sets, episode by episode: two passes, no image decoded, flat memory.

The numbers are those that training would see: after a card's transforms where there is one. Of a
store no image is even read.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from wamjax.core.errors import UserError
from wamjax.data.cards.prepared import Prepared
from wamjax.data.cards.reading import by_card, by_keys
from wamjax.data.config import DataConfig
from wamjax.data.faults import Ledger
from wamjax.data.files.store_format import cameras_of
from wamjax.data.normalising.moments import Histogram, Spread
from wamjax.data.normalising.rows import action_blocks
from wamjax.data.normalising.statistics import Statistics, selection, told_by
from wamjax.data.sources.kinds import open_source
from wamjax.data.sources.source import Skipped


class _Stream:
    """One data set, to be gone through more than once."""

    def __init__(self, config: DataConfig):
        self.config = config
        self.source = open_source(config.dir, config.split)
        if config.card:
            self.reading = by_card(config, self.source)
        else:
            # No image is looked at, so any camera will do.
            cameras = cameras_of(self.source.features)[:1]
            if not cameras:
                raise UserError(f"{config.dir} has no camera: it is no robot data that we know.")
            self.reading = by_keys(dataclasses.replace(config, cameras=cameras), self.source)
        self.skipped = 0

    def __iter__(self) -> Iterator[Prepared]:
        what = f"episodes of {self.source.directory}"
        ledger = Ledger(what, len(self.source), self.config.bad_budget, "--bad-budget")
        for item in self.source.scan():
            if isinstance(item, Skipped):
                ledger.add(item.fault, item.episodes)
                continue
            try:
                yield self.reading.prepare(item)
            except ValueError as error:
                ledger.add(self.source.fault(item.place, str(error)))
        self.skipped = ledger.count

    def told(self) -> dict[str, Any]:
        """Whose the numbers are."""
        chosen = selection(self.config, self.reading.table, self.skipped)
        return {"data": self.source.fingerprint(), "selection": chosen}

    def rows(self, made: Prepared) -> dict[str, Iterator[np.ndarray]]:
        """Blocks of rows of one episode by what the statistics are of."""
        relative, chunk = self.reading.relative, self.config.chunk
        ours = made.actions, made.action_ok, made.proprio
        blocks = {"action": action_blocks(*ours, relative, chunk), "proprio": iter([made.proprio])}
        if relative is not None:
            blocks["recorded"] = action_blocks(*ours, None, chunk)
        return blocks


def stream_statistics(configs: Sequence[DataConfig]) -> Statistics:
    """Statistics of all episodes of several data sets together; none is held out.

    Args:
        configs: which data; numbers of the same widths. A card needs one of its cameras named.

    Raises:
        UserError: the data cannot be read, have more bad episodes than the budget, have none, or do
            not fit together.
    """
    streams = [_Stream(dataclasses.replace(config, holdout=0.0)) for config in configs]
    episodes, steps = 0, 0
    spreads: dict[str, Spread] = {}
    for stream in streams:
        for made in stream:
            widths = made.actions.shape[1], made.proprio.shape[1]
            blocks = stream.rows(made)
            if not spreads:
                wide = {"action": widths[0], "proprio": widths[1], "recorded": widths[0]}
                spreads = {name: Spread(wide[name]) for name in blocks}
            known = len(spreads["action"].mean), len(spreads["proprio"].mean)
            if widths != known:
                raise UserError(
                    f"{stream.source.directory} has {widths[0]} numbers an action and {widths[1]} "
                    f"a state, the data before have {known[0]} and {known[1]}: ask for them apart."
                )
            for name, parts in blocks.items():
                for part in parts:
                    spreads[name].add(part)
            episodes, steps = episodes + 1, steps + len(made.kept)
    if not spreads:
        told = ", ".join(str(stream.source.directory) for stream in streams)
        raise UserError(f"{told}: there is no episode that can be read; choose another split.")
    bins = {name: Histogram(spread) for name, spread in spreads.items()}
    for stream in streams:
        for made in stream:
            for name, parts in stream.rows(made).items():
                for part in parts:
                    bins[name].add(part)
    own = [stream.told() for stream in streams]
    reading = streams[0].reading
    return Statistics(
        **{name: found.moments() for name, found in bins.items()},
        episodes=episodes,
        steps=steps,
        fingerprint=own[0] if len(own) == 1 else {"members": own},
        relative=reading.relative,
        **told_by(reading.card, reading.relative),
    )
