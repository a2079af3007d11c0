"""One shard of a store: a function of (source, numbers of episodes) alone that writes one folder.

    records.array_record   one record a step
    FEATURE.npy            of these steps: numbers, or numbers of the shard's own words
    words.*, sizes.npy, episodes.npy, metadata.jsonl     as in a store, counted from 0
    shard.json             counts, and what was bad

The folder is there whole or not at all, and its bytes do not depend on who makes it, so that any
number of processes or machines may share the shards.
"""

import dataclasses
import os
import pathlib
import shutil
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter

from wamjax.core.files import read_json, write_json
from wamjax.data.cards.card import Card
from wamjax.data.cards.prepared import prepare
from wamjax.data.episodes import image_fault
from wamjax.data.faults import BadRecord, Fault
from wamjax.data.files import store_format as form
from wamjax.data.files.schema import Feature
from wamjax.data.files.stored import pack
from wamjax.data.sources.source import RawEpisode, Source
from wamjax.data.writing.recoding import Form, recoded

DONE = "shard.json"
# Reads are picked steps; compression does nothing for encoded images.
OPTIONS = "group_size:1,uncompressed"


@dataclasses.dataclass(frozen=True)
class Shard:
    """What shard.json tells.

    Attributes:
        numbers: of the first and the last episode that were to be written.
        episodes, steps: that were written.
        faults: (fault, number of the episode) of those that were not.
        images: bad ones of the episodes that were.
    """

    numbers: tuple[int, int]
    episodes: int
    steps: int
    faults: tuple[tuple[Fault, int], ...]
    images: tuple[Fault, ...]

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Shard":
        faults = tuple((Fault(**fault), number) for fault, number in value["faults"])
        images = tuple(Fault(**fault) for fault in value["images"])
        first, last = value["numbers"]
        return cls((first, last), value["episodes"], value["steps"], faults, images)


def read_shard(folder: pathlib.Path) -> Shard | None:
    """What a finished folder tells; None where there is none."""
    return Shard.from_json(read_json(folder / DONE)) if (folder / DONE).is_file() else None


class _Tables:
    """What is kept of a shard's steps until its end."""

    def __init__(self, features: dict[str, Feature]):
        self.features = features
        self.kinds = form.columns_of(features)
        self.columns: dict[str, list[np.ndarray]] = {name: [] for name in self.kinds}
        self.numbers: dict[bytes, int] = {}
        self.words: list[bytes] = []
        self.sizes: list[np.ndarray] = []
        self.lines: list[bytes] = []
        self.rows: list[tuple[int, str, tuple[int, ...]]] = []

    def add(
        self, episode: RawEpisode, values: dict[str, np.ndarray], sizes: np.ndarray, records: int
    ) -> None:
        """Note an episode, `records` being the checksum of its records."""
        found = {}
        for name, value in values.items():
            if self.kinds[name].kind == "number":
                found[name] = form.check_numbers(value)
            else:
                found[name] = form.check_texts(value, self.words)
            self.columns[name].append(value)
        line = form.metadata_line(episode.metadata)
        found |= {form.METADATA: zlib.crc32(line), form.SIZES: form.check_numbers(sizes)}
        found[form.RECORDS] = records
        self.sizes.append(sizes)
        self.lines.append(line)
        checks = tuple(found[name] for name in form.checked(self.features))
        self.rows.append((episode.length, episode.content(), checks))

    def values(self, episode: RawEpisode) -> dict[str, np.ndarray]:
        """The columns of an episode; texts as numbers of words.

        Raises:
            ValueError: they are not as the schema says.
        """
        out = {}
        for name, feature in self.kinds.items():
            if name not in episode.steps:
                raise ValueError(f"steps/{name} is missing")
            value = episode.steps[name]
            if feature.kind == "number":
                shape = (episode.length, *feature.shape)
                fits = isinstance(value, np.ndarray) and value.shape == shape
                if not fits or value.dtype != np.dtype(feature.dtype):
                    raise ValueError(f"steps/{name} is not {feature.dtype} {list(shape)}")
                out[name] = value
            elif not isinstance(value, list) or len(value) != episode.length:
                raise ValueError(f"steps/{name} is not a text a step")
        # Only an episode that can be used brings words.
        for name, feature in self.kinds.items():
            if feature.kind != "number":
                out[name] = np.array([self._number(bytes(w)) for w in episode.steps[name]], "<u4")
        return out

    def _number(self, word: bytes) -> int:
        if word not in self.numbers:
            self.numbers[word] = len(self.words)
            self.words.append(word)
        return self.numbers[word]

    def save(self, folder: pathlib.Path) -> None:
        for name, feature in self.kinds.items():
            kind, shape = np.dtype("<u4"), ()
            if feature.kind == "number":
                kind, shape = np.dtype(feature.dtype), feature.shape
            empty = np.zeros((0, *(axis for axis in shape if axis is not None)), kind)
            path = folder / form.column_file(feature.kind, name)
            path.parent.mkdir(exist_ok=True)
            np.save(path, np.concatenate([empty, *self.columns[name]]))
        cameras = form.cameras_of(self.features)
        empty = np.zeros((0, len(cameras)), "<u4")
        np.save(folder / form.SIZES, np.concatenate([empty, *self.sizes]))
        (folder / form.WORDS).write_bytes(b"".join(self.words))
        np.save(folder / form.BEGINS, _begins([len(word) for word in self.words]))
        (folder / form.METADATA).write_bytes(b"".join(self.lines))
        rows = np.zeros(len(self.rows), form.row_type(self.features))
        lengths = [length for length, _, _ in self.rows]
        rows["first"], rows["length"] = _begins(lengths)[:-1], lengths
        rows["metadata"] = _begins([len(line) for line in self.lines])[:-1]
        rows["content"] = [content.encode() for _, content, _ in self.rows]
        if len(rows):
            rows["checks"] = [checks for _, _, checks in self.rows]
        np.save(folder / form.EPISODES, rows)


