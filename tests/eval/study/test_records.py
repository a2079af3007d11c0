"""Episodes as a file: nothing is lost, the same rows are the same bytes, bad files are refused."""

import dataclasses
import gzip
import pathlib

import pytest

from tests.eval.study.made_up import played, study
from wamjax.core.errors import UserError
from wamjax.eval.study.records import read_episodes, write_episodes


def test_what_is_written_is_read(tmp_path: pathlib.Path):
    episodes = list(played(study()))
    odd = dataclasses.replace(
        episodes[0], closest=None, distance=None, diverged=True, mode='a, "b"', success=False
    )
    path = write_episodes(tmp_path / "deep" / "episodes.csv.gz", [odd, *episodes])
    assert read_episodes(path) == [odd, *episodes]


def test_the_same_rows_are_the_same_bytes(tmp_path: pathlib.Path):
    episodes = list(played(study()))
    one = write_episodes(tmp_path / "one.csv.gz", episodes)
    other = write_episodes(tmp_path / "other.csv.gz", episodes)
    assert one.read_bytes() == other.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.csv.gz", "other.csv.gz"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"no gzip",
        lambda data: gzip.compress(b"a,b\n1,2\n"),
        lambda data: gzip.compress(gzip.decompress(data)[:-40]),
    ],
)
def test_a_spoiled_file_is_one_sentence(tmp_path: pathlib.Path, spoil):
    path = write_episodes(tmp_path / "episodes.csv.gz", played(study()))
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(UserError, match=r"holds no episodes of a study .* restore it"):
        read_episodes(path)


def test_a_missing_file_is_one_sentence(tmp_path: pathlib.Path):
    with pytest.raises(UserError, match="does not exist; run the study"):
        read_episodes(tmp_path / "episodes.csv.gz")
