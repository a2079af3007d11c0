"""LeRobot data sets: rows and frames are those of PyArrow and PyAV, both versions are the same."""

import json
import pathlib
import shutil

import av
import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest

from tests.data.lerobot_sets import (
    CAMERA,
    RATE,
    STORED,
    TASKS,
    numbers,
    pictures,
    write_v21,
    write_v30,
    write_video,
)
from wamjax.core.errors import UserError
from wamjax.data import DataConfig, Windows, compute_statistics, read_episodes
from wamjax.data.files.pictures import read_pictures
from wamjax.data.looking.inspect import report
from wamjax.data.sources.kinds import open_source, split_names
from wamjax.data.sources.lerobot import LeRobotSource
from wamjax.data.sources.source import Skipped

HEAD = "observation.images.cam_high"
CAMERAS = (CAMERA, STORED)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_v21(tmp_path_factory.mktemp("lerobot") / "made")


@pytest.fixture(scope="module")
def newer(made, tmp_path_factory):
    return write_v30(tmp_path_factory.mktemp("lerobot") / "newer", made, [0, 1, 2])


@pytest.fixture(scope="module")
def real(shared_data):
    return shared_data / "g1_inspire_lerobot_v21"


def config(directory: pathlib.Path, **changes) -> DataConfig:
    values = {
        "dir": str(directory),
        "cameras": CAMERAS,
        "instruction_key": "task",
        "image_size": 16,
        "holdout": 0.0,
        "gripper_dim": None,
        "prefetch": 0,
    }
    return DataConfig(**(values | changes))


def damaged(made: pathlib.Path, where: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(made, where / "damaged"))


def faults(directory: pathlib.Path) -> list[str]:
    found = open_source(directory, "train").scan()
    return [str(item.fault) for item in found if isinstance(item, Skipped)]


def test_the_real_robot_s_numbers_are_those_of_its_files(real):
    source = LeRobotSource(real, "train")
    assert len(source) == 8
    assert source.notes() == ["92 of 100 episodes have no file in data/ and are left out"]
    for episode in source.scan():
        assert not isinstance(episode, Skipped)
        path = source.description.shards[episode.place.shard].path
        assert path.name == f"episode_{episode.place.offset:06d}.parquet"
        table = parquet.read_table(path)
        for name in ("observation.state", "action"):
            np.testing.assert_array_equal(episode.steps[name], table.column(name).to_pylist())
        assert set(episode.steps["task"]) == {b"Pick up the yellow bottle on the table."}
        assert episode.metadata["control_hz"] == 30.0


def test_the_real_robot_s_frames_are_those_of_its_videos(real):
    source = LeRobotSource(real, "train")
    draw = np.random.default_rng(0)
    for number in (0, 5):
        episode = source.episode(number)
        clip = episode.shown(HEAD)
        with av.open(str(clip.path)) as container:
            whole = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(whole) == episode.length
        times = [*draw.choice(episode.length, 5, replace=False).tolist(), 0, episode.length - 1]
        for t, frame in zip(times, read_pictures(clip, times), strict=True):
            np.testing.assert_array_equal(frame, whole[t])


def test_windows_of_the_real_robot_train(real):
    table = read_episodes(config(real, cameras=("cam_high",), action_width=32))
    assert (len(table), table.actions.shape) == (8, (2138, 26))
    assert table.camera_ok.all()
    assert table.action_ok.all()
    windows = Windows(
        config(real, cameras=("cam_high",), action_width=32, chunk=4),
        compute_statistics(config(real, cameras=("cam_high",)), table),
        table,
    )
    batch = windows.batch(np.array([0, 700, -1]))
    assert batch.frames.shape == (3, 1, 3, 16, 16, 3)
    assert batch.action_mask[:2, :, :26].all()
    assert not batch.action_mask[:, :, 26:].any()
    assert not batch.action_mask[2].any()


@pytest.mark.parametrize("which", ["made", "newer"])
def test_made_episodes_come_back(which, request):
    source = open_source(request.getfixturevalue(which), "train")
    found = list(source.scan())
    assert len(found) == len(source) == 2
    for number, episode in enumerate(found):
        assert not isinstance(episode, Skipped)
        wanted = numbers(number, episode.length)
        np.testing.assert_array_equal(episode.steps["action"], wanted["action"])
        np.testing.assert_array_equal(episode.steps["next.done"].ravel(), wanted["next.done"])
        assert episode.steps["task"] == [TASKS[number % 2].encode()] * episode.length
        shown = pictures(number, episode.length)
        times = list(range(episode.length))
        for frame, true in zip(read_pictures(episode.shown(STORED), times), shown, strict=True):
            np.testing.assert_array_equal(frame, true)
        for frame, true in zip(read_pictures(episode.shown(CAMERA), times), shown, strict=True):
            np.testing.assert_allclose(frame.astype(int), true.astype(int), atol=2)


