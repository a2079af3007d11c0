"""Statistics of actions and states, and whose they are; how they are computed: `moments`."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from wamjax.core.config import difference, fingerprint
from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_json
from wamjax.data.cards.card import Card
from wamjax.data.cards.reading import relative_by
from wamjax.data.cards.relative import Relative
from wamjax.data.config import DataConfig
from wamjax.data.episodes import Episodes, read_episodes
from wamjax.data.files.paths import Location, Named, location
from wamjax.data.normalising.moments import BINS as BINS
from wamjax.data.normalising.moments import Moments as Moments
from wamjax.data.normalising.moments import summarise as summarise
from wamjax.data.normalising.rows import action_blocks
from wamjax.data.split import members

CONSTANT = 1e-6  # a range below this (m, rad or 1) is no motion
FORMAT = 1
LATER = ("relative", "recorded")


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What normalisation needs, and whose it is.

    Attributes:
        action, proprio: over the rows of the training episodes that were recorded; of actions that
            are told relative to states see `rows`.
        episodes, steps: how many were looked at.
        fingerprint: the files and the selection that these numbers belong to.
        layouts: "action" and "proprio" -> what each number means, in words, where a card tells.
        grippers: numbers of an action that are 0 ... 1 whatever the statistics, where a card tells.
        relative: how the actions are told relative to states; None where they are not.
        recorded: of the actions as they were recorded, where `action` is of relative ones.
    """

    action: Moments
    proprio: Moments
    episodes: int
    steps: int
    fingerprint: dict[str, Any]
    layouts: dict[str, tuple[str, ...]] | None = None
    grippers: tuple[int, ...] | None = None
    relative: Relative | None = None
    recorded: Moments | None = None

    def to_json(self) -> dict[str, Any]:
        value = {"format": FORMAT, **dataclasses.asdict(self)}
        # Named only where they are set, so that those from before are the same.
        return {name: v for name, v in value.items() if name not in LATER or v is not None}

    @property
    def executed(self) -> Moments:
        """Of the actions as a robot is told them."""
        return self.action if self.recorded is None else self.recorded

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
                **_relative(value),
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


def _relative(value: dict[str, Any]) -> dict[str, Any]:
    if "relative" not in value:
        return {}
    return {
        "relative": Relative.from_json(value["relative"]),
        "recorded": _moments(value["recorded"]),
    }


def _moments(value: dict[str, Any]) -> Moments:
    tuples = {name: tuple(value[name]) for name in ("mean", "std", "min", "max", "q01", "q99")}
    return Moments(count=value["count"], **tuples)


def data_fingerprint(episodes: Episodes, config: DataConfig) -> dict[str, Any]:
    """The files, and which of their numbers were looked at."""
    chosen = selection(config, episodes.card_table, episodes.faults.count)
    return {"data": episodes.source.fingerprint(), "selection": chosen}


def selection(config: DataConfig, table: dict[str, Any] | None, skipped: int) -> dict[str, Any]:
    """Which numbers were looked at: by the table of a card, or by keys."""
    chosen: dict[str, Any] = {"action_key": config.action_key, "proprio_key": config.proprio_key}
    if table is not None:
        chosen = {"card": table, "every": config.every}
    if config.only_solved:
        chosen["only_solved"] = True
    if config.relative:
        chosen["relative"] = config.chunk
    if config.action_share < 1.0:
        chosen["action_share"] = config.action_share
    return {**chosen, "holdout": config.holdout, "skipped": skipped}


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

    relative = relative_by(config, table.card)

    def actions(told: Relative | None) -> Moments:
        def blocks() -> Iterator[np.ndarray]:
            for rows in (slice(*table.starts[e : e + 2]) for e in chosen):
                ours = table.actions[rows], table.action_ok[rows], table.proprio[rows]
                yield from action_blocks(*ours, told, config.chunk)

        return summarise(blocks, table.actions.shape[1])

    def states() -> Iterator[np.ndarray]:
        for episode in chosen:
            yield table.proprio[slice(*table.starts[episode : episode + 2])]

    return Statistics(
        action=actions(relative),
        proprio=summarise(states, table.proprio.shape[1]),
        episodes=len(chosen),
        steps=int(table.lengths[chosen].sum()),
        fingerprint=data_fingerprint(table, config),
        relative=relative,
        recorded=None if relative is None else actions(None),
        **told_by(table.card, relative),
    )


def told_by(card: Card | None, relative: Relative | None) -> dict[str, Any]:
    """What a card tells of the numbers, as they are trained on."""
    if card is None:
        return {}
    action = card.action.layout if relative is None else relative.layout(card.action.layout)
    layouts = {"action": action, "proprio": card.state.layout}
    return {
        "layouts": {what: tuple(map(str, layout)) for what, layout in layouts.items()},
        "grippers": tuple(n for n, dim in enumerate(card.action.layout) if dim.fraction),
    }


def default_path(config: DataConfig, value: dict[str, Any]) -> Location:
    """Beside the data, named by the fingerprint."""
    return location(config.dir) / f"wamjax_statistics_{fingerprint(value)}.json"


def save_statistics(path: str | os.PathLike, statistics: Statistics) -> pathlib.Path:
    """Write JSON, whole or not at all."""
    return write_json(path, statistics.to_json())


def load_statistics(path: Named, expected: dict[str, Any] | None = None) -> Statistics:
    """Read JSON and refuse the statistics of other data.

    Args:
        path: the file.
        expected: `data_fingerprint` of the data at hand; None skips the comparison.

    Raises:
        UserError: missing, not statistics, or of other data (the sentence names what differs).
    """
    statistics = Statistics.from_json(_json(path))
    if expected is not None:
        check_statistics(statistics, expected, str(path))
    return statistics


def _json(path: Named) -> Any:
    place = location(path)
    if isinstance(place, pathlib.Path):
        return read_json(place)
    try:
        return json.loads(place.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{place} cannot be read as statistics ({error}): restore it.") from error


def check_statistics(statistics: Statistics, expected: dict[str, Any], where: str) -> None:
    """Refuse statistics whose fingerprint is not `expected`.

    Raises:
        UserError: they belong to other data.
    """
    rows = difference(statistics.fingerprint, expected)
    for path, theirs, ours in rows:
        if path == "selection.relative":
            raise UserError(
                f"The statistics in {where} are of {_manner(theirs)}, and asked for are "
                f"{_manner(ours)} (data.relative, data.chunk): compute them anew."
            )
    if rows:
        path, theirs, ours = rows[0]
        raise UserError(
            f"The statistics in {where} belong to other data ({path}: {theirs} there, {ours} "
            f"here, {len(rows)} differences): compute them anew with `wamjax data stats`."
        )


def _manner(relative: Any) -> str:
    """The entry of a fingerprint in words."""
    if relative == "absent":
        return "actions as they were recorded"
    return f"actions relative to the state before each chunk of {relative}"


def _writable(directory: Location) -> bool:
    """Whether the directory is meant to be written to; the superuser may, but should not."""
    if not isinstance(directory, pathlib.Path):
        return False
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
        directory: where to store; by default beside the data, and nowhere if these are read-only or
            remote.
    """
    table = read_episodes(config) if episodes is None else episodes
    expected = data_fingerprint(table, config)
    path = default_path(config, expected)
    if directory is not None:
        path = pathlib.Path(directory) / path.name
    if path.is_file():
        return load_statistics(path, expected)
    statistics = compute_statistics(config, table)
    beside = directory is None
    if isinstance(path, pathlib.Path) and (not beside or _writable(path.parent)):
        save_statistics(path, statistics)
    return statistics
