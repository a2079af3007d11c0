"""Making stores: the same bytes whoever makes them and however often they are interrupted."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter

from tests.data.lerobot_sets import write_v21, write_video
from tests.data.stores import encoded, files, make, same_numbers, same_windows, whole
from tests.data.synthetic import config, copy
from wamjax.cli.main import main
from wamjax.core.errors import UserError
from wamjax.core.pool import Workers
from wamjax.data.files import example, store_format, tfrecord
from wamjax.data.files.array_record import scan_array_record
from wamjax.data.files.images import encode
from wamjax.data.files.stored import UNREADABLE
from wamjax.data.files.tfrecord import Record
from wamjax.data.files.video import Video, frames_in
from wamjax.data.sources.kinds import open_source
from wamjax.data.sources.rlds import RldsSource
from wamjax.data.sources.source import Skipped
from wamjax.data.sources.store import read_table
from wamjax.data.writing import shard as store_shard
from wamjax.data.writing import store as store_build
from wamjax.data.writing.plan import Making, plan_store
from wamjax.data.writing.recoding import Form, recoded

CARD = pathlib.Path(__file__).parents[3] / "data" / "cards" / "tabletop.toml"
SMALL = Form(size=12)


class KilledError(Exception):
    """In place of a killed process."""


@pytest.fixture(scope="module")
def wanted(tabletop, tmp_path_factory) -> dict[str, bytes]:
    """The files of the store, made in one go by one process."""
    return files(make(tabletop, tmp_path_factory.mktemp("wanted") / "store", SMALL))


def test_shards_hold_all_episodes_in_order_and_about_the_steps_asked_for(tabletop, wanted) -> None:
    plan = plan_store(Making(directory=str(tabletop), out=pathlib.Path("x"), shard_steps=20))
    assert [(part.first, part.last) for part in plan.parts] == [
        (start, min(start + 2, 14)) for start in range(0, 14, 2)
    ]
    one = plan_store(Making(directory=str(tabletop), out=pathlib.Path("x")))
    assert [(part.first, part.last) for part in one.parts] == [(0, 14)]
    shards = json.loads(wanted["store.json"])["splits"]["train"]["shards"]
    assert sum(shard["episodes"] for shard in shards) == 14
    assert len(shards) == 7


def test_two_processes_give_the_same_bytes(tabletop, wanted, tmp_path) -> None:
    assert files(make(tabletop, tmp_path / "store", SMALL, workers=2)) == wanted
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def killed(*args: Any, **kwargs: Any) -> Any:
    raise KilledError


@pytest.mark.parametrize("stop", [0, 1, 4, 5, 13])
def test_an_interrupted_store_is_taken_up_again(
    tabletop, wanted, tmp_path, monkeypatch, stop: int
) -> None:
    """Broken off in the middle of a shard and at its end; finished shards are not read again."""
    asked: list[int] = []
    read = RldsSource.episode

    def stopped(self: RldsSource, number: int) -> Any:
        if number == stop:
            raise KilledError
        return read(self, number)

    def noted(self: RldsSource, number: int) -> Any:
        asked.append(number)
        return read(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(store_build, "plan_store", planned_before(tabletop, tmp_path))
        patch.setattr(RldsSource, "episode", stopped)
        with pytest.raises(KilledError):
            make(tabletop, tmp_path / "store", SMALL)
        assert [path.name for path in tmp_path.iterdir()] == [".store.incomplete"]
        patch.setattr(RldsSource, "episode", noted)
        assert files(make(tabletop, tmp_path / "store", SMALL)) == wanted
    assert asked == list(range(stop // 2 * 2, 14))
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def planned_before(directory: pathlib.Path, place: pathlib.Path) -> Any:
    """The plan without its look at the lengths."""
    values = {"directory": str(directory), "out": place / "store", "images": SMALL}
    plan = plan_store(Making(**values, shard_steps=20))
    return lambda making: plan


@pytest.mark.parametrize("where", ["assemble", "_described", "_check", "rename", "rmtree"])
def test_a_kill_while_the_store_is_put_together(
    tabletop, wanted, tmp_path, monkeypatch, where: str
) -> None:
    out = tmp_path / "store"
    rename, rmtree = os.rename, shutil.rmtree
    with monkeypatch.context() as patch:
        match where:
            case "rename":
                patch.setattr(os, "rename", lambda a, b: killed() if b == out else rename(a, b))
            case "rmtree":
                work = out.with_name(".store.incomplete")
                patch.setattr(
                    shutil, "rmtree", lambda p, **k: killed() if p == work else rmtree(p, **k)
                )
            case _:
                patch.setattr(store_build, where, killed)
        with pytest.raises(KilledError):
            make(tabletop, out, SMALL)
    assert out.exists() == (where == "rmtree")
    assert files(make(tabletop, out, SMALL)) == wanted
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_torn_files_are_written_again(tabletop, wanted, tmp_path, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(store_build, "assemble", killed)
        with pytest.raises(KilledError):
            make(tabletop, tmp_path / "store", SMALL)
    parts = tmp_path / ".store.incomplete" / "parts" / "train"
    os.rename(parts / "00002", parts / ".00002.4711")
    (parts / ".00002.4711" / store_shard.DONE).unlink()
    (parts / "00004" / store_format.RECORDS).unlink()
    assert files(make(tabletop, tmp_path / "store", SMALL)) == wanted


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_none_behind(tabletop, wanted, tmp_path) -> None:
    command = [sys.executable, "-m", "wamjax", "data", "prepare", "--from", str(tabletop)]
    command += ["--out", str(tmp_path / "store"), "--size", "12", "--shard-steps", "20"]
    command += ["--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    parts = tmp_path / ".store.incomplete" / "parts" / "train"
    while not list(parts.glob("0*")):
        time.sleep(0.01)
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while any(pathlib.Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert subprocess.run(command, check=False).returncode == 0
    assert files(tmp_path / "store") == wanted


def torn(path: pathlib.Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"\xff\xd8") + 200] ^= 1
    path.write_bytes(data)


def wrong(path: pathlib.Path) -> None:
    """A record of the right lengths and with a checksum of its own, but not the one."""
    records = [item.payload for item in scan_array_record(path) if isinstance(item, Record)]
    writer = ArrayRecordWriter(str(path), store_shard.OPTIONS)
    for record in [records[0][:-9] + b"other" + records[0][-4:], *records[1:]]:
        writer.write(record)
    writer.close()


@pytest.mark.parametrize("spoil", [torn, wrong])
def test_what_was_written_badly_is_found_and_made_anew(
    tabletop, wanted, tmp_path, monkeypatch, spoil
) -> None:
    assemble = store_build.assemble

    def spoilt(parts: Any, features: Any, folder: pathlib.Path) -> None:
        assemble(parts, features, folder)
        spoil(folder / "00003.array_record")

    with monkeypatch.context() as patch:
        patch.setattr(store_build, "assemble", spoilt)
        with pytest.raises(UserError, match=r"cannot be read back .*00003.array_record"):
            make(tabletop, tmp_path / "store", SMALL)
    assert not (tmp_path / "store").exists()
    assert files(make(tabletop, tmp_path / "store", SMALL)) == wanted


def flipped(directory: pathlib.Path, shard: int, record: int) -> pathlib.Path:
    """A byte of a record of the made-up set changed."""
    path = sorted(directory.glob("*.tfrecord-*"))[shard]
    data = bytearray(path.read_bytes())
    data[tfrecord.index(path)[record] + 40] ^= 1
    path.write_bytes(data)
    return path


def test_bad_episodes_are_told_and_left_out_within_the_budget(
    tabletop, wanted, tmp_path, capsys
) -> None:
    directory = copy(tabletop, tmp_path / "data")
    path = flipped(directory, 1, 2)
    offset = tfrecord.index(path)[2]
    told = f"{path} at byte {offset}: "
    with pytest.raises(
        UserError, match=r"1 of 14 episodes of .* more than --bad-budget = 0 allows"
    ):
        make(directory, tmp_path / "store", SMALL)
    store = make(directory, tmp_path / "store", SMALL, bad_budget=0.1)
    assert told in capsys.readouterr().err
    table = read_table(store)["splits"]["train"]
    assert table["skipped"][0].startswith(f"episode 6: {path.name} at byte {offset}: ")
    source = open_source(directory, "train")
    left = [item for item in source.scan() if not isinstance(item, Skipped)]
    for mine, theirs in zip(whole(open_source(store, "train")), left, strict=True):
        same_numbers(mine, theirs)
    assert open_source(store, "train").notes()[0].startswith("1 of 14 episodes could not be read")


@pytest.mark.parametrize("record", [0, 2])
def test_what_was_repaired_since_is_read_again(tabletop, tmp_path, record: int, wanted) -> None:
    """Also where shards were planned otherwise, without the lengths of what could not be read."""
    directory = copy(tabletop, tmp_path / "data")
    making = Making(directory=str(directory), out=tmp_path, shard_steps=20)
    before = plan_store(making).parts
    flipped(directory, 1, record)
    assert (plan_store(making).parts == before) == (record == 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_build, "_check", killed)
        with pytest.raises(KilledError):
            make(directory, tmp_path / "store", SMALL, bad_budget=0.1)
    flipped(directory, 1, record)
    assert files(make(directory, tmp_path / "store", SMALL)) == wanted


def test_a_shard_of_bad_episodes_leaves_a_gap(tabletop, tmp_path) -> None:
    directory = copy(tabletop, tmp_path / "data")
    for record in (0, 1):
        flipped(directory, 1, record)
    store = make(directory, tmp_path / "store", SMALL, bad_budget=0.2, shard_steps=16)
    assert "train/00002.array_record" not in files(store)
    lengths = [episode.length for episode in whole(open_source(store, "train"))]
    assert lengths == [7, 2, 12, 1, 9, 3, 15, 8, 6, 11, 4, 10]
    assert all(encoded(open_source(store, "train").episode(4).shown("observation/image")))


def test_images_that_cannot_be_decoded_stay_as_they_are(tmp_path) -> None:
    """They are counted, and whoever trains on the store finds them as in the data set."""
    frame = np.full((8, 8, 3), 90, np.uint8)
    image = encode(frame, "png", 100)
    made, bad = recoded([image, b"not a picture", b"", image], Form(size=4))
    assert bad == [1]
    assert made[1:3] == [b"not a picture", b""]
    assert made[0].startswith(b"\xff\xd8")
    assert recoded([image, b"not a picture"], Form()) == ([image, b"not a picture"], [])
    path = tmp_path / "cut.avi"
    write_video(path, np.repeat(frame[None], 24, 0), codec="mjpeg")
    clip = Video(path, 0, frames_in(path), 10.0)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    made, bad = recoded(clip, Form(size=4))
    assert len(made) == 24
    assert bad == list(range(bad[0], 24))
    assert made[bad[0] :] == [UNREADABLE] * len(bad)


def test_bad_images_count_against_the_budget(tabletop, tmp_path, capsys) -> None:
    directory = copy(tabletop, tmp_path / "data")
    path = sorted(directory.glob("*.tfrecord-*"))[0]
    flats = [example.decode(record.payload) for record in tfrecord.scan(path)]
    images = flats[2]["steps/observation/image"]
    images[3] = images[3][:60]
    with tfrecord.Writer(path) as writer:
        for flat in flats:
            writer.write(example.encode(flat))
    with pytest.raises(UserError, match=r"1 of 44 images of .* more than --bad-budget = 0 allows"):
        make(directory, tmp_path / "store", Form(size=12, format="png"))
    store = make(directory, tmp_path / "store", Form(size=12, format="png"), bad_budget=0.1)
    assert "steps/observation/image at step 3 cannot be decoded" in capsys.readouterr().err
    assert len(read_table(store)["splits"]["train"]["bad_images"]) == 1
    # The same frame is missing, and the same one stands in for it.
    mine, theirs = (
        config(place, image_size=12, frame_stride=1, bad_budget=0.1) for place in (store, directory)
    )
    assert same_windows(mine, theirs) > 50


def test_a_card_chooses_the_cameras_and_is_held_to_the_data(tabletop, tmp_path) -> None:
    text = CARD.read_text()
    one = tmp_path / "one.toml"
    one.write_text(text.replace('primary = "observation/image"\n', ""))
    store = make(tabletop, tmp_path / "store", SMALL, card=str(one))
    source, before = open_source(store, "train"), open_source(tabletop, "train")
    assert store_format.cameras_of(source.features) == ("observation/wrist_image",)
    assert read_table(store)["card"]["robot"].startswith("Franka")
    for mine, theirs in zip(whole(source), whole(before), strict=True):
        same_numbers(dataclasses.replace(mine, steps={**theirs.steps, **mine.steps}), theirs)
        assert set(theirs.steps) - set(mine.steps) == {"observation/image"}
    # With the card, windows of the store are those of the data set.
    given = config(store, card=str(CARD), cameras=("wrist",), image_size=12)
    lossless = make(tabletop, tmp_path / "png", Form(size=12, format="png"), card=str(one))
    same_windows(
        dataclasses.replace(given, dir=str(lossless)),
        dataclasses.replace(given, dir=str(tabletop)),
    )
    for change, problem in (
        (('wrist = "observation/wrist_image"', 'wrist = "eye"'), "'eye' is no image feature"),
        (('"action" = 7', '"action" = 6\n"more" = 1'), "steps/action has 7 numbers a step"),
    ):
        wrong = tmp_path / "wrong.toml"
        changed = text.replace(*change).replace('keys = ["action"]', 'keys = ["action", "more"]')
        wrong.write_text(changed if "more" in change[1] else text.replace(*change))
        with pytest.raises(UserError, match=problem):
            make(tabletop, tmp_path / "none", SMALL, card=str(wrong))
    old = tmp_path / "old.toml"
    old.write_text('version = "0.9.0"\n' + text)
    with pytest.raises(UserError, match=r"is version 1.0.0, and the card .* is of version 0.9.0"):
        make(tabletop, tmp_path / "none", SMALL, card=str(old))


def test_what_stands_in_its_place_is_refused(tabletop, tmp_path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    for name in ("folder", "file"):
        with pytest.raises(UserError, match="exists and is no store: remove it"):
            make(tabletop, tmp_path / name)
    store = make(tabletop, tmp_path / "store")
    before = files(store)
    with pytest.raises(UserError, match=r"is a store of something else \(images.size: recorded"):
        make(tabletop, store, SMALL)
    assert files(make(tabletop, store)) == before
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_build, "assemble", killed)
        with pytest.raises(KilledError):
            make(tabletop, tmp_path / "half")
    with pytest.raises(UserError, match=r"half.incomplete is what was made of a store of"):
        make(tabletop, tmp_path / "half", shard_steps=30)
    with (
        store_build._taken_up(tmp_path / ".busy.incomplete", {}),
        pytest.raises(UserError, match="Another process writes to"),
    ):
        make(tabletop, tmp_path / "busy")


def test_the_parts_of_a_source_may_be_made_anywhere(tabletop, wanted, tmp_path) -> None:
    """A shard is a function of the source and the numbers of its episodes."""
    plan = plan_store(
        Making(directory=str(tabletop), out=tmp_path / "x", images=SMALL, shard_steps=20)
    )
    made = []
    for part in reversed(plan.parts):
        source = open_source(part.directory, part.split)
        folder = tmp_path / f"{part.number:05d}"
        numbers = range(part.first, part.last)
        shard = store_shard.write_shard(source, numbers, plan.features, None, SMALL, folder)
        made.insert(0, (folder, shard))
    store_build.assemble(made, plan.features, tmp_path / "train")
    assert files(tmp_path / "train") == {
        name.removeprefix("train/"): data for name, data in wanted.items() if "train/" in name
    }


def test_every_source_says_where_an_episode_stands(tabletop, tmp_path) -> None:
    lerobot = write_v21(tmp_path / "lerobot")
    write_video(tmp_path / "videos" / "one.mp4", np.zeros((3, 16, 16, 3), np.uint8))
    for directory in (tabletop, lerobot, tmp_path / "videos"):
        source = open_source(directory, "train")
        for number, episode in enumerate(whole(source)):
            assert source.place(number) == episode.place
        with pytest.raises(IndexError):
            source.place(len(source))


def test_the_command_line(tabletop, tmp_path, capsys) -> None:
    store = tmp_path / "store"
    given = ["data", "prepare", "--from", str(tabletop), "--out", str(store), "--size", "16"]
    assert main([*given, "--format", "png", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["splits"]["train"]
    assert (told["episodes"], told["steps"], told["skipped"]) == (14, 113, 0)
    assert main(["data", "inspect", str(store), "--sheet", str(tmp_path / "sheet.png")]) == 0
    assert "split train: 14 episodes, 113 steps" in capsys.readouterr().out
    page = tmp_path / "page.html"
    assert main(["data", "look", str(store), "--episode", "3", "--out", str(page)]) == 0
    assert "tabletop 1.0.0: episode 3 of train" in page.read_text()
    capsys.readouterr()
    assert main(["data", "stats", str(store)]) == 0
    mine = capsys.readouterr().out.splitlines()
    assert main(["data", "stats", str(tabletop)]) == 0
    assert mine == capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (["--size", "big"], "--size must be pixels or recorded, got 'big'."),
        (["--size", "0"], "--size must be at least 1"),
        (["--quality", "0"], "--quality must be in 1 ... 100"),
        (["--workers", "0"], "--workers must be at least 1"),
        (["--shard-steps", "0"], "--shard-steps must be at least 1"),
        (["--bad-budget", "1"], "--bad-budget must be in [0, 1)"),
        (["--split", "none"], "has no split 'none'"),
        (["--card", "none.toml"], "none.toml cannot be read"),
        (["--from", "nowhere"], "nowhere is not a directory"),
    ],
)
def test_bad_input_is_one_sentence(tabletop, tmp_path, capsys, changes, problem) -> None:
    given = ["data", "prepare", "--from", str(tabletop), "--out", str(tmp_path / "store")]
    assert main([*given, *changes]) == 2
    error = capsys.readouterr().err.strip()
    assert problem in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_sentence(tabletop, tmp_path, capsys) -> None:
    (tmp_path / "file").write_text("mine")
    given = ["data", "prepare", "--from", str(tabletop), "--out", str(tmp_path / "file" / "store")]
    assert main(given) == 2
    assert "cannot be read or written (Not a directory)" in capsys.readouterr().err


def work(part: int, tick: Any) -> int:
    tick()
    if part == 3:
        raise UserError("three is too many.")
    if part == 4:
        os._exit(1)
    return part * part


def test_work_that_fails_or_dies_is_told(monkeypatch) -> None:
    counted: list[int] = []
    with Workers(2) as workers:
        got = dict(workers.spread(work, [0, 1, 2], counted.append))
        assert got == {0: 0, 1: 1, 2: 4}
        assert sum(counted) == 3
        with pytest.raises(UserError, match="three is too many"):
            list(workers.spread(work, [2, 3], counted.append))
        with pytest.raises(UserError, match="One of the processes was ended from outside"):
            list(workers.spread(work, [4, 4], counted.append))
