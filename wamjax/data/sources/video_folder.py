"""Plain videos as episodes without actions.

DIR/NAME.mp4            one episode, its camera is called "video"
DIR/NAME/CAMERA.mp4     one episode, a file for each camera
DIR/NAME.txt, DIR/NAME/instruction.txt    its instruction, where there is one
"""

from collections.abc import Iterable, Iterator
from typing import Any

from wamjax.core.errors import UserError
from wamjax.data.faults import Fault, Unit
from wamjax.data.files.paths import Location, Named, location, within
from wamjax.data.files.pictures import Pictures
from wamjax.data.files.schema import Description, Feature, Shard
from wamjax.data.files.video import Video, frames_in, rate_of
from wamjax.data.sources.source import TASK, Place, RawEpisode, Skipped, Source

SUFFIXES = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v")
CAMERA = "video"


def _videos(folder: Location) -> list[Location]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())


def _folders(folder: Location) -> list[Location]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and _videos(p))


def holds_videos(directory: Location) -> bool:
    """Whether there is a video in it or in one of its folders."""
    return bool(_videos(directory) or _folders(directory))


class VideoFolder(Source):
    """The videos of a folder; see `wamjax.data.sources.source.Source`.

    Args:
        directory: the folder.
        split: "train", which is all of it.

    Raises:
        UserError: no such split, or no video.
    """

    def __init__(self, directory: Named, split: str):
        self.directory, self.split = location(directory), split
        if split != "train":
            raise UserError(f"{directory} has no split {split!r}: videos are all in split train.")
        files = [{CAMERA: path} for path in _videos(self.directory)]
        folders = _folders(self.directory)
        files += [{path.stem: path for path in _videos(folder)} for folder in folders]
        if not files:
            raise UserError(
                f"{directory} holds no video: give a folder with {', '.join(SUFFIXES)}."
            )
        self.files = files
        self.texts = [path.with_suffix(".txt") for path in _videos(self.directory)]
        self.texts += [folder / "instruction.txt" for folder in folders]
        cameras = sorted({camera for own in files for camera in own})
        features = {
            f"steps/{camera}": Feature("image", (None, None, 3), "uint8") for camera in cameras
        }
        self.description = Description(
            name=self.directory.name,
            version="",
            file_format="video",
            features={**features, f"steps/{TASK}": Feature("text", (), "object")},
            splits=("train",),
            shards=tuple(Shard(next(iter(own.values())), 1) for own in files),
        )

    @property
    def unit(self) -> Unit:
        """See `Source`."""
        return "episode"

    @property
    def named_in(self) -> Location:
        """See `Source`."""
        return self.directory

    @property
    def counted_in(self) -> Location:
        """See `Source`."""
        return self.directory

    @property
    def features(self) -> dict[str, Feature]:
        """See `Source`."""
        return self.description.features

    def __len__(self) -> int:
        return len(self.files)

    def fingerprint(self) -> dict[str, Any]:
        """Names and sizes of the files."""
        paths = [path for own in self.files for path in own.values()]
        paths += [path for path in self.texts if path.is_file()]
        return {
            "name": self.description.name,
            "version": "",
            "split": self.split,
            "files": {within(path, self.directory): path.stat().st_size for path in paths},
        }

    def notes(self) -> list[str]:
        """See `Source`: nothing."""
        return []

    def scan(self, shards: Iterable[int] | None = None) -> Iterator[RawEpisode | Skipped]:
        """See `Source`."""
        for number in self.description.chosen(shards):
            try:
                yield self.episode(number)
            except ValueError as error:
                first = next(iter(self.files[number].values()))
                yield Skipped(Fault(str(first), 0, str(error), self.unit), 1)

    def place(self, number: int) -> Place:
        """See `Source`."""
        if not 0 <= number < len(self):
            raise IndexError(f"episode {number} of {len(self)}")
        return Place(number, 0)

    def episode(self, number: int) -> RawEpisode:
        """See `Source`."""
        place = self.place(number)
        counts = {camera: frames_in(path) for camera, path in self.files[number].items()}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{camera} {count}" for camera, count in counts.items())
            raise ValueError(f"the cameras have different numbers of frames ({told})")
        length = next(iter(counts.values()))
        if not length:
            raise ValueError("the video has no frame")
        shown = self.pictures(place, tuple(counts))
        steps: dict[str, Any] = {
            name.removeprefix("steps/"): [b""] * length for name in self.features
        }
        text = self.texts[number]
        words = text.read_bytes().strip() if text.is_file() else b""
        rate = rate_of(next(iter(self.files[number].values())))
        metadata = {
            "control_hz": rate,
            "file": text.stem if text.stem != "instruction" else text.parent.name,
        }
        return RawEpisode(place, length, {**steps, TASK: [words] * length, **shown}, metadata)

    def pictures(self, place: Place, cameras: tuple[str, ...]) -> dict[str, Pictures]:
        """See `Source`."""
        own = self.files[place.shard]
        return {
            camera: Video(own[camera], 0, frames_in(own[camera]), rate_of(own[camera]))
            for camera in cameras
            if camera in own
        }
