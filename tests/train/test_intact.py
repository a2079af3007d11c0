"""A checkpoint is what was saved, or it is set aside and the one before it is used."""

import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from tests.train.test_loop import TerminatedLoader, go, run
from wamjax.core.errors import UserError
from wamjax.core.files import read_json
from wamjax.train.checkpoint import load_for_inference
from wamjax.train.intact import TABLE, fault, steps_in, sweep, write_table

CONFIG = run(save_every=5)


def largest(checkpoint: pathlib.Path) -> pathlib.Path:
    files = [path for path in (checkpoint / "state").rglob("*") if path.is_file()]
    return max(files, key=lambda path: path.stat().st_size)


def truncated(checkpoint: pathlib.Path) -> None:
    file = largest(checkpoint)
    file.write_bytes(file.read_bytes()[:-7])


def emptied(checkpoint: pathlib.Path) -> None:
    largest(checkpoint).write_bytes(b"")


def flipped(checkpoint: pathlib.Path) -> None:
    file = largest(checkpoint)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def lost(checkpoint: pathlib.Path) -> None:
    largest(checkpoint).unlink()


def untold(checkpoint: pathlib.Path) -> None:
    (checkpoint / TABLE).write_text('{"state/')


DAMAGE: dict[Callable[[pathlib.Path], None], str] = {
    truncated: r"state/\S+ has \d+ bytes instead of \d+",
    emptied: r"state/\S+ has 0 bytes instead of \d+",
    flipped: r"state/\S+ has other content than was saved",
    lost: r"state/\S+ is missing",
    untold: r"intact\.json cannot be read",
}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, dict[str, Any]]:
    """A run stopped after two checkpoints, and what it becomes."""
    folder = tmp_path_factory.mktemp("stopped")
    go(CONFIG, folder / "run", loader=TerminatedLoader(8, at=12))
    shutil.copytree(folder / "run", folder / "whole")
    final, _ = go(CONFIG, folder / "whole")
    return folder / "run", final


def test_every_file_of_a_checkpoint_is_in_its_table(stopped: Any):
    for step in steps_in(stopped[0] / "checkpoints"):
        checkpoint = stopped[0] / "checkpoints" / str(step)
        items = [checkpoint / name for name in ("state", "data", "meta")]
        files = {path for item in items for path in item.rglob("*") if path.is_file()}
        assert {checkpoint / name for name in read_json(checkpoint / TABLE)} == files
        assert fault(checkpoint) is None


@pytest.mark.parametrize("damage", list(DAMAGE), ids=lambda damage: damage.__name__)
def test_a_broken_checkpoint_is_set_aside_and_the_end_is_the_same(
    damage: Callable[[pathlib.Path], None], stopped: Any, tmp_path: pathlib.Path
):
    workdir = tmp_path / "run"
    shutil.copytree(stopped[0], workdir)
    *_, before, newest = steps_in(workdir / "checkpoints")
    damage(workdir / "checkpoints" / str(newest))
    broken = {path.name for path in (workdir / "checkpoints" / str(newest)).rglob("*")}
    with pytest.raises(UserError, match=f"step {newest} .* is broken .{DAMAGE[damage]}"):
        load_for_inference(workdir)
    final, said = go(CONFIG, workdir)
    (line,) = [line for line in said.splitlines() if "is broken" in line]
    assert f"checkpoint of step {newest} is broken" in line
    assert f"goes on from step {before} of 20" in said
    assert {path.name for path in (workdir / "set_aside" / str(newest)).rglob("*")} == broken
    assert final["state_sha256"] == stopped[1]["state_sha256"]


def test_a_checkpoint_from_before_the_table_is_used_and_told(stopped: Any, tmp_path: pathlib.Path):
    workdir = tmp_path / "run"
    shutil.copytree(stopped[0], workdir)
    newest = steps_in(workdir / "checkpoints")[-1]
    (workdir / "checkpoints" / str(newest) / TABLE).unlink()
    final, said = go(CONFIG, workdir)
    assert f"checkpoint of step {newest} has no intact.json; it is used unchecked" in said
    assert final["state_sha256"] == stopped[1]["state_sha256"]


def test_if_all_are_broken_the_run_begins_again(stopped: Any, tmp_path: pathlib.Path):
    workdir = tmp_path / "run"
    shutil.copytree(stopped[0], workdir)
    steps = steps_in(workdir / "checkpoints")
    for step in steps:
        flipped(workdir / "checkpoints" / str(step))
    final, said = go(CONFIG, workdir)
    assert said.count("is broken") == len(steps)
    assert "goes on from" not in said
    assert final["state_sha256"] == stopped[1]["state_sha256"]
    assert sorted(path.name for path in (workdir / "set_aside").iterdir()) == sorted(
        map(str, steps)
    )


def test_half_written_ones_are_swept_and_nothing_else(tmp_path: pathlib.Path):
    for name in ("5", "10", "15.orbax-checkpoint-tmp", "15.orbax-checkpoint-tmp-1"):
        (tmp_path / name / "state").mkdir(parents=True)
        (tmp_path / name / "state" / "a").write_bytes(b"x" * 100)
        write_table(tmp_path / name)
    assert sweep(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "5"]
    assert sweep(tmp_path / "none") == 0
