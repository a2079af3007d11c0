"""Data behind an address are those of the local copy: episodes, frames, fingerprints, windows."""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import fsspec
import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter

from tests.data.lerobot_sets import pictures, write_v21, write_v30, write_video
from tests.data.stores import make, same_numbers, same_windows, whole
from tests.data.synthetic import config, copy
from wamjax.cli.main import main
from wamjax.core.errors import UserError
from wamjax.data.config import DataConfig
from wamjax.data.files import tfrecord
from wamjax.data.files.paths import CACHE, Remote, location
from wamjax.data.files.pictures import read_pictures
from wamjax.data.files.riegeli import Riegeli, opened_riegeli
from wamjax.data.normalising.statistics import compute_statistics, statistics_for
from wamjax.data.normalising.streamed import stream_statistics
from wamjax.data.sources import kinds
from wamjax.data.sources.kinds import open_source, split_names
from wamjax.data.sources.source import Skipped, Source

KINDS = ("tfrecord", "array_record", "v21", "v30", "videos", "store")
LEROBOT: dict[str, Any] = {
    "cameras": ("observation.images.front", "observation.images.wrist"),
    "proprio_key": "observation.state",
    "instruction_key": "task",
    "gripper_dim": None,
}
VIDEOS: dict[str, Any] = {
    "cameras": ("video",),
    "proprio_key": None,
    "action_key": None,
    "instruction_key": "task",
    "action_width": 1,
    "proprio_width": 1,
    "gripper_dim": None,
}


