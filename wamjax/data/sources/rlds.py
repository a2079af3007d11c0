"""RLDS episodes as TFDS left them on disk, without TensorFlow; images stay encoded.

One record is one episode is one tf.train.Example: numbers of all steps in one flat list, texts
and encoded images one entry a step. An episode is addressed by its number or by its place (shard
and offset); there is no addressing of single steps inside a record.
"""

import bisect
import hashlib
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from wamjax.core.errors import UserError
from wamjax.data.faults import BadRecord, Fault, Unit
from wamjax.data.files import example, tfrecord
from wamjax.data.files.array_record import read_array_record, scan_array_record
from wamjax.data.files.in_record import Files, InRecord, find
from wamjax.data.files.paths import Location, Named, location
from wamjax.data.files.pictures import Pictures
from wamjax.data.files.schema import Description, Feature, describe
from wamjax.data.sources.source import Place, RawEpisode, Skipped, Source, StepValue

# Their loss would go unnoticed and change what an episode means.
DECISIVE = ("steps/is_last", "episode_metadata/success")


def parse(payload: bytes, features: dict[str, Feature], place: Place) -> RawEpisode:
    """The episode in `payload`.

    Raises:
        ValueError: not an Example, no steps, numbers of another type than the schema's, or
            features that disagree about the number of steps.
    """
    flat = example.decode(payload)
    for path in DECISIVE:
        if path in flat and (path not in features or features[path].kind != "number"):
            raise ValueError(f"{path} is recorded, but features.json has no such number")
    steps: dict[str, StepValue] = {}
    metadata: dict[str, Any] = {}
    lengths: dict[str, int] = {}
    missing = []
    for path, feature in features.items():
        group, _, name = path.partition("/")
        if group != "steps":
            if path in flat:
                metadata[name or group] = _of_episode(path, flat[path], feature)
            continue
        if feature.kind == "other":
            continue
        if path not in flat:
            missing.append((name, feature))
            continue
        value = flat[path]
        if feature.kind == "number":
            value = _typed(path, value, feature)
            if not feature.width or value.size % feature.width:
                raise ValueError(f"{path} does not fit its shape {feature.shape}")
            value = value.reshape((-1, *[axis for axis in feature.shape if axis is not None]))
        elif isinstance(value, np.ndarray):
            raise ValueError(f"{path} holds numbers instead of bytes")
        steps[name] = value
        lengths[name] = len(value)
    if not any(lengths.values()):
        raise ValueError("the episode has no steps")
    numbers = {n: count for n, count in lengths.items() if isinstance(steps[n], np.ndarray)}
    length = next(iter((numbers or lengths).values()))
    for name, count in lengths.items():
        if count != length:
            raise ValueError(f"steps/{name} has {count} entries for {length} steps")
    for name, feature in missing:
        if feature.kind == "number":
            raise ValueError(f"steps/{name} is missing")
        steps[name] = [b""] * length
    return RawEpisode(place, length, steps, metadata)


def _typed(path: str, value: StepValue, feature: Feature) -> np.ndarray:
    """`value` [n] in the schema's type.

    Raises:
        ValueError: the record has another one, or a number that does not fit.
    """
    wanted = np.dtype(feature.dtype)
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{path} holds bytes instead of {wanted}")
    if (wanted.kind == "f") != (value.dtype.kind == "f"):
        raise ValueError(f"{path} holds {value.dtype} instead of {wanted}")
    with np.errstate(over="ignore"):
        typed = value.astype(wanted)
    # Unsigned 64-bit numbers are stored as signed ones.
    if wanted.kind != "f" and wanted != np.uint64 and (typed != value).any():
        raise ValueError(f"{path} holds {value[typed != value][0]}, which is no {wanted}")
    return typed


def _of_episode(path: str, value: StepValue, feature: Feature) -> Any:
    """A number, a text, or an array or list of them.

    Raises:
        ValueError: not what the schema says.
    """
    if feature.kind == "number":
        typed = _typed(path, value, feature)
        if typed.size != feature.width:
            raise ValueError(f"{path} has {typed.size} entries, not {feature.width}")
        return typed[0].item() if typed.size == 1 else typed
    if isinstance(value, np.ndarray):
        if feature.kind == "text":
            raise ValueError(f"{path} holds numbers instead of bytes")
        return value
    if feature.kind == "text" and len(value) != 1:
        raise ValueError(f"{path} has {len(value)} entries, not 1")
    texts = [item.decode("utf-8", errors="replace") for item in value]
    return texts[0] if len(texts) == 1 else texts