def _begins(lengths: Sequence[int]) -> np.ndarray:
    """int64 [n + 1]."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def write_shard(
    source: Source,
    numbers: Sequence[int],
    features: dict[str, Feature],
    card: Card | None,
    images: Form,
    folder: pathlib.Path,
    tick: Callable[[], None] = lambda: None,
) -> Shard:
    """Write the episodes `numbers` of `source`; bad ones are left out and told.

    Args:
        source: see `Source`.
        numbers: of episodes, in order.
        features: those that are kept; the image features of the steps are the cameras.
        card: what its transforms refuse is bad; they are not applied.
        images: how images are kept.
        folder: is made, in the place of what is there.
        tick: called after each episode.
    """
    work = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    tables = _Tables(features)
    cameras = form.cameras_of(features)
    faults: list[tuple[Fault, int]] = []
    bad: list[Fault] = []
    writer = ArrayRecordWriter(str(work / form.RECORDS), OPTIONS)
    try:
        for number in numbers:
            try:
                episode = source.episode(number)
                if card is not None:
                    prepare(card, episode)
                values = tables.values(episode)
            except BadRecord as error:
                faults.append((error.fault, number))
            except ValueError as error:
                faults.append((source.fault(source.place(number), str(error)), number))
            else:
                sizes, check = _write_images(writer, source, episode, cameras, images, bad)
                tables.add(episode, values, sizes, check)
            tick()
    finally:
        writer.close()
    tables.save(work)
    steps = sum(length for length, _, _ in tables.rows)
    done = Shard((numbers[0], numbers[-1]), len(tables.rows), steps, tuple(faults), tuple(bad))
    write_json(work / DONE, done.to_json())
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(work, folder)
    return done


def _write_images(
    writer: Any,
    source: Source,
    episode: RawEpisode,
    cameras: tuple[str, ...],
    images: Form,
    bad: list[Fault],
) -> tuple[np.ndarray, int]:
    """Write an episode's records; (uint32 [T, V] lengths of its images, CRC-32 of the records)."""
    shown = []
    for camera in cameras:
        encoded, steps = recoded(episode.shown(camera), images)
        bad += [image_fault(source, episode.place, camera, t) for t in steps]
        shown.append(encoded)
    check = 0
    for t in range(episode.length):
        record = pack([encoded[t] for encoded in shown])
        check = zlib.crc32(record, check)
        writer.write(record)
    sizes = [[len(encoded[t]) for encoded in shown] for t in range(episode.length)]
    return np.array(sizes, "<u4").reshape(episode.length, len(cameras)), check
