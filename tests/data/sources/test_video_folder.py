"""Plain videos: one episode a file or folder, no actions, frames as PyAV decodes them."""

import shutil

import numpy as np
import pytest

from tests.data.lerobot_sets import pictures, write_video
from wamjax.core.errors import UserError
from wamjax.data import DataConfig, Windows, compute_statistics, read_episodes
from wamjax.data.files import video
from wamjax.data.files.pictures import read_pictures
from wamjax.data.files.video import Video, frames_in
from wamjax.data.sources.kinds import open_source
from wamjax.data.sources.source import Skipped

CLIP = ("exterior_image_1_left", "exterior_image_2_left", "wrist_image_left")


def config(directory, **changes) -> DataConfig:
    values = {
        "dir": str(directory),
        "cameras": ("video",),
        "action_key": None,
        "action_width": 7,
        "proprio_key": None,
        "proprio_width": 7,
        "instruction_key": "task",
        "image_size": 16,
        "holdout": 0.0,
        "gripper_dim": None,
        "prefetch": 0,
    }
    return DataConfig(**(values | changes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    write_video(root / "one.mp4", pictures(0, 7))
    (root / "one.txt").write_text("wipe the table\n")
    for camera in ("left", "right"):
        write_video(root / "two" / f"{camera}.mp4", pictures(1, 5))
    return root


def test_files_and_folders_are_episodes(folder):
    first, second = open_source(folder, "train").scan()
    assert (first.length, second.length) == (7, 5)
    assert first.steps["task"] == [b"wipe the table"] * 7
    assert second.steps["task"] == [b""] * 5
    # A camera that an episode does not have is missing, not an error.
    assert isinstance(first.shown("video"), Video)
    assert first.shown("left") == [b""] * 7
    assert first.metadata == {"control_hz": 10.0, "file": "one"}
    assert second.metadata["file"] == "two"


def test_cameras_that_are_missing_have_no_mask(folder):
    table = read_episodes(config(folder, cameras=("video", "left")))
    assert table.camera_ok.tolist() == [[True, False], [False, True]]
    assert not table.action_ok.any()
    given = config(folder, cameras=("video", "left"), frame_stride=1)
    windows = Windows(given, compute_statistics(given, table), table)
    batch = windows.batch(np.arange(len(windows)))
    assert not batch.has_action.any()
    assert not batch.frames[batch.camera_mask[:, 0], 1].any()
    greys = batch.frames[:, 0, 0].mean((1, 2, 3))[batch.camera_mask[:, 0]]
    np.testing.assert_allclose(greys, pictures(0, 7)[:6].mean((1, 2, 3)), atol=1)


def test_the_real_clip_trains_without_actions(shared_data, tmp_path):
    (tmp_path / "clip").symlink_to(shared_data / "droid_video_dreamzero")
    given = config(tmp_path, cameras=CLIP, frame_stride=3, cache_bytes=0)
    table = read_episodes(given)
    assert (len(table), int(table.starts[-1])) == (1, 419)
    assert table.camera_ok.all()
    windows = Windows(given, compute_statistics(given, table), table)
    batch = windows.batch(np.array([0, 200, 412]))
    assert batch.frame_mask.all()
    assert not batch.has_action.any()
    assert not batch.proprio_mask.any()
    # Each window's frames are found by seeking; those read in one go are the same.
    clip = Video(tmp_path / "clip" / f"{CLIP[2]}.mp4", 0, 419, 15.0)
    whole = read_pictures(clip, list(range(419)), 16)
    for row, start in enumerate((0, 200, 412)):
        for slot, t in enumerate((start, start + 3, start + 6)):
            np.testing.assert_array_equal(batch.frames[row, 2, slot], whole[t])


def test_cameras_of_different_lengths_and_broken_files_are_faults(folder, tmp_path):
    for camera, length in (("left", 5), ("right", 6)):
        write_video(tmp_path / "uneven" / f"{camera}.mp4", pictures(1, length))
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    write_video(tmp_path / "fine.mp4", pictures(0, 3))
    found = list(open_source(tmp_path, "train").scan())
    told = [str(item.fault) for item in found if isinstance(item, Skipped)]
    assert told[0].endswith("broken.mp4 cannot be read as a video")
    assert told[1].endswith("the cameras have different numbers of frames (left 5, right 6)")
    assert len(found) == 3


def test_a_cut_video_ends_where_it_ends(tmp_path):
    """Frames behind the cut are missing, those before it are right."""
    path = tmp_path / "long.avi"
    write_video(path, pictures(0, 24), codec="mjpeg")
    whole = path.read_bytes()
    clip = Video(path, 0, frames_in(path), 10.0)
    true = read_pictures(clip, list(range(24)))
    path.write_bytes(whole[: len(whole) // 2])
    read = read_pictures(clip, list(range(24)))
    assert read[0] is not None
    assert read[-1] is None
    for frame, wanted in zip(read, true, strict=True):
        if frame is not None:
            np.testing.assert_array_equal(frame, wanted)


def test_what_is_no_data_set_is_refused(folder, tmp_path):
    with pytest.raises(UserError, match="is no data set: give an RLDS version directory"):
        open_source(tmp_path, "train")
    with pytest.raises(UserError, match="is not a directory"):
        open_source(tmp_path / "none", "train")
    with pytest.raises(UserError, match="has no split 'val'"):
        open_source(folder, "val")


def test_a_kept_file_shows_what_one_opened_anew_shows(tmp_path, shared_data):
    """In any order, behind its end, and after another file took its name."""
    path = tmp_path / "clip.mp4"
    real = sorted((shared_data / "droid_video_dreamzero").glob("*.mp4"))
    for source in real[:2]:
        shutil.copy(source, path)
        clip = Video(path, 0, 419, 15.0)
        true = list(clip.frames())
        for start in (200, 417, 0, 3, 418, 100, 0):
            times = range(start, min(start + 4, 419))
            for t, frame in zip(times, clip.read(times), strict=True):
                np.testing.assert_array_equal(frame, true[t])
        assert len(video._kept.files) <= video.OPEN
