"""What a store is made from, how, and which episodes stand in which shard.

The plan follows from the source and the settings alone. A shard holds the same number of episodes
as the others, so many that they have about the steps wanted where all episodes are as long as the
few that are looked at; so no pass over the data is needed to know where a shard begins.
"""

import dataclasses
import json
import pathlib
import re
import tomllib
from typing import Any

import numpy as np

from wamjax.core.errors import UserError
from wamjax.data.cards.card import Card, read_card
from wamjax.data.cards.fitting import check_card
from wamjax.data.cards.reading import find_key
from wamjax.data.faults import BadRecord
from wamjax.data.files import store_format as form
from wamjax.data.files.schema import Feature
from wamjax.data.sources.kinds import open_source, split_names
from wamjax.data.sources.source import Source
from wamjax.data.writing.recoding import Form

LOOKED_AT = 16  # episodes


@dataclasses.dataclass(frozen=True)
class Beam:
    """An Apache Beam pipeline that makes the shards; see `wamjax.data.writing.beam`.

    Attributes:
        options: of the pipeline, KEY=VALUE or KEY, as Beam names them ("runner=DataflowRunner").
        exchange: address below which workers hand their shards over; None where all share a disk.
    """

    options: tuple[str, ...] = ()
    exchange: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Making:
    """What to make a store from, and how.

    Attributes:
        directory: of any kind of data set.
        out: where the store goes.
        split: of the data set; None for all of them.
        card: file of its card, to which the data are held and which names the cameras to keep;
            None keeps all.
        images: how images are kept.
        shard_steps: steps a shard, about.
        workers: processes.
        beam: who makes the shards instead of them; they still check.
        bad_budget: fraction of episodes (and of images) that may be bad.
    """

    directory: str
    out: pathlib.Path
    split: str | None = None
    card: str | None = None
    images: Form = Form()
    shard_steps: int = 20_000
    workers: int = 1
    beam: Beam | None = None
    bad_budget: float = 0.0

    def __post_init__(self) -> None:
        if self.images.size is not None and self.images.size < 1:
            raise UserError(f"--size must be at least 1 or recorded, got {self.images.size}.")
        if not 1 <= self.images.quality <= 100:
            raise UserError(f"--quality must be in 1 ... 100, got {self.images.quality}.")
        if self.shard_steps < 1:
            raise UserError(f"--shard-steps must be at least 1, got {self.shard_steps}.")
        if self.workers < 1:
            raise UserError(f"--workers must be at least 1, got {self.workers}.")
        if not 0.0 <= self.bad_budget < 1.0:
            raise UserError(f"--bad-budget must be in [0, 1), got {self.bad_budget:g}.")


@dataclasses.dataclass(frozen=True)
class Part:
    """A shard to be made, as plain values: episodes `first` ... `last` - 1 of a split."""

    directory: str
    split: str
    number: int
    first: int
    last: int

    @property
    def episodes(self) -> int:
        return self.last - self.first


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that is known before the first episode is converted.

    Attributes:
        sources: split -> opened source.
        features: that are stored.
        head: of store.json: plain JSON that decides all of the store's bytes.
        parts: the shards of all splits.
    """

    sources: dict[str, Source]
    features: dict[str, Feature]
    head: dict[str, Any]
    parts: tuple[Part, ...]

    def of(self, split: str) -> list[Part]:
        """The shards of a split."""
        return [part for part in self.parts if part.split == split]


def plan_store(making: Making) -> Plan:
    """Look at the data set.

    Raises:
        UserError: no such data or split, a card of other data, or nothing to keep.
    """
    splits = split_names(making.directory) if making.split is None else (making.split,)
    for split in splits:
        if not re.fullmatch(r"[\w-][\w.-]*", split):
            raise UserError(f"{making.directory} has a split {split!r}, which is no file name.")
    sources = {split: open_source(making.directory, split) for split in splits}
    first = sources[splits[0]]
    card = None if making.card is None else read_card(making.card)
    features = _kept(first, making, card)
    parts = [part for split, source in sources.items() for part in _parts(making, split, source)]
    return Plan(sources, features, _head(making, sources, features), tuple(parts))


def _kept(source: Source, making: Making, card: Card | None) -> dict[str, Feature]:
    """The features that are stored; of the cameras those that a card names."""
    keys = None
    if card is not None:
        check_card(card, str(making.card), source)
        keys = {find_key(source, key, "image", "cameras") for key in card.cameras.roles.values()}
    side = making.images.size
    kept = {}
    for path, feature in source.features.items():
        if feature.kind == "other":
            continue
        if feature.kind == "image" and path.startswith("steps/"):
            if keys is not None and path.removeprefix("steps/") not in keys:
                continue
            shape = feature.shape if side is None else (side, side, 3)
            feature = Feature("image", shape, "uint8")
        kept[path] = feature
    if not form.cameras_of(kept):
        raise UserError(f"{source.directory} has no camera to keep: there is nothing to prepare.")
    return kept


def _head(
    making: Making, sources: dict[str, Source], features: dict[str, Feature]
) -> dict[str, Any]:
    first = next(iter(sources.values()))
    table, size = None, making.images.size
    if making.card is not None:
        table = tomllib.loads(pathlib.Path(making.card).read_text(encoding="utf-8"))
    head = {
        "format": form.FORMAT,
        "name": first.description.name,
        "version": first.description.version,
        "made_from": {split: source.fingerprint() for split, source in sources.items()},
        "card": table,
        "images": {
            "size": "recorded" if size is None else size,
            "format": making.images.format,
            "quality": making.images.quality,
        },
        "shard_steps": making.shard_steps,
        "features": {path: form.feature_to_json(feature) for path, feature in features.items()},
    }
    return json.loads(json.dumps(head))


def _parts(making: Making, split: str, source: Source) -> list[Part]:
    count = len(source)
    chosen = np.unique(np.linspace(0, max(0, count - 1), min(LOOKED_AT, count)).round())
    lengths = []
    for number in chosen.astype(int).tolist():
        try:
            lengths.append(source.episode(number).length)
        except (BadRecord, ValueError):
            continue
    each = max(1, round(making.shard_steps / np.mean(lengths))) if lengths else max(1, count)
    return [
        Part(making.directory, split, number, start, min(start + each, count))
        for number, start in enumerate(range(0, count, each))
    ]
