import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np
import pytest

from tests.data.synthetic import LENGTHS, episode, episodes
from wamjax.core.errors import UserError
from wamjax.core.records import Episode
from wamjax.data.files.images import decode
from wamjax.data.sources.rlds import RldsSource
from wamjax.data.sources.source import RawEpisode
from wamjax.data.writing.rlds import write_rlds


def _files(directory: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def test_what_is_written_is_read(tabletop: pathlib.Path) -> None:
    source = RldsSource(tabletop, "train")
    assert len(source) == len(LENGTHS)
    assert len(source.description.shards) == 4
    scanned = list(source.scan())
    for number, made in enumerate(episodes()):
        found = source.episode(number)
        once = scanned[number]
        assert isinstance(once, RawEpisode)
        assert found.content() == once.content()
        assert found.place == once.place
        for camera, key in (("primary", "image"), ("wrist", "wrist_image")):
            images = [decode(bytes(i)) for i in found.steps[f"observation/{key}"]]
            np.testing.assert_array_equal(images, made.frames[camera])
        np.testing.assert_array_equal(found.steps["action"], made.actions)
        np.testing.assert_array_equal(
            found.steps["observation/state"], made.proprio.astype(np.float32)
        )
        last = np.arange(len(made.actions)) == len(made.actions) - 1
        np.testing.assert_array_equal(found.steps["is_last"], last)
        np.testing.assert_array_equal(found.steps["is_first"], last[::-1])
        np.testing.assert_array_equal(found.steps["is_terminal"], last & made.success)
        np.testing.assert_array_equal(found.steps["reward"], last * made.success)
        assert found.steps["language_instruction"] == [made.instruction.encode()] * len(last)
        assert found.metadata == {
            "episode_id": number,
            "success": made.success,
            "control_hz": 10.0,
            **made.metadata,
        }
    with pytest.raises(IndexError):
        source.episode(len(LENGTHS))


def test_the_same_episodes_give_the_same_bytes(
    tabletop: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    again = write_rlds(tmp_path, "tabletop", "1.0.0", episodes(), shard_episodes=4)
    assert _files(again) == _files(tabletop)
    assert [p.name for p in again.parent.iterdir()] == ["1.0.0"]


def test_a_data_set_is_never_overwritten(tabletop: pathlib.Path) -> None:
    before = _files(tabletop)
    with pytest.raises(UserError, match="exists already"):
        write_rlds(tabletop.parents[1], "tabletop", "1.0.0", episodes())
    assert _files(tabletop) == before


def test_a_failure_half_way_leaves_nothing_and_can_be_repeated(tmp_path: pathlib.Path) -> None:
    def failing() -> Iterator[Episode]:
        yield episode(0, 4)
        yield episode(1, 4)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_rlds(tmp_path, "tabletop", "1.0.0", failing(), shard_episodes=1)
    assert list((tmp_path / "tabletop").iterdir()) == []
    # What a killed process left behind does not matter either.
    (tmp_path / "tabletop" / ".1.0.0.incomplete").mkdir()
    (tmp_path / "tabletop" / ".1.0.0.incomplete" / "shard-00000").write_bytes(b"rest")
    done = write_rlds(tmp_path, "tabletop", "1.0.0", episodes((3, 4)))
    assert len(RldsSource(done, "train")) == 2
    assert len(_files(done)) == 3


def test_episodes_that_do_not_fit_are_refused(tmp_path: pathlib.Path) -> None:
    good = episode(0, 4)
    for bad, told in (
        (episode(1, 4, size=8), "the first one"),
        (dataclasses.replace(good, metadata={"task": "reach"}), "the first one"),
        (dataclasses.replace(good, actions=good.actions[:3]), "3 actions"),
        (dataclasses.replace(good, actions=good.actions * np.nan), "not finite"),
    ):
        with pytest.raises(ValueError, match=told):
            write_rlds(tmp_path, "tabletop", "1.0.0", iter([good, bad]))
    with pytest.raises(UserError, match="no episode"):
        write_rlds(tmp_path, "tabletop", "1.0.0", iter([]))
    with pytest.raises(ValueError, match="form TFDS wants"):
        write_rlds(tmp_path, "Table top", "1.0.0", episodes())
    assert list((tmp_path / "tabletop").iterdir()) == []
