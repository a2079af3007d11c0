"""A store as a source of episodes; how it lies on disk stands in `wamjax.data.files.store_format`.

Numbers are views of memory-mapped files; images stay on disk until their step is asked for. A file
that was cut or changed is refused by name where nothing can be read without it; else it costs the
episodes (of a table) or the images (of a shard) that it broke.
"""

import bisect
import itertools
import json
import pathlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from wamjax.core.config import fingerprint
from wamjax.core.errors import UserError
from wamjax.data.faults import BadRecord, Unit
from wamjax.data.files import store_format as form
from wamjax.data.files.paths import Location, Named, digest, fetched, location
from wamjax.data.files.pictures import Pictures
from wamjax.data.files.schema import Description, Shard
from wamjax.data.files.stored import Records, Steps, Stored
from wamjax.data.sources.source import Place, RawEpisode, Skipped, Source, StepValue

UNIT: Unit = "episode"
AGAIN = "restore it, or prepare the store anew"


def read_table(directory: Location) -> dict[str, Any]:
    """What store.json says.

    Raises:
        UserError: it cannot be read, was changed, or has another format.
    """
    path = directory / form.JSON
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}): {AGAIN}.") from error
    if not isinstance(table, dict) or "format" not in table or not form.is_sealed(table):
        raise UserError(f"{path} is not as it was written: {AGAIN}.")
    if table["format"] != form.FORMAT:
        raise UserError(
            f"{path} has format {table['format']}, and this version reads {form.FORMAT}: prepare "
            "the store anew."
        )
    return table


