"""LeRobot data sets, versions 2.1 and 3.0 (huggingface/lerobot, docs: LeRobotDataset v3.0).

    v2.1   data/chunk-CCC/episode_EEEEEE.parquet            one file an episode
           videos/chunk-CCC/KEY/episode_EEEEEE.mp4
           meta/{info.json, episodes.jsonl, tasks.jsonl}
    v3.0   data/chunk-CCC/file-FFF.parquet                  many episodes a file
           videos/KEY/chunk-CCC/file-FFF.mp4
           meta/{info.json, tasks.parquet, episodes/chunk-CCC/file-FFF.parquet}

Numbers come from the parquet files; pictures from videos or from encoded images in the parquet
files. Step features keep their names (observation.state, action); the words of the task are the
text feature "task". Episodes whose parquet file is not there are left out and noted: often a part
of a data set was copied.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet as parquet

from wamjax.core.errors import UserError
from wamjax.data.faults import BadRecord, Fault, Unit
from wamjax.data.files.paths import Location, Named, location, source_of, within
from wamjax.data.files.pictures import Pictures
from wamjax.data.files.schema import Description, Feature, Shard
from wamjax.data.files.video import Video, frames_in
from wamjax.data.sources.source import TASK, Place, RawEpisode, Skipped, Source, StepValue

VERSIONS = ("v2.0", "v2.1", "v3.0")
# Columns that count instead of recording something.
COUNTING = ("timestamp", "frame_index", "episode_index", "index", "task_index")
UNIT: Unit = "episode"
LATE = 0.5  # of a step that a time stamp may be off


@dataclasses.dataclass(frozen=True)
class Clip:
    """Where an episode's frames of one camera are."""

    path: Location
    first: int


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the meta files say of an episode."""

    number: int
    length: int
    data: Location
    clips: dict[str, Clip]


def _json(path: Location) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): restore it.") from error


def _rows(path: Location) -> list[dict[str, Any]]:
    """The lines of a .jsonl file, or the rows of a parquet file."""
    try:
        if path.suffix == ".jsonl":
            lines = path.read_text(encoding="utf-8").splitlines()
            return [json.loads(line) for line in lines if line.strip()]
        table = parquet.read_table(source_of(path))
        kept = [name for name in table.column_names if not name.startswith("stats/")]
        return table.select(kept).to_pylist()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise UserError(f"{path} cannot be read ({_line(error)}): restore it.") from error


def _line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else repr(error)


def _features(info: dict[str, Any]) -> dict[str, Feature]:
    found = {}
    for name, told in info["features"].items():
        if name in COUNTING:
            continue
        kind, shape = told["dtype"], tuple(told["shape"])
        if kind in ("video", "image"):
            found[f"steps/{name}"] = Feature("image", (None, None, 3), "uint8")
        elif kind == "string":
            found[f"steps/{name}"] = Feature("text", (), "object")
        else:
            found[f"steps/{name}"] = Feature("number", shape, np.dtype(kind).name)
    return {**found, f"steps/{TASK}": Feature("text", (), "object")}


class LeRobotSource(Source):
    """One split of a LeRobot data set; see `wamjax.data.sources.source.Source`.

    Args:
        directory: it holds meta/, data/ and, for videos, videos/.
        split: of meta/info.json, for example "train".

    Raises:
        UserError: another version, no such split, or meta files that cannot be read.
    """

    def __init__(self, directory: Named, split: str):
        self.directory, self.split = location(directory), split
        self.info = info = _json(self.directory / "meta" / "info.json")
        try:
            self.version = info["codebase_version"]
            if self.version not in VERSIONS:
                raise UserError(
                    f"{directory} is LeRobot {self.version}: convert it to one of "
                    f"{', '.join(VERSIONS)}."
                )
            splits = {name: _bounds(text) for name, text in info["splits"].items()}
            if split not in splits:
                known = ", ".join(sorted(splits))
                raise UserError(f"{directory} has no split {split!r}: choose one of {known}.")
            self.rate = float(info["fps"])
            self.cameras = tuple(
                name for name, told in info["features"].items() if told["dtype"] == "video"
            )
            features = _features(info)
            entries = self._entries(*splits[split])
            self.tasks = self._tasks()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"The meta files of {directory} are not those of LeRobot {VERSIONS[-1]} or before "
                f"({error!r}): restore them."
            ) from error
        self.entries = [entry for entry in entries if entry.data.is_file()]
        self.absent = len(entries) - len(self.entries)
        if not self.entries:
            raise UserError(f"{directory} holds no data file of split {split!r}: copy data/, too.")
        files = list(dict.fromkeys(entry.data for entry in self.entries))
        self.shards = {path: number for number, path in enumerate(files)}
        self.description = Description(
            name=self.directory.name,
            version=self.version,
            file_format="lerobot",
            features=features,
            splits=tuple(sorted(splits)),
            shards=tuple(Shard(path, sum(e.data == path for e in self.entries)) for path in files),
        )
        self._held: tuple[Location, pyarrow.Table] | None = None
        self._by_number = {entry.number: entry for entry in self.entries}
        self._frames: dict[Location, int] = {}  # of each video file that was looked at

    @staticmethod
    def splits(directory: Location) -> tuple[str, ...]:
        """Names of the splits, sorted."""
        try:
            return tuple(sorted(_json(directory / "meta" / "info.json")["splits"]))
        except (KeyError, TypeError) as error:
            raise UserError(f"{directory}/meta/info.json names no splits: restore it.") from error

    def _entries(self, start: int, stop: int) -> list[Entry]:
        """The episodes of a range of numbers, as the meta files tell of them."""
        meta = self.directory / "meta"
        if self.version == "v3.0":
            files = sorted((meta / "episodes").glob("chunk-*/file-*.parquet"))
            rows = [row for path in files for row in _rows(path)]
            make = self._entry_of_files
        else:
            rows, make = _rows(meta / "episodes.jsonl"), self._entry_of_episode
        return [make(row) for row in rows if start <= row["episode_index"] < stop]

    def _entry_of_episode(self, row: dict[str, Any]) -> Entry:
        number = int(row["episode_index"])
        place = {"episode_index": number, "episode_chunk": number // self.info["chunks_size"]}
        clips = {
            camera: Clip(self._file("video_path", video_key=camera, **place), 0)
            for camera in self.cameras
        }
        return Entry(number, int(row["length"]), self._file("data_path", **place), clips)

    def _entry_of_files(self, row: dict[str, Any]) -> Entry:
        clips = {}
        for camera in self.cameras:
            own = f"videos/{camera}"
            chunk, file = row[f"{own}/chunk_index"], row[f"{own}/file_index"]
            path = self._file("video_path", video_key=camera, chunk_index=chunk, file_index=file)
            clips[camera] = Clip(path, round(row[f"{own}/from_timestamp"] * self.rate))
        chunk, file = row["data/chunk_index"], row["data/file_index"]
        data = self._file("data_path", chunk_index=chunk, file_index=file)
        return Entry(int(row["episode_index"]), int(row["length"]), data, clips)

    def _file(self, kind: str, **place: Any) -> Location:
        return self.directory / self.info[kind].format(**place)

    def _tasks(self) -> dict[int, bytes]:
        """The words of each task."""
        meta = self.directory / "meta"
        rows = _rows(meta / ("tasks.parquet" if self.version == "v3.0" else "tasks.jsonl"))
        # pandas keeps the words as an index without a name.
        key = "__index_level_0__" if rows and "__index_level_0__" in rows[0] else TASK
        return {int(row["task_index"]): str(row[key]).encode() for row in rows}

    @property
    def unit(self) -> Unit:
        """See `Source`."""
        return UNIT

    @property
    def named_in(self) -> Location:
        """See `Source`."""
        return self.directory / "meta" / "info.json"

    @property
    def counted_in(self) -> Location:
        """See `Source`."""
        return self.directory / "meta"

    @property
    def features(self) -> dict[str, Feature]:
        """See `Source`."""
        return self.description.features

    def __len__(self) -> int:
        return len(self.entries)

    def notes(self) -> list[str]:
        """See `Source`."""
        if not self.absent:
            return []
        whole = self.absent + len(self.entries)
        return [f"{self.absent} of {whole} episodes have no file in data/ and are left out"]

    def fingerprint(self) -> dict[str, Any]:
        """What names these files: names, sizes, episodes a file, and what they hold."""
        paths = list(self.shards)
        paths += sorted({clip.path for e in self.entries for clip in e.clips.values()})
        return {
            "name": self.description.name,
            "version": self.version,
            "split": self.split,
            "files": {
                within(path, self.directory): path.stat().st_size if path.is_file() else -1
                for path in paths
            },
            "episodes": [entry.number for entry in self.entries],
            "features": {
                name: [f.kind, list(f.shape), f.dtype] for name, f in self.features.items()
            },
        }

    def scan(self, shards: Iterable[int] | None = None) -> Iterator[RawEpisode | Skipped]:
        """See `Source`."""
        for number in self.description.chosen(shards):
            path = self.description.shards[number].path
            mine = [entry for entry in self.entries if entry.data == path]
            try:
                table = parquet.read_table(source_of(path))
            except (OSError, pyarrow.ArrowException) as error:
                yield Skipped(Fault(str(path), 0, _line(error), UNIT), len(mine))
                continue
            for entry in mine:
                try:
                    yield self._parsed(entry, table)
                except ValueError as error:
                    yield Skipped(Fault(str(path), entry.number, str(error), UNIT), 1)

    def episode(self, number: int) -> RawEpisode:
        """See `Source`; `number` counts the episodes that are here."""
        self.place(number)
        entry = self.entries[number]
        # Many episodes share a file: who reads them one after the other reads it once.
        if self._held is None or self._held[0] != entry.data:
            self._held = (entry.data, self._table(entry))
        return self._parsed(entry, self._held[1])

    def place(self, number: int) -> Place:
        """See `Source`."""
        if not 0 <= number < len(self):
            raise IndexError(f"episode {number} of {len(self)}")
        entry = self.entries[number]
        return Place(self.shards[entry.data], entry.number)

    def _table(self, entry: Entry, columns: list[str] | None = None) -> pyarrow.Table:
        try:
            return parquet.read_table(source_of(entry.data), columns=columns)
        except (OSError, pyarrow.ArrowException) as error:
            raise BadRecord(str(entry.data), entry.number, _line(error), unit=UNIT) from error

    def _parsed(self, entry: Entry, table: pyarrow.Table) -> RawEpisode:
        """An episode out of the table of its file.

        Raises:
            ValueError: it is not as the meta files say.
        """
        rows = self._of(entry, table)
        length = entry.length
        if rows.num_rows != length:
            raise ValueError(f"the file has {rows.num_rows} steps for {length} promised ones")
        if not length:
            raise ValueError("the episode has no steps")
        frames = _column(rows, "frame_index", (), "int64")
        if not np.array_equal(frames, np.arange(length)):
            raise ValueError("frame_index does not count the steps from 0")
        late = np.abs(_column(rows, "timestamp", (), "float64") * self.rate - frames)
        if (late > LATE).any() or not np.isfinite(late).all():
            at = int(np.argmax(~(late <= LATE)))
            raise ValueError(
                f"the time stamp of step {at} does not fit {self.rate:g} steps a second"
            )
        steps: dict[str, StepValue] = {}
        for path, feature in self.features.items():
            name = path.removeprefix("steps/")
            if name == TASK and TASK not in self.info["features"]:
                numbers = _column(rows, "task_index", (), "int64")
                unknown = {int(n) for n in numbers} - {*self.tasks}
                if unknown:
                    raise ValueError(f"task_index {min(unknown)} is no task of meta/")
                steps[name] = [self.tasks[int(number)] for number in numbers]
            elif name in entry.clips:
                steps[name] = self._video(entry, name)
            elif feature.kind == "image":
                steps[name] = _images(rows, name)
            elif feature.kind == "text":
                steps[name] = [str(word).encode() for word in _list(rows, name)]
            else:
                steps[name] = _column(rows, name, feature.shape, feature.dtype)
        place = Place(self.shards[entry.data], entry.number)
        metadata = {"episode_index": entry.number, "control_hz": self.rate}
        return RawEpisode(place, length, steps, metadata)

    def _of(self, entry: Entry, table: pyarrow.Table) -> pyarrow.Table:
        """The rows of an episode."""
        if self.version != "v3.0":
            return table
        numbers = _column(table, "episode_index", (), "int64")
        mine = np.flatnonzero(numbers == entry.number)
        if len(mine) and mine[-1] - mine[0] + 1 != len(mine):
            raise ValueError("its rows do not stand together")
        return table.slice(int(mine[0]) if len(mine) else 0, len(mine))

    def _video(self, entry: Entry, camera: str) -> Video:
        clip = entry.clips[camera]
        if clip.path not in self._frames:
            self._frames[clip.path] = frames_in(clip.path)
        frames = self._frames[clip.path]
        there = frames - clip.first
        short = there < entry.length
        if short or (self.version != "v3.0" and there != entry.length):
            raise ValueError(f"{clip.path.name} has {there} frames for {entry.length} steps")
        return Video(clip.path, clip.first, entry.length, self.rate)

    def pictures(self, place: Place, cameras: tuple[str, ...]) -> dict[str, Pictures]:
        """See `Source`."""
        entry = self._by_number[place.offset]
        out: dict[str, Pictures] = {c: self._video(entry, c) for c in cameras if c in entry.clips}
        stored = [camera for camera in cameras if camera not in entry.clips]
        if stored:
            rows = self._of(entry, self._table(entry, [*stored, "episode_index"]))
            out |= {camera: _images(rows, camera) for camera in stored}
        return out


def _bounds(text: str) -> tuple[int, int]:
    """A split's range of episodes, "start:stop"."""
    start, stop = text.split(":")
    return int(start), int(stop)


