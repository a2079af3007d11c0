"""Where episodes come from: what every kind of data set directory offers the rest of the journey.

    scan()         every episode in order, numbers and texts read, pictures still encoded
    episode(n)     one of them
    pictures(...)  the encoded pictures of one episode, once it is known what is needed of it

`wamjax.data.open_source` finds out which kind a directory is.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from wamjax.data.faults import Fault, Unit
from wamjax.data.files.paths import Location
from wamjax.data.files.pictures import Pictures, mark_of
from wamjax.data.files.schema import Description, Feature

# The text feature that holds the words of the task, where a kind of data set has no name for it.
TASK = "task"
# Numbers [T, ...], or T byte strings (texts, and encoded images: b"" where a camera is missing), or
# the frames of a video.
StepValue = np.ndarray | Pictures


def is_instruction(name: str) -> bool:
    """Whether a text feature of the steps tells what is to be done."""
    return "instruction" in name or name == TASK


@dataclasses.dataclass(frozen=True)
class Place:
    """Where an episode's record starts: shard number, byte offset (or record number)."""

    shard: int
    offset: int


@dataclasses.dataclass(frozen=True)
class Skipped:
    """Episodes that could not be read."""

    fault: Fault
    episodes: int


@dataclasses.dataclass(frozen=True)
class RawEpisode:
    """One episode, parsed.

    Attributes:
        place: where it stands.
        length: T steps.
        steps: feature name (without "steps/") -> array [T, ...], T byte strings, or a video.
        metadata: feature name (without "episode_metadata/") -> value.
        origin: `content` of the episode that this one is a conversion of; None where it is none.
    """

    place: Place
    length: int
    steps: dict[str, StepValue]
    metadata: dict[str, Any]
    origin: str | None = None

    def shown(self, camera: str) -> Pictures:
        """What a camera recorded."""
        value = self.steps[camera]
        assert not isinstance(value, np.ndarray)
        return value

    def content(self) -> str:
        """A hash of the recorded numbers, texts and first images: equal for copies only.

        A conversion keeps the hash of what it was made from, so that no episode changes sides
        between training and holding out when its images are encoded anew.
        """
        if self.origin is not None:
            return self.origin
        digest = hashlib.blake2b(digest_size=16)
        for name in sorted(self.steps):
            value = self.steps[name]
            digest.update(name.encode())
            if isinstance(value, np.ndarray):
                digest.update(np.ascontiguousarray(value).tobytes())
            else:
                digest.update(mark_of(value))
        return digest.hexdigest()


class Source(Protocol):
    """One split of a data set directory."""

    directory: Location
    split: str
    description: Description

    @property
    def unit(self) -> Unit:
        """What places in a shard count."""
        ...

    @property
    def named_in(self) -> Location:
        """The file (or directory) that names the features."""
        ...

    @property
    def counted_in(self) -> Location:
        """The file (or directory) that counts the episodes."""
        ...

    def fault(self, place: Place, problem: str) -> Fault:
        """What is wrong with the record at `place`."""
        shard = self.description.shards[place.shard].path
        return Fault(str(shard), place.offset, problem, self.unit)

    @property
    def features(self) -> dict[str, Feature]:
        """The schema: full feature name -> Feature."""
        ...

    def __len__(self) -> int:
        """Episodes that the directory promises."""
        ...

    def fingerprint(self) -> dict[str, Any]:
        """What names these files: plain JSON that changes when they do."""
        ...

    def notes(self) -> list[str]:
        """What is worth knowing before training and is no fault."""
        ...

    def scan(self, shards: Iterable[int] | None = None) -> Iterator[RawEpisode | Skipped]:
        """Every episode in order, or what had to be skipped in its place.

        Args:
            shards: numbers of those that are gone through, in order; None for all of them.
        """
        ...

    def place(self, number: int) -> Place:
        """Where episode `number` of the split stands.

        Raises:
            IndexError: no such episode.
            BadRecord: what stands before it is broken, so that it cannot be found.
        """
        ...

    def episode(self, number: int) -> RawEpisode:
        """Episode `number` of the split.

        Raises:
            IndexError: no such episode.
            BadRecord: it cannot be read.
            ValueError: it is not a whole episode.
        """
        ...

    def pictures(self, place: Place, cameras: tuple[str, ...]) -> dict[str, Pictures]:
        """Step features `cameras` (without "steps/") of the episode at `place`; those that it does
        not have are left out.

        Raises:
            BadRecord, OSError, ValueError: it can no longer be read.
        """
        ...