def test_both_versions_are_the_same_data(made, newer):
    """Of the real layout, too: same numbers, same frames, and so the same side of a holdout."""
    one, two = (read_episodes(config(directory)) for directory in (made, newer))
    np.testing.assert_array_equal(one.actions, two.actions)
    assert one.contents == two.contents
    both = []
    for directory, table in ((made, one), (newer, two)):
        given = config(directory, chunk=2, frame_stride=1)
        windows = Windows(given, compute_statistics(given, table), table)
        both.append(windows.batch(np.arange(len(windows))))
    for a, b in zip(both[0].__dict__.values(), both[1].__dict__.values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_real_robot_in_version_3(real, tmp_path):
    """Videos put together without encoding them anew show the same frames."""
    numbers = [10, 28, 29]
    newer = LeRobotSource(write_v30(tmp_path / "newer", real, numbers), "train")
    older = LeRobotSource(real, "train")
    assert [entry.number for entry in newer.entries] == numbers
    for number in range(3):
        one, two = older.episode(number), newer.episode(number)
        assert one.content() == two.content()
        times = [0, 3, 101, one.length - 1]
        frames = (read_pictures(episode.shown(HEAD), times) for episode in (one, two))
        for a, b in zip(*frames, strict=True):
            np.testing.assert_array_equal(a, b)


def test_splits_and_reports(made):
    assert split_names(made) == ("test", "train")
    assert len(open_source(made, "test")) == 1
    told = report(made)["splits"]
    assert told["train"]["cameras"][CAMERA]["size"] == [32, 48]
    assert told["train"]["instructions"] == {TASKS[0]: 1, TASKS[1]: 1}
    assert told["train"]["control_hz"] == [RATE]
    with pytest.raises(UserError, match="no split 'val': choose one of test, train"):
        open_source(made, "val")


def test_a_video_with_a_frame_too_few_is_passed_over(made, tmp_path):
    where = damaged(made, tmp_path)
    write_video(where / f"videos/chunk-000/{CAMERA}/episode_000001.mp4", pictures(1, 3))
    [fault] = faults(where)
    assert fault.endswith("at episode 1: episode_000001.mp4 has 3 frames for 4 steps")
    with pytest.raises(UserError, match="1 of 2 episodes"):
        read_episodes(config(where))
    assert len(read_episodes(config(where, bad_budget=0.5))) == 1


def test_damaged_files_are_faults(made, tmp_path):
    where = damaged(made, tmp_path)
    data = where / "data/chunk-000/episode_000000.parquet"
    data.write_bytes(data.read_bytes()[:-40])
    video = where / f"videos/chunk-000/{CAMERA}/episode_000001.mp4"
    video.write_bytes(video.read_bytes()[:60])
    first, second = faults(where)
    assert "episode_000000.parquet at episode 0" in first
    assert second.endswith("episode_000001.mp4 cannot be read as a video")
    video.unlink()
    assert faults(where)[1].endswith("episode_000001.mp4 cannot be read as a video")


@pytest.mark.parametrize(
    ("column", "values", "problem"),
    [
        ("frame_index", [0, 1, 3, 4], "frame_index does not count the steps from 0"),
        ("timestamp", [0.0, 0.1, 0.5, 0.3], "the time stamp of step 2 does not fit 10 steps"),
        ("timestamp", [0.0, float("nan"), 0.2, 0.3], "the time stamp of step 1 does not fit"),
        ("task_index", [0, 0, 7, 0], "task_index 7 is no task of meta/"),
        ("action", [[1.0], [1.0], [1.0], [1.0]], "action does not fit its shape"),
        ("action", ["a", "b", "c", "d"], "action does not fit its shape"),
    ],
)
def test_rows_that_do_not_fit_are_faults(made, tmp_path, column, values, problem):
    where = damaged(made, tmp_path)
    path = where / "data/chunk-000/episode_000001.parquet"
    table = parquet.read_table(path)
    place = table.column_names.index(column)
    parquet.write_table(table.set_column(place, column, pyarrow.array(values)), path)
    [fault] = faults(where)
    assert problem in fault


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda info: info.update(codebase_version="v1.6"), "is LeRobot v1.6: convert it"),
        (lambda info: info.pop("fps"), r"The meta files of .* \(KeyError\('fps'\)\)"),
        (lambda info: info.update(splits={"train": "x"}), "The meta files of"),
        (lambda info: info.update(features=[]), "The meta files of"),
    ],
)
def test_meta_files_that_are_not_lerobot_s_are_refused(made, tmp_path, change, sentence):
    where = damaged(made, tmp_path)
    path = where / "meta/info.json"
    info = json.loads(path.read_text())
    change(info)
    path.write_text(json.dumps(info))
    with pytest.raises(UserError, match=sentence):
        open_source(where, "train")


def test_a_cut_meta_file_is_named(made, tmp_path):
    where = damaged(made, tmp_path)
    path = where / "meta/episodes.jsonl"
    path.write_text(path.read_text()[:-5])
    with pytest.raises(UserError, match=r"episodes\.jsonl cannot be read"):
        open_source(where, "train")


def test_the_fingerprint_tells_other_files(made, tmp_path):
    where = damaged(made, tmp_path)
    before = open_source(made, "train").fingerprint()
    assert open_source(where, "train").fingerprint() == before | {"name": "damaged"}
    write_video(where / f"videos/chunk-000/{CAMERA}/episode_000001.mp4", pictures(0, 4))
    assert open_source(where, "train").fingerprint()["files"] != before["files"]
