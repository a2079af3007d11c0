"""Stores made in tests, and what it means that one holds the same as another data set."""

import dataclasses
import pathlib

import numpy as np

from wamjax.data import Windows, compute_statistics
from wamjax.data.config import DataConfig
from wamjax.data.faults import BadRecord
from wamjax.data.files.pictures import Pictures, is_recorded
from wamjax.data.files.video import Video
from wamjax.data.sources.source import RawEpisode, Source
from wamjax.data.writing.plan import Making
from wamjax.data.writing.recoding import Form
from wamjax.data.writing.store import make_store

AS_RECORDED = Form()
WHEN_RESIZED = Form(size=12, format="png")


def make(
    directory: pathlib.Path, out: pathlib.Path, images: Form = AS_RECORDED, **changes
) -> pathlib.Path:
    values = {"shard_steps": 20} | changes
    return make_store(Making(directory=str(directory), out=out, images=images, **values))


def files(directory: pathlib.Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def encoded(pictures: Pictures) -> list[bytes | None]:
    """The images; None where a record cannot be read."""
    assert not isinstance(pictures, Video)
    if isinstance(pictures, list):
        return list(pictures)
    out: list[bytes | None] = []
    for t in range(len(pictures)):
        try:
            out.append(pictures.encoded(t))
        except BadRecord:
            out.append(None)
    return out


def same_numbers(mine: RawEpisode, theirs: RawEpisode) -> None:
    """Numbers bit for bit, texts, metadata, and what decides the side of the split."""
    assert sorted(mine.steps) == sorted(theirs.steps)
    assert mine.length == theirs.length
    for name, value in theirs.steps.items():
        found = mine.steps[name]
        if isinstance(value, np.ndarray):
            assert isinstance(found, np.ndarray)
            assert (found.dtype, found.shape) == (value.dtype, value.shape)
            assert found.tobytes() == value.tobytes()
        elif isinstance(found, list):
            assert found == value
    assert list(mine.metadata) == list(theirs.metadata)
    for name, value in theirs.metadata.items():
        assert type(mine.metadata[name]) is type(value)
        np.testing.assert_equal(mine.metadata[name], value)
    assert mine.content() == theirs.content()


def same_images(mine: RawEpisode, theirs: RawEpisode, cameras: tuple[str, ...]) -> None:
    for camera in cameras:
        assert encoded(mine.shown(camera)) == encoded(theirs.shown(camera))
        for t in range(mine.length):
            wanted = is_recorded(theirs.shown(camera), t)
            assert is_recorded(mine.shown(camera), t) == wanted


def own_content(episode: RawEpisode) -> str:
    """From what is stored, not as it was noted."""
    return dataclasses.replace(episode, origin=None).content()


def windows_of(config: DataConfig) -> Windows:
    return Windows(config, compute_statistics(config))


def same_windows(mine: DataConfig, theirs: DataConfig) -> int:
    """Every window of both, bit for bit; how many there are."""
    one, other = windows_of(mine), windows_of(theirs)
    assert len(one) == len(other)
    numbers = np.arange(len(one))
    batch, wanted = one.batch(numbers), other.batch(numbers)
    for field in dataclasses.fields(wanted):
        found, true = getattr(batch, field.name), getattr(wanted, field.name)
        np.testing.assert_array_equal(found, true, err_msg=field.name)
    assert one.episodes.texts == other.episodes.texts
    return len(one)


def whole(source: Source) -> list[RawEpisode]:
    out = []
    for item in source.scan():
        assert isinstance(item, RawEpisode), item
        out.append(item)
    return out