def _list(rows: pyarrow.Table, name: str) -> list[Any]:
    if name not in rows.column_names:
        raise ValueError(f"{name} is missing")
    return rows.column(name).to_pylist()


def _column(
    rows: pyarrow.Table, name: str, shape: tuple[int | None, ...], dtype: str
) -> np.ndarray:
    """Numbers [T, *shape]; a single number a step may be stored with or without an axis."""
    if name not in rows.column_names:
        raise ValueError(f"{name} is missing")
    column = rows.column(name).combine_chunks()
    while pyarrow.types.is_nested(column.type):
        column = column.flatten()
    width = tuple(axis for axis in shape if axis is not None)
    try:
        values = column.to_numpy(zero_copy_only=False).astype(np.dtype(dtype), casting="same_kind")
        return values.reshape(rows.num_rows, *width)
    except (TypeError, ValueError, AttributeError, pyarrow.ArrowException) as error:
        raise ValueError(f"{name} does not fit its shape {list(shape)} of {dtype}") from error


def _images(rows: pyarrow.Table, name: str) -> list[bytes]:
    """Encoded images of the steps; b"" where there is none."""
    found = []
    for value in _list(rows, name):
        encoded = value["bytes"] if isinstance(value, dict) else value
        found.append(bytes(encoded) if encoded else b"")
    return found
