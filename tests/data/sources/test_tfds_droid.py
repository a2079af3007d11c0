"""Real DROID episodes (videos and JSON) as RLDS: TFDS reads back every number, text and picture."""

import json
import pathlib
from typing import Any

import av
import numpy as np
import pytest

from tests.data.real_mixture import droid_episodes
from tests.data.sources.test_tfds_parity import _read
from wamjax.core.records import Episode
from wamjax.data.files.images import decode
from wamjax.data.sources.rlds import RldsSource
from wamjax.data.writing.rlds import write_rlds

pytestmark = [pytest.mark.tfds, pytest.mark.filterwarnings("ignore")]
CAMERAS = ("exterior_1", "exterior_2", "wrist")


@pytest.fixture(scope="module")
def tfds() -> Any:
    pytest.importorskip("tensorflow")
    import tensorflow_datasets

    return tensorflow_datasets


@pytest.fixture(scope="module")
def episodes(shared_data: pathlib.Path) -> list[Episode]:
    return list(droid_episodes(shared_data))


@pytest.fixture(scope="module")
def written(episodes: list[Episode], tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    root = tmp_path_factory.mktemp("droid")
    return write_rlds(root, "droid_five", "1.0.0", iter(episodes), shard_episodes=4)


@pytest.fixture(scope="module")
def read(tfds: Any, written: pathlib.Path) -> list[dict[str, Any]]:
    return _read(tfds, written, "train")


def test_numbers_texts_and_marks_are_those_of_the_annotations(
    episodes: list[Episode], read: list[dict[str, Any]], shared_data: pathlib.Path
) -> None:
    assert len(read) == len(episodes) > 4
    root = shared_data / "droid_ctrlworld" / "droid_subset" / "annotation"
    told = {path.stem: json.loads(path.read_text()) for path in root.glob("*/*.json")}
    for episode, found in zip(episodes, read, strict=True):
        steps = {name: np.stack(values) for name, values in found["steps"].items()}
        source = told[found["metadata"]["id"].decode()]
        states = np.asarray(source["states"], np.float32)
        np.testing.assert_array_equal(steps["observation/state"][:, :6], states[:, :6])
        np.testing.assert_array_equal(steps["observation/state"][:, 6], 1 - states[:, 6])
        np.testing.assert_array_equal(steps["action"], episode.actions.astype(np.float32))
        assert {*steps["language_instruction"].tolist()} == {source["texts"][0].encode()}
        last = np.arange(len(states)) == len(states) - 1
        np.testing.assert_array_equal(steps["is_last"], last)
        np.testing.assert_array_equal(steps["is_first"], last[::-1])
        assert bool(found["metadata"]["success"]) == bool(source["success"])


def test_pictures_are_those_that_pyav_decodes(
    episodes: list[Episode], read: list[dict[str, Any]]
) -> None:
    """Bit for bit, for they are kept as PNG; `droid_episodes` decodes the videos by PyAV."""
    for episode, found in zip(episodes, read, strict=True):
        for camera in CAMERAS:
            pictures = np.stack(found["steps"][f"observation/{camera}_image"])
            np.testing.assert_array_equal(pictures, episode.frames[camera])


def test_pictures_stand_in_the_order_of_the_video(
    episodes: list[Episode], read: list[dict[str, Any]], shared_data: pathlib.Path
) -> None:
    """A resize keeps the mean colour, which tells frames and channels apart."""
    name = str(episodes[0].metadata["id"])
    root = shared_data / "droid_ctrlworld" / "droid_subset" / "videos"
    (video,) = root.glob(f"*/{name}/2.mp4")
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    small = np.stack(read[0]["steps"]["observation/wrist_image"])
    assert len(small) <= len(frames)
    means = np.array([frame.mean((0, 1)) for frame in frames[: len(small)]])
    np.testing.assert_allclose(small.mean((1, 2)), means, atol=2.0)


def test_we_read_the_same_steps_and_the_same_encoded_images(
    tfds: Any, written: pathlib.Path
) -> None:
    source = RldsSource(written, "train")
    skip = {f"{camera}_image": tfds.decode.SkipDecoding() for camera in CAMERAS}
    theirs = _read(tfds, written, "train", {"steps": {"observation": skip}})
    assert len(theirs) == len(source)
    for number, expected in enumerate(theirs):
        ours = source.episode(number)
        assert set(ours.steps) == set(expected["steps"])
        for name, values in expected["steps"].items():
            found = ours.steps[name]
            if name.endswith("_image"):
                assert [bytes(image) for image in found] == [bytes(image) for image in values]
                assert decode(bytes(found[0])).shape == (64, 64, 3)
            elif isinstance(found, np.ndarray):
                assert found.dtype == np.asarray(values).dtype
                np.testing.assert_array_equal(found, np.stack(values))
            else:
                assert found == values
