"""A store gives the episodes it was made from; a window reads its own steps; damage is found."""

import dataclasses
import fractions
import pathlib
import pickle
import shutil

import av
import numpy as np
import pytest

from tests.data.lerobot_sets import CAMERA, STORED, pictures, write_v21, write_v30, write_video
from tests.data.stores import (
    WHEN_RESIZED,
    encoded,
    files,
    make,
    own_content,
    same_images,
    same_numbers,
    same_windows,
    whole,
    windows_of,
)
from tests.data.synthetic import config
from wamjax.core.errors import UserError
from wamjax.data.episodes import read_episodes
from wamjax.data.files import store_format as form
from wamjax.data.files.pictures import is_recorded, mark_of, read_pictures
from wamjax.data.files.stored import Records, Stored, pack, unpack
from wamjax.data.files.video import Video
from wamjax.data.sources.kinds import open_source, split_names
from wamjax.data.sources.source import RawEpisode, Skipped
from wamjax.data.sources.store import StoreSource
from wamjax.data.split import members
from wamjax.data.writing.recoding import Form

CAMERAS = ("observation/image", "observation/wrist_image")
PLAIN = {
    "action_key": None,
    "action_width": 7,
    "proprio_key": None,
    "proprio_width": 7,
    "instruction_key": "task",
    "gripper_dim": None,
    "holdout": 0.0,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("stores")


@pytest.fixture(scope="module")
def recorded(tabletop, place):
    """Of the made-up set, images as they were, several shards."""
    return make(tabletop, place / "recorded")


@pytest.fixture(scope="module")
def lerobot(place):
    return write_v21(place / "lerobot")


@pytest.fixture(scope="module")
def folder(place):
    root = place / "videos"
    write_video(root / "one.mp4", pictures(0, 7))
    (root / "one.txt").write_text("wipe the table\n")
    for camera in ("left", "right"):
        write_video(root / "two" / f"{camera}.mp4", pictures(1, 5))
    return root


def test_the_episodes_are_those_of_the_made_up_set(tabletop, recorded) -> None:
    source, store = open_source(tabletop, "train"), open_source(recorded, "train")
    assert isinstance(store, StoreSource)
    assert len(store.description.shards) > 3
    assert split_names(recorded) == ("train",)
    pairs = list(zip(whole(store), whole(source), strict=True))
    assert len(pairs) == 14
    for number, (mine, theirs) in enumerate(pairs):
        same_numbers(mine, theirs)
        same_images(mine, theirs, CAMERAS)
        assert own_content(mine) == own_content(theirs) == theirs.content()
        again = store.episode(number)
        same_numbers(again, theirs)
        assert again.place == mine.place == store.place(number)
        assert mark_of(again.shown(CAMERAS[0])) == mark_of(theirs.shown(CAMERAS[0]))
    with pytest.raises(IndexError):
        store.episode(14)


def test_the_episodes_are_those_of_real_data(bridge_directory, place) -> None:
    store = make(bridge_directory, place / "bridge", shard_steps=100)
    assert split_names(store) == split_names(bridge_directory) == ("train", "val")
    for split in ("train", "val"):
        source = open_source(bridge_directory, split)
        for mine, theirs in zip(whole(open_source(store, split)), whole(source), strict=True):
            same_numbers(mine, theirs)
            same_images(mine, theirs, form.cameras_of(source.features))
            assert own_content(mine) == theirs.content()


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_the_episodes_are_those_of_lerobot(lerobot, place, version: str) -> None:
    directory = lerobot
    if version == "v3.0":
        directory = write_v30(place / "newer", lerobot, [0, 1, 2])
    store = make(directory, place / version, Form(format="png"), shard_steps=6)
    for split in split_names(directory):
        source = open_source(directory, split)
        for mine, theirs in zip(whole(open_source(store, split)), whole(source), strict=True):
            same_numbers(mine, theirs)
            same_images(mine, theirs, (STORED,))
            times = range(theirs.length)
            shown = read_pictures(mine.shown(CAMERA), times)
            # Without loss, frames of a video are what PyAV decodes.
            np.testing.assert_array_equal(shown, read_pictures(theirs.shown(CAMERA), times))


def test_the_episodes_are_those_of_videos(folder, place) -> None:
    store = open_source(make(folder, place / "of_videos", Form(format="png")), "train")
    source = open_source(folder, "train")
    for mine, theirs in zip(whole(store), whole(source), strict=True):
        same_numbers(mine, theirs)
        for camera in store.cameras:
            there, found = theirs.shown(camera), mine.shown(camera)
            assert is_recorded(found, 0) == is_recorded(there, 0)
            for one, other in zip(
                read_pictures(found, range(mine.length)),
                read_pictures(there, range(mine.length)),
                strict=True,
            ):
                assert (one is None) == (other is None)
                np.testing.assert_array_equal(one, other)


def test_all_frames_in_a_row_are_those_found_by_seeking(folder) -> None:
    clip = Video(folder / "one.mp4", 2, 5, 10.0)
    np.testing.assert_array_equal(list(clip.frames()), clip.read(range(5)))
    late = Video(folder / "one.mp4", 5, 4, 10.0)
    frames = list(late.frames())
    assert [frame is None for frame in frames] == [False, False, True, True]
    assert list(dataclasses.replace(clip, path=folder / "one.txt").frames()) == [None] * 5


def test_a_frame_that_a_video_lacks_is_missing_and_moves_no_other(tmp_path) -> None:
    shown = pictures(0, 6)
    with av.open(str(tmp_path / "gap.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "1"})
        stream.height, stream.width = shown.shape[1:3]
        for t in (0, 1, 3, 4, 5):
            frame = av.VideoFrame.from_ndarray(shown[t], format="rgb24")
            frame.pts, frame.time_base = t, fractions.Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    clip = Video(tmp_path / "gap.mp4", 0, 6, 10.0)
    frames = list(clip.frames())
    assert [frame is None for frame in frames] == [t == 2 for t in range(6)]
    for one, other in zip(frames, clip.read(range(6)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_windows_are_those_of_the_source(tabletop, lerobot, folder, bridge_directory, place):
    """Resized when the store is made or when it is trained: the same pixels, without loss."""
    small = {"image_size": 12, "frame_stride": 1}
    cases = {
        "tabletop": (config(tabletop, **small), {}),
        "lerobot": (
            config(
                lerobot,
                **small,
                cameras=(CAMERA, STORED),
                instruction_key="task",
                gripper_dim=None,
                holdout=0.0,
            ),
            {},
        ),
        "videos": (config(folder, **small, **PLAIN, cameras=("video", "left")), {}),
        "bridge": (
            config(
                bridge_directory,
                **small,
                cameras=("image_0", "image_3"),
                instruction_key="language_instruction",
            ),
            {"split": "train"},
        ),
    }
    for name, (theirs, changes) in cases.items():
        store = make(pathlib.Path(theirs.dir), place / f"{name}_small", WHEN_RESIZED, **changes)
        assert same_windows(dataclasses.replace(theirs, dir=str(store)), theirs) > 5


def test_no_episode_changes_sides_when_its_images_are_encoded_anew(tabletop, place) -> None:
    store = make(tabletop, place / "lossy", Form(size=8, quality=40))
    contents = [list(read_episodes(config(directory)).contents) for directory in (tabletop, store)]
    assert contents[0] == contents[1]
    for holdout in (0.1, 0.3, 0.5):
        one, other = (members(own, holdout, "heldout") for own in contents)
        np.testing.assert_array_equal(one, other)
    # Without the note they would.
    assert own_content(open_source(store, "train").episode(0)) != contents[0][0]


def test_images_that_may_stay_are_not_encoded_anew(tabletop, bridge_directory, place) -> None:
    same = make(tabletop, place / "stay", Form(size=16, format="png"))
    for mine, theirs in zip(
        whole(open_source(same, "train")), whole(open_source(tabletop, "train")), strict=True
    ):
        same_images(mine, theirs, CAMERAS)
    changed = make(tabletop, place / "changed", Form(size=16, format="jpeg"))
    image = encoded(open_source(changed, "train").episode(0).shown(CAMERAS[0]))[0]
    assert image is not None
    assert image.startswith(b"\xff\xd8")
    real = open_source(make(bridge_directory, place / "real", Form(size=64)), "train").episode(0)
    same_images(real, open_source(bridge_directory, "train").episode(0), ("observation/image_0",))
    # A camera that is black throughout is missing once images are encoded anew.
    jpeg = open_source(make(bridge_directory, place / "black", Form(size=32)), "train").episode(0)
    assert encoded(jpeg.shown("observation/image_3")) == [b""] * 10
    assert all(encoded(jpeg.shown("observation/image_0")))


def test_a_store_of_a_store_is_the_same(tabletop, recorded, place) -> None:
    second = make(recorded, place / "second")
    ours, theirs = files(recorded), files(second)
    assert ours.pop("store.json") != theirs.pop("store.json")
    assert ours == theirs


def test_the_fingerprint_names_the_content_and_not_the_place(recorded, tabletop, tmp_path) -> None:
    shutil.copytree(recorded, tmp_path / "elsewhere")
    mine = open_source(recorded, "train").fingerprint()
    assert open_source(tmp_path / "elsewhere", "train").fingerprint() == mine
    other = open_source(make(tabletop, tmp_path / "other", Form(size=8)), "train").fingerprint()
    assert other["files"] != mine["files"]


def test_a_source_pickles_small_and_opens_its_files_again(recorded) -> None:
    store = open_source(recorded, "train")
    wanted = whole(store)
    for episode in wanted:
        encoded(episode.shown(CAMERAS[0]))
    data = pickle.dumps(store)
    assert len(data) < 1000
    for mine, theirs in zip(whole(pickle.loads(data)), wanted, strict=True):
        same_numbers(mine, theirs)
        same_images(mine, theirs, CAMERAS)
    shown = wanted[2].shown(CAMERAS[1])
    assert encoded(pickle.loads(pickle.dumps(shown))) == encoded(shown)


def test_numbers_are_views_of_mapped_files(recorded) -> None:
    store = open_source(recorded, "train")
    assert isinstance(store, StoreSource)
    for episode in whole(store):
        for name in ("action", "observation/state", "is_last"):
            value = episode.steps[name]
            assert isinstance(value, np.ndarray)
            assert np.shares_memory(value, store.columns[name])
            assert not value.flags.writeable


def test_a_window_reads_the_records_of_its_own_steps(recorded, monkeypatch) -> None:
    asked: list[tuple[int, int]] = []
    read = Records.read

    def counted(self: Records, shard: int, number: int) -> bytes:
        asked.append((shard, number))
        return read(self, shard, number)

    monkeypatch.setattr(Records, "read", counted)
    store = open_source(recorded, "train")
    episode = store.episode(4)
    assert episode.length == 20
    store.pictures(episode.place, CAMERAS)
    assert asked == []
    both = store.pictures(episode.place, CAMERAS)
    for camera in CAMERAS:
        frames = read_pictures(both[camera], [7, 9, 11])
        assert all(frame is not None for frame in frames)
    assert len(asked) == 3
    # So does the loader, for two cameras, when it keeps no frames.
    windows = windows_of(config(recorded, cache_bytes=0, frame_stride=2))
    asked.clear()
    inside = np.flatnonzero(windows.index.last - windows.index.row >= 4)
    windows.batch(inside[:1])
    assert len(asked) == len(set(asked)) == 3


def test_open_files_are_bounded(recorded, monkeypatch) -> None:
    monkeypatch.setattr("wamjax.data.files.stored.OPEN", 2)
    store = open_source(recorded, "train")
    assert isinstance(store, StoreSource)
    for _ in range(2):
        for episode in whole(store):
            assert all(encoded(episode.shown(CAMERAS[0])))
            assert len(store.records._open) <= 2


def test_a_record_is_the_images_and_no_other() -> None:
    draw = np.random.default_rng(0)
    for count in (1, 2, 5):
        images = [draw.bytes(int(n)) for n in draw.integers(0, 9, count)]
        sizes = np.array([len(image) for image in images], "<u4")
        record = pack(images)
        assert unpack(record, sizes) == images
        for wrong in (record[:-1], record + b"x", b"", record[1:]):
            with pytest.raises(ValueError, match="lengths"):
                unpack(wrong, sizes)
        moved = sizes.copy()
        moved[[0, -1]] += np.array([1, -1], np.int64).astype("<u4")
        if count > 1:
            with pytest.raises(ValueError, match="lengths"):
                unpack(record, moved)


def test_metadata_survive_a_line_of_text() -> None:
    told = {
        "nan": float("nan"),
        "far": -float("inf"),
        "third": 1 / 3,
        "flag": True,
        "count": 2**62,
        "words": "öffne\nthe \x00 door",
        "list": ["a", "ä"],
        "rows": np.arange(6, dtype=np.int16).reshape(2, 3),
        "odd": np.array([np.nan, 1.5], np.float32),
    }
    line = form.metadata_line(told)
    assert line.count(b"\n") == 1
    back = form.metadata_of(line)
    assert [type(value) for value in back.values()] == [type(value) for value in told.values()]
    np.testing.assert_equal(back, told)


def told_of(directory: pathlib.Path, wanted: list[RawEpisode]) -> set[str]:
    """Read all of a damaged store: the names of the files that were found to be damaged.

    Every episode that is given is right, every image is right or missing.
    """
    try:
        store = open_source(directory, "train")
    except UserError as error:
        text = str(error)
        assert "\n" not in text
        return {name for name in files(directory) | {"missing": b""} if f"/{name}" in text}
    found = set()
    for item, theirs in zip(store.scan(), wanted, strict=True):
        if isinstance(item, Skipped):
            found.add(str(pathlib.Path(item.fault.file).relative_to(directory)))
            assert f"at {item.fault.unit} {item.fault.offset}" in str(item.fault)
            continue
        same_numbers(item, theirs)
        for camera in CAMERAS:
            shown = item.shown(camera)
            assert isinstance(shown, Stored)
            true = encoded(theirs.shown(camera))
            for one, image in zip(encoded(shown), true, strict=True):
                if one is None:
                    found.add(
                        str(shown.steps.records.paths[shown.steps.shard].relative_to(directory))
                    )
                else:
                    assert one == image
    return found


def test_a_file_that_was_cut_is_named(recorded, tabletop, tmp_path) -> None:
    wanted = whole(open_source(tabletop, "train"))
    for name in files(recorded):
        directory = tmp_path / name.replace("/", "-")
        shutil.copytree(recorded, directory)
        path = directory / name
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        assert told_of(directory, wanted) == {name}
        path.write_bytes(data + b"\0")
        assert told_of(directory, wanted) == {name}
        if name != form.JSON:
            path.unlink()
            with pytest.raises(UserError, match=r"missing, which store.json names"):
                open_source(directory, "train")
        shutil.rmtree(directory)


def test_a_byte_that_was_changed_never_gives_a_wrong_example(recorded, tabletop, tmp_path) -> None:
    wanted = whole(open_source(tabletop, "train"))
    directory = tmp_path / "store"
    shutil.copytree(recorded, directory)
    draw = np.random.default_rng(0)
    # Tables of words are found by the texts that they give.
    texts = {name for name in files(recorded) if "/texts/" in name}
    unseen = []
    for name, data in files(recorded).items():
        start, stop = 0, len(data)
        if name.endswith("array_record"):
            start, stop = data.index(b"\x89PNG"), data.rindex(b"IEND")
        for spot in sorted({*draw.integers(start, stop, 6).tolist(), start, stop - 1, 0}):
            broken = bytearray(data)
            broken[spot] ^= 1 << int(draw.integers(8))
            (directory / name).write_bytes(broken)
            found = told_of(directory, wanted)
            is_word = name.endswith((form.WORDS, form.BEGINS))
            assert found <= {name} | (texts if is_word else set()), (name, spot, found)
            if not found and spot >= start:
                unseen.append((name, spot))
        (directory / name).write_bytes(data)
    # Heads of arrays are filled up, and the last word ends where its file does.
    assert all(spot < 128 or name.endswith(form.BEGINS) for name, spot in unseen), unseen


def test_damage_counts_against_the_budget_and_is_passed_over_within_it(recorded, tmp_path) -> None:
    shutil.copytree(recorded, tmp_path / "store")
    path = tmp_path / "store/train/columns/action.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    given = config(tmp_path / "store", bad_budget=0.1)
    table = read_episodes(given)
    assert (len(table), table.faults.count) == (13, 1)
    with pytest.raises(UserError, match=r"action.npy at episode 13: the checksum of its entries"):
        read_episodes(dataclasses.replace(given, bad_budget=0.0))
    # Of an image only the step that it belongs to.
    path.write_bytes(files(recorded)["train/columns/action.npy"])
    path = tmp_path / "store/train/00000.array_record"
    data = bytearray(path.read_bytes())
    spot = data.index(b"\x89PNG")
    data[spot + 300] ^= 1
    path.write_bytes(data)
    windows = windows_of(dataclasses.replace(given, frame_stride=1, cache_bytes=0))
    batch = windows.batch(np.arange(len(windows)))
    first = windows.index.first[windows.index.episode == 0]
    assert len(first)
    assert windows.frames.ledger.count == 2
    assert int(np.sum(~windows.frames.good)) == 1
    assert not batch.frame_mask.all()


def test_another_format_is_refused_by_name(recorded, tmp_path) -> None:
    table = dict(StoreSource(recorded, "train").table)
    del table["checksum"]
    (tmp_path / form.JSON).write_text(__import__("json").dumps(form.sealed({**table, "format": 2})))
    with pytest.raises(UserError, match="has format 2, and this version reads 1"):
        open_source(tmp_path, "train")
    with pytest.raises(UserError, match="has no split 'val': choose one of train"):
        open_source(recorded, "val")