class RldsSource(Source):
    """One split of an RLDS directory.

    Args:
        directory: the version directory with dataset_info.json and features.json.
        split: for example "train".

    Raises:
        UserError: missing, not RLDS, no such split, a missing shard, or a format other than
            TFRecord and ArrayRecord.
    """

    def __init__(self, directory: Named, split: str):
        self.directory = location(directory)
        self.split = split
        self.description: Description = describe(self.directory, split)
        if self.description.file_format not in ("tfrecord", "array_record"):
            raise UserError(
                f"{self.directory} stores {self.description.file_format} files: convert them to "
                "tfrecord or array_record."
            )
        self._ends = list(itertools.accumulate(s.episodes for s in self.description.shards))
        self._offsets: dict[int, list[int]] = {}
        self._files = Files()
        # The images of an episode's cameras, once it has been read; see `in_record`.
        self._images: dict[tuple[Place, tuple[str, ...]], dict[str, Pictures]] = {}

    @property
    def features(self) -> dict[str, Feature]:
        """The schema: full feature name -> Feature."""
        return self.description.features

    def __len__(self) -> int:
        """Episodes promised by dataset_info.json."""
        return self._ends[-1] if self._ends else 0

    def fingerprint(self) -> dict[str, Any]:
        """What names these files: names, sizes, episodes a shard and the schema's hash."""
        schema = (self.directory / "features.json").read_bytes()
        return {
            "name": self.description.name,
            "version": self.description.version,
            "split": self.split,
            "files": {
                shard.path.name: [shard.path.stat().st_size, shard.episodes]
                for shard in self.description.shards
            },
            "features": hashlib.sha256(schema).hexdigest()[:16],
        }

    def notes(self) -> list[str]:
        """See `Source`: nothing."""
        return []

    def pictures(self, place: Place, cameras: tuple[str, ...]) -> dict[str, Pictures]:
        """The encoded images of an episode; see `Source`."""
        known = self._images.get((place, cameras))
        if known is not None:
            return known
        names = {f"steps/{camera}": camera for camera in cameras}
        payload = self.payload(place)
        out: dict[str, Pictures] = {}
        starts: dict[str, np.ndarray | None] = {}
        for name, value in example.decode(payload, tuple(names)).items():
            if isinstance(value, np.ndarray):
                raise ValueError(f"{name} holds numbers instead of bytes")
            out[names[name]] = value
            starts[names[name]] = find(payload, value)
        known = {camera: found for camera, found in starts.items() if found is not None}
        # The content of an ArrayRecord may be compressed.
        if len(known) == len(starts) and self.unit == "byte":
            self._images[place, cameras] = self._in_record(place, known)
        return out

    def _in_record(self, place: Place, starts: dict[str, np.ndarray]) -> dict[str, Pictures]:
        path = self.description.shards[place.shard].path
        content = place.offset + tfrecord.HEADER.size
        return {c: InRecord(self._files, path, content, found) for c, found in starts.items()}

    def scan(self, shards: Iterable[int] | None = None) -> Iterator[RawEpisode | Skipped]:
        """See `Source`."""
        for number in self.description.chosen(shards):
            shard, found, broken = self.description.shards[number], 0, False
            for record in self._records(shard.path):
                place = Place(number, record.offset)
                bad = isinstance(record, BadRecord)
                if found == shard.episodes:
                    # Behind a record whose length was wrong, odd bytes are part of that fault.
                    if not (bad and broken):
                        what = "more bytes" if bad else "more episodes"
                        yield Skipped(self.fault(place, f"{what} than promised"), 1)
                    break
                if isinstance(record, BadRecord):
                    broken = True
                    lost = shard.episodes - found if record.lost else 1
                    found += lost
                    yield Skipped(self.fault(place, record.problem), lost)
                    continue
                found += 1
                try:
                    yield parse(record.payload, self.features, place)
                except ValueError as error:
                    yield Skipped(self.fault(place, str(error)), 1)
            if found < shard.episodes:
                yield Skipped(self._short(number, found), shard.episodes - found)

    @property
    def named_in(self) -> Location:
        """See `Source`."""
        return self.directory / "features.json"

    @property
    def counted_in(self) -> Location:
        """See `Source`."""
        return self.directory / "dataset_info.json"

    def _short(self, number: int, found: int) -> Fault:
        shard = self.description.shards[number]
        end = shard.path.stat().st_size if self.unit == "byte" else found
        problem = f"the shard ends after {found} of {shard.episodes} episodes"
        return self.fault(Place(number, end), problem)

    @property
    def unit(self) -> Unit:
        """What the offsets of this format count."""
        return "record" if self.description.file_format == "array_record" else "byte"

    def _records(self, path: Location) -> Iterator[tfrecord.Record | BadRecord]:
        if self.description.file_format == "array_record":
            return scan_array_record(path)
        return tfrecord.scan(path)

    def payload(self, place: Place) -> bytes:
        """The record at `place`.

        Raises:
            BadRecord: cut off or a wrong checksum.
        """
        path = self.description.shards[place.shard].path
        if self.description.file_format == "array_record":
            return read_array_record(path, place.offset)
        return tfrecord.read_at(path, place.offset)

    def episode(self, number: int) -> RawEpisode:
        """Episode `number` of the split, in shard order.

        Raises:
            IndexError: no such episode.
            BadRecord: it cannot be read, or a break of the framing before it hides it.
            ValueError: it is not a whole episode.
        """
        place = self.place(number)
        return parse(self.payload(place), self.features, place)

    def place(self, number: int) -> Place:
        """See `Source`."""
        if not 0 <= number < len(self):
            raise IndexError(f"episode {number} of {len(self)}")
        shard = bisect.bisect_right(self._ends, number)
        within = number - (self._ends[shard - 1] if shard else 0)
        if self.description.file_format == "array_record":
            return Place(shard, within)
        return Place(shard, self._offset(shard, within))

    def _offset(self, shard: int, within: int) -> int:
        """Where record `within` of a TFRecord shard starts; what is broken behind it is no matter.

        Raises:
            BadRecord: the framing is broken before it, or the shard is shorter than promised.
        """
        path = self.description.shards[shard].path
        if shard not in self._offsets:
            try:
                self._offsets[shard] = tfrecord.index(path)
            except BadRecord:
                return tfrecord.index(path, within + 1)[within]
        offsets = self._offsets[shard]
        if within >= len(offsets):
            short = self._short(shard, len(offsets))
            raise BadRecord(short.file, short.offset, short.problem, lost=True)
        return offsets[within]