class StoreSource(Source):
    """One split of a store; see `wamjax.data.sources.source.Source`. It pickles as its directory.

    Args:
        directory: it holds store.json.
        split: for example "train".

    Raises:
        UserError: no such split, or a table or shard that is missing or was cut.
    """

    def __init__(self, directory: Named, split: str):
        self.directory, self.split = location(directory), split
        self.table = read_table(self.directory)
        if split not in self.table["splits"]:
            known = ", ".join(sorted(self.table["splits"]))
            raise UserError(f"{directory} has no split {split!r}: choose one of {known}.")
        self.told: dict[str, Any] = self.table["splits"][split]
        self.folder = self.directory / split
        features = {
            path: form.feature_from_json(value) for path, value in self.table["features"].items()
        }
        shards = tuple(
            Shard(self.folder / shard["file"], shard["episodes"]) for shard in self.told["shards"]
        )
        self.description = Description(
            name=self.table["name"],
            version=self.table["version"],
            file_format="store",
            features=features,
            splits=tuple(sorted(self.table["splits"])),
            shards=shards,
        )
        self.cameras = form.cameras_of(features)
        self._cut = self._sizes()
        self._open(features)
        self._ends = list(itertools.accumulate(shard.episodes for shard in shards))
        steps = [shard["steps"] for shard in self.told["shards"]]
        self._first_step = [0, *itertools.accumulate(steps)]
        self.records = Records(tuple(shard.path for shard in shards))

    def __reduce__(self) -> tuple[type["StoreSource"], tuple[str, str]]:
        return StoreSource, (str(self.directory), self.split)

    def _sizes(self) -> dict[Location, str]:
        """Shards that do not have their size, and what is wrong."""
        cut = {}
        shards = {shard.path for shard in self.description.shards}
        for name, (size, _) in self.told["files"].items():
            path = self.folder / name
            if not path.is_file():
                raise UserError(f"{path} is missing, which {form.JSON} names: {AGAIN}.")
            found = path.stat().st_size
            if found == size:
                continue
            problem = f"the file has {found} bytes instead of {size}"
            if path not in shards:
                raise UserError(f"{path}: {problem}; {AGAIN}.")
            cut[path] = problem
        return cut

    def _open(self, features: dict[str, Any]) -> None:
        """Map the tables."""
        count, steps = self.told["episodes"], self.told["steps"]
        index = self.folder / form.EPISODES
        if digest(index) != self.told["files"][form.EPISODES][1]:
            raise UserError(f"{index} is not as it was written: {AGAIN}.")
        self.index = self._mapped(form.EPISODES, form.row_type(features), (count,))
        self.columns = {}
        for name, feature in form.columns_of(features).items():
            kind, shape = np.dtype("<u4"), ()
            if feature.kind == "number":
                kind, shape = np.dtype(feature.dtype), feature.shape
            file = form.column_file(feature.kind, name)
            self.columns[name] = self._mapped(file, kind, (steps, *shape))
        self.sizes = self._mapped(form.SIZES, np.dtype("<u4"), (steps, len(self.cameras)))
        self.begins = self._mapped(form.BEGINS, np.dtype("<i8"), (self.told["words"] + 1,))
        self.words = _bytes(self._local(form.WORDS))
        self.lines = _bytes(self._local(form.METADATA))

    def _local(self, name: str) -> pathlib.Path:
        """A table on this machine: itself, or a copy that is kept; see `files.paths`."""
        try:
            return fetched(self.folder / name, self.told["files"][name][1])
        except OSError as error:
            raise UserError(f"{error}: {AGAIN}.") from error

    def _mapped(self, name: str, kind: np.dtype, shape: tuple[int | None, ...]) -> np.ndarray:
        path = self.folder / name
        try:
            found = np.load(self._local(name), mmap_mode="r").view(np.ndarray)
        except UserError:
            raise
        except Exception as error:  # a damaged header makes NumPy raise half a dozen kinds
            raise UserError(f"{path} cannot be read as an array: {AGAIN}.") from error
        if found.dtype != kind or found.shape != shape:
            raise UserError(
                f"{path} holds {found.dtype} {list(found.shape)} instead of {kind} {list(shape)}: "
                f"{AGAIN}."
            )
        return found

    @property
    def unit(self) -> Unit:
        """See `Source`: places count the episodes of the split."""
        return UNIT

    @property
    def named_in(self) -> Location:
        """See `Source`."""
        return self.directory / form.JSON

    @property
    def counted_in(self) -> Location:
        """See `Source`."""
        return self.directory / form.JSON

    @property
    def features(self) -> dict[str, Any]:
        """See `Source`."""
        return self.description.features

    def __len__(self) -> int:
        return self.told["episodes"]

    def fingerprint(self) -> dict[str, Any]:
        """What is in the files, wherever they stand."""
        return {
            "name": self.description.name,
            "version": self.description.version,
            "split": self.split,
            "images": self.table["images"],
            "files": fingerprint(self.told["files"]),
            "features": fingerprint(self.table["features"]),
        }

    def notes(self) -> list[str]:
        """See `Source`."""
        lost = self.told["promised"] - self.told["episodes"]
        told = []
        if lost:
            told.append(
                f"{lost} of {self.told['promised']} episodes could not be read when the store was "
                f"made, see {form.JSON}"
            )
        if self.told["bad_images"]:
            count = len(self.told["bad_images"])
            told.append(f"{count} images could not be decoded when the store was made")
        return told

    def scan(self, shards: Iterable[int] | None = None) -> Iterator[RawEpisode | Skipped]:
        """See `Source`."""
        for shard in self.description.chosen(shards):
            end = self._ends[shard]
            for number in range(end - self.description.shards[shard].episodes, end):
                try:
                    yield self.episode(number)
                except BadRecord as bad:
                    yield Skipped(bad.fault, 1)

    def place(self, number: int) -> Place:
        """See `Source`."""
        if not 0 <= number < len(self):
            raise IndexError(f"episode {number} of {len(self)}")
        return Place(bisect.bisect_right(self._ends, number), number)

    def episode(self, number: int) -> RawEpisode:
        """See `Source`; what was damaged is raised as a `BadRecord` with the file that was."""
        place = self.place(number)
        row = self.index[number]
        shard = self.description.shards[place.shard].path
        if shard in self._cut:
            raise BadRecord(str(shard), number, self._cut[shard], unit=UNIT)
        steps: dict[str, StepValue] = {}
        found: dict[str, int] = {}
        first, length = int(row["first"]), int(row["length"])
        for name, column in self.columns.items():
            kind = self.features[f"steps/{name}"].kind
            here = column[first : first + length]
            if kind == "number":
                steps[name], found[name] = here, form.check_numbers(here)
            else:
                steps[name], found[name] = self._texts(here)
        begin = int(row["metadata"])
        last = number + 1 == len(self)
        end = len(self.lines) if last else int(self.index[number + 1]["metadata"])
        line = self.lines[begin:end]
        found[form.METADATA] = form.check_numbers(line)
        found[form.SIZES] = form.check_numbers(self.sizes[first : first + length])
        self._compare(number, row["checks"], found)
        shown = self.pictures(place, self.cameras)
        told = form.metadata_of(line.tobytes())
        return RawEpisode(place, length, {**steps, **shown}, told, row["content"].decode())

    def _texts(self, ids: np.ndarray) -> tuple[list[bytes], int]:
        """Texts and their checksum; -1, which is none, where a number is of no text."""
        known = np.unique(ids)
        if len(known) and known[-1] >= len(self.begins) - 1:
            return [], -1
        words = {
            n: self.words[self.begins[n] : self.begins[n + 1]].tobytes() for n in known.tolist()
        }
        return [words[n] for n in ids.tolist()], form.check_texts(ids, words)

    def _compare(self, number: int, wanted: np.ndarray, found: dict[str, int]) -> None:
        for place, name in enumerate(form.checked(self.features)):
            if name in found and found[name] != int(wanted[place]):
                file = name
                if name in self.columns:
                    file = form.column_file(self.features[f"steps/{name}"].kind, name)
                problem = "the checksum of its entries is wrong"
                raise BadRecord(str(self.folder / file), number, problem, unit=UNIT)

    def steps_of(self, place: Place) -> Steps:
        """The records of an episode."""
        row = self.index[place.offset]
        first, length = int(row["first"]), int(row["length"])
        begin = first - self._first_step[place.shard]
        return Steps(self.records, place.shard, begin, self.sizes[first : first + length])

    def pictures(self, place: Place, cameras: tuple[str, ...]) -> dict[str, Pictures]:
        """See `Source`; nothing is read yet."""
        steps = self.steps_of(place)
        out: dict[str, Pictures] = {
            camera: Stored(steps, self.cameras.index(camera))
            for camera in cameras
            if camera in self.cameras
        }
        return out

    def check_records(self, number: int) -> None:
        """Read all records of an episode.

        Raises:
            BadRecord: one cannot be read, or they are not those that were written.
        """
        place = self.place(number)
        steps = self.steps_of(place)
        check = 0
        for t in range(len(steps.sizes)):
            check = zlib.crc32(self.records.read(place.shard, steps.first + t), check)
        if check != int(
            self.index[number]["checks"][form.checked(self.features).index(form.RECORDS)]
        ):
            path = str(self.description.shards[place.shard].path)
            raise BadRecord(path, number, "its records are not those that were written", unit=UNIT)


def _bytes(path: pathlib.Path) -> np.ndarray:
    """uint8 [n], mapped; an empty file cannot be."""
    if not path.stat().st_size:
        return np.zeros(0, np.uint8)
    return np.memmap(path, np.uint8, "r").view(np.ndarray)