def as_array_record(tabletop: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    """The same records in the other kind of file, compressed as TFDS does it."""
    out.mkdir()
    for path in tabletop.iterdir():
        if ".tfrecord-" in path.name:
            writer = ArrayRecordWriter(
                str(out / path.name.replace("tfrecord", "array_record")), "group_size:1"
            )
            for record in tfrecord.scan(path):
                assert isinstance(record, tfrecord.Record)
                writer.write(record.payload)
            writer.close()
    info = (tabletop / "dataset_info.json").read_text()
    (out / "dataset_info.json").write_text(info.replace('"tfrecord"', '"array_record"'))
    (out / "features.json").write_bytes((tabletop / "features.json").read_bytes())
    return out


@pytest.fixture(scope="module")
def local(tabletop, tmp_path_factory) -> dict[str, DataConfig]:
    root = tmp_path_factory.mktemp("local")
    v21 = write_v21(root / "v21")
    write_video(root / "videos" / "one.mp4", pictures(0, 9))
    (root / "videos" / "one.txt").write_text("open the door")
    write_video(root / "videos" / "two" / "video.mp4", pictures(1, 6))
    return {
        "tfrecord": config(tabletop),
        "array_record": config(as_array_record(tabletop, root / "array_record")),
        "v21": config(v21, **LEROBOT),
        "v30": config(write_v30(root / "v30", v21, [0, 1, 2]), **LEROBOT),
        "videos": config(root / "videos", **VIDEOS),
        "store": config(make(tabletop, root / "store")),
    }


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> Iterator[pathlib.Path]:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    opened_riegeli.cache_clear()
    system = fsspec.filesystem("memory")
    yield tmp_path / "cache"
    system.rm("/", recursive=True)


def remote(given: DataConfig, scheme: str = "memory") -> DataConfig:
    """The same files behind an address."""
    directory = pathlib.Path(given.dir)
    if scheme == "file":
        return dataclasses.replace(given, dir=f"file://{directory}")
    system = fsspec.filesystem("memory")
    for path in directory.rglob("*"):
        if path.is_file():
            inner = path.relative_to(directory)
            system.pipe_file(f"/bucket/{directory.name}/{inner}", path.read_bytes())
    return dataclasses.replace(given, dir=f"memory://bucket/{directory.name}")


def opened(given: DataConfig) -> Source:
    return open_source(given.dir, given.split)


@pytest.mark.parametrize("scheme", ["memory", "file"])
@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_that_of_the_local_copy(local, kind: str, scheme: str) -> None:
    here, there = local[kind], remote(local[kind], scheme)
    assert split_names(there.dir) == split_names(here.dir)
    mine, theirs = opened(there), opened(here)
    assert mine.fingerprint() == theirs.fingerprint()
    assert len(mine) == len(theirs)
    assert mine.features == theirs.features
    for number, (one, other) in enumerate(zip(whole(mine), whole(theirs), strict=True)):
        same_numbers(one, other)
        same_numbers(mine.episode(number), other)
        assert mine.place(number) == theirs.place(number)
        for camera in [name for name in one.steps if f"steps/{name}" in images(mine)]:
            times = range(one.length)
            found = read_pictures(one.shown(camera), times)
            for frame, wanted in zip(found, read_pictures(other.shown(camera), times), strict=True):
                assert (frame is None) == (wanted is None)
                assert frame is None or np.array_equal(frame, wanted)
    assert same_windows(there, here) > 5
    assert compute_statistics(there) == compute_statistics(here)


def images(source: Source) -> set[str]:
    return {name for name, feature in source.features.items() if feature.kind == "image"}


def test_a_window_of_a_remote_store_costs_its_own_records(local, monkeypatch) -> None:
    given = remote(local["store"])
    source = opened(given)
    episode = source.episode(4)
    asked: list[int] = []
    ranged = Remote.range

    def counted(self: Remote, start: int, stop: int | None) -> bytes:
        found = ranged(self, start, stop)
        asked.append(len(found))
        return found

    monkeypatch.setattr(Remote, "range", counted)
    shown = episode.shown("observation/image")
    read_pictures(shown, [3])
    record = sum(len(image) for image in shown.steps.images(7))  # type: ignore[union-attr]
    asked.clear()  # the index is read once
    (frame,) = read_pictures(source.episode(4).shown("observation/image"), [7])
    assert frame is not None
    assert len(asked) == 1
    assert record <= asked[0] < record + 1000


def test_tables_are_fetched_once_and_records_never(local, own_cache, monkeypatch) -> None:
    there = remote(local["store"])
    opened(there)
    kept = sorted(own_cache.iterdir())
    assert sorted(path.read_bytes() for path in kept) == sorted(
        {
            path.read_bytes()
            for path in pathlib.Path(local["store"].dir).rglob("*/*")
            if path.is_file() and path.suffix != ".array_record"
        }
    )
    times = [path.stat().st_mtime_ns for path in kept]
    opened(there)
    assert [path.stat().st_mtime_ns for path in sorted(own_cache.iterdir())] == times
    # What was changed behind the address is not taken for the table.
    for path in kept:
        path.unlink()
    system = fsspec.filesystem("memory")
    sizes = "/bucket/store/train/sizes.npy"
    data = bytearray(system.cat_file(sizes))
    data[-1] ^= 1
    system.pipe_file(sizes, bytes(data))
    with pytest.raises(UserError, match=r"train/sizes.npy is not as it was written: restore it"):
        opened(there)
    assert not [path for path in own_cache.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("kind", ["tfrecord", "array_record"])
def test_what_is_cut_off_is_told_as_on_a_disk(local, tmp_path, kind: str) -> None:
    given = local[kind]
    broken = copy(pathlib.Path(given.dir), tmp_path / "broken")
    path = sorted(broken.glob("*record-*"))[1]
    path.write_bytes(path.read_bytes()[:-100])
    here = config(broken)
    found = [item for item in opened(remote(here)).scan() if isinstance(item, Skipped)]
    wanted = [item for item in opened(here).scan() if isinstance(item, Skipped)]
    assert [item.episodes for item in found] == [item.episodes for item in wanted]
    assert [item.fault.offset for item in found] == [item.fault.offset for item in wanted]
    assert found[0].fault.file.startswith("memory://bucket/broken/")


@pytest.mark.parametrize(
    "options",
    [
        "group_size:1,uncompressed",
        "group_size:3",
        "group_size:64,zstd:9",
        "group_size:2,brotli:3",
        "group_size:2,snappy",
    ],
)
def test_records_are_those_of_the_library(tmp_path, options: str) -> None:
    """Of sizes around those of a block, too."""
    draw = np.random.default_rng(0)
    lengths = [*draw.integers(0, 500, 40), 65_536, 0, 65_496, 200_000, *draw.integers(0, 9e4, 9)]
    records = [draw.integers(0, 4, int(n)).astype(np.uint8).tobytes() for n in lengths]
    writer = ArrayRecordWriter(str(tmp_path / "x"), options)
    for record in records:
        writer.write(record)
    writer.close()
    file = Riegeli(Remote("file", pathlib.PurePosixPath(tmp_path / "x")))
    assert [file.read(number) for number in range(len(file))] == records
    with pytest.raises(IndexError):
        file.read(len(records))


def test_processes_read_remote_data_too(local, tmp_path) -> None:
    """Statistics, and a store made from it: the same bytes as from the local copy."""
    there = remote(local["tfrecord"], "file")
    assert stream_statistics([there], 2) == stream_statistics([local["tfrecord"]])


def test_a_store_made_from_remote_data_holds_the_same(local, tmp_path) -> None:
    for kind in ("tfrecord", "v30"):
        one = make(pathlib.Path(local[kind].dir), tmp_path / f"{kind}-local")
        other = tmp_path / f"{kind}-remote"
        given = ["data", "prepare", "--from", remote(local[kind]).dir, "--out", str(other)]
        assert main([*given, "--shard-steps", "20"]) == 0
        mine, theirs = (open_source(place, "train") for place in (other, one))
        for found, wanted in zip(whole(mine), whole(theirs), strict=True):
            same_numbers(found, wanted)


def test_statistics_beside_remote_data_are_read_and_none_is_written(local, tmp_path) -> None:
    here = config(copy(pathlib.Path(local["tfrecord"].dir), tmp_path / "data"))
    before = fsspec.filesystem("memory").find("/")
    there = remote(here)
    known = fsspec.filesystem("memory").find("/")
    assert len(known) > len(before)
    found = statistics_for(there)
    assert fsspec.filesystem("memory").find("/") == known
    assert statistics_for(here) == found
    assert statistics_for(remote(here)) == found


def test_nothing_is_asked_for_before_it_is_named(monkeypatch) -> None:
    monkeypatch.setattr(fsspec, "filesystem", lambda *_: pytest.fail("asked"))
    place = location("gs://bucket/data") / "1.0.0"
    assert str(place.with_name("2.0.0")) == "gs://bucket/data/2.0.0"
    assert location("data/1.0.0") == pathlib.Path("data/1.0.0")
    assert location(place) is place


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("memory://nowhere/data", "is not a directory: check the path"),
        ("nonsense://bucket/data", "nonsense:// is no address that fsspec knows"),
        ("gs://bucket/data", "gs:// cannot be read yet"),
        ("http://127.0.0.1:9/data", "http"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_sentence(capsys, address: str, problem: str) -> None:
    assert main(["data", "stats", address]) == 2
    error = capsys.readouterr().err.strip()
    assert problem in error
    assert len(error.splitlines()) == 1


def test_a_store_is_not_written_to_an_address(local, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["data", "prepare", "--from", local["tfrecord"].dir, "--out", "gs://bucket/store"]
    assert main(given) == 2
    assert "make the store on a disk, then copy it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_nothing_we_know_says_what_is_read() -> None:
    fsspec.filesystem("memory").pipe_file("/bucket/odd/readme.md", b"x")
    with pytest.raises(UserError, match=r"memory://bucket/odd is no data set: give an RLDS"):
        kinds.open_source("memory://bucket/odd", "train")
