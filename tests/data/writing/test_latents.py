"""Latents on disk: whole or absent, the same however they came about, and held to checksums."""

import concurrent.futures
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from tests.data.encoded_windows import encode, make, plan_of, windows_of
from wamjax.core.errors import UserError
from wamjax.data.files import latent_format as form
from wamjax.data.windows.encoded import Latents
from wamjax.data.windows.pipeline import Windows
from wamjax.data.writing import latents as making


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "SHARD_BYTES", 2**12)


@pytest.fixture(scope="module")
def windows(tabletop: pathlib.Path) -> Windows:
    return windows_of(tabletop, part="all")


@pytest.fixture
def whole(windows: Windows, tmp_path: pathlib.Path) -> dict[str, bytes]:
    make(tmp_path / "whole", windows)
    return files(tmp_path / "whole")


def files(directory: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def started(directory: pathlib.Path, out: pathlib.Path, delay: float) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.data.encoded_windows", directory, out, str(delay)]
    return subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def test_what_is_made_is_told(windows: Windows, whole: dict[str, bytes]) -> None:
    count = plan_of(windows).shards
    assert count > 4
    names = [f"{n:05d}{end}" for n in range(count) for end in (".npy", ".rows.npy")]
    assert sorted(whole) == sorted([*names, "latents.json", "plan.json"])


def test_killed_and_started_again_it_is_the_same(
    tabletop: pathlib.Path, windows: Windows, whole: dict[str, bytes], tmp_path: pathlib.Path
) -> None:
    out = tmp_path / "killed"
    process = started(tabletop, out, 0.05)
    assert process.stdout is not None
    with process:
        for _ in range(8):  # of 14 or so, three to a shard
            assert process.stdout.readline() == b"encoded\n"
        process.send_signal(signal.SIGKILL)
    kept = set(files_of(out)) & set(whole)
    assert 0 < len([name for name in kept if name.endswith("rows.npy")]) < plan_of(windows).shards
    with pytest.raises(UserError, match="not finished: go on with `wamjax data encode`"):
        Latents(out)
    calls = []
    make(out, windows, lambda frames: calls.append(1) or encode(frames))
    assert files(out) == whole
    assert 0 < len(calls) < -(-len(windows) // 8)


def files_of(directory: pathlib.Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def test_two_processes_share_the_work(
    tabletop: pathlib.Path, whole: dict[str, bytes], tmp_path: pathlib.Path
) -> None:
    out = tmp_path / "shared"
    both = [started(tabletop, out, 0.2) for _ in range(2)]
    said = [process.communicate()[0].count(b"encoded") for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert files(out) == whole
    rows = sum(name.endswith("rows.npy") for name in whole)
    assert min(said) > 0
    # Nothing was made twice: three batches a shard, and fewer in the last.
    assert 3 * (rows - 1) < sum(said) <= 3 * rows


def test_whoever_comes_second_finds_the_plan(windows: Windows, tmp_path: pathlib.Path) -> None:
    plan, weights = plan_of(windows), {"w": np.arange(3.0)}
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        for out in (tmp_path / str(number) for number in range(8)):
            list(threads.map(lambda _, out=out: making.begin(out, plan, weights), range(8)))
            assert sorted(files(out)) == ["codec.npz", "plan.json"]


def test_locks_are_taken_while_another_process_that_is_done_removes_them(
    tmp_path: pathlib.Path,
) -> None:
    done = threading.Event()

    def remove() -> None:
        while not done.is_set():
            shutil.rmtree(tmp_path / making.LOCKS, ignore_errors=True)

    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        thread.submit(remove)
        try:
            for number in range(2000):
                with making._claimed(tmp_path, number % 3) as ours:
                    assert ours
        finally:
            done.set()


@pytest.mark.parametrize("name", ["00001.npy", "00001.rows.npy", "latents.json"])
@pytest.mark.parametrize("how", ["a bit", "cut", "gone"])
def test_damage_is_found_and_mended(
    windows: Windows, whole: dict[str, bytes], tmp_path: pathlib.Path, name: str, how: str
) -> None:
    out = tmp_path / "whole"
    path, data = out / name, bytearray(whole[name])
    data[-9] ^= 4
    match how:
        case "a bit":
            path.write_bytes(data)
        case "cut":
            path.write_bytes(whole[name][:-20])
        case _:
            path.unlink()
    with pytest.raises(UserError, match=r"`wamjax data encode`") as told:
        Latents(out).gather(np.arange(len(windows)))
    assert name in str(told.value) or how == "gone"
    # What it says is to be done.
    if name == "latents.json":
        path.unlink(missing_ok=True)
    make(out, windows)
    assert files(out) == whole


def test_the_window_with_a_wrong_checksum_is_named(
    windows: Windows, whole: dict[str, bytes], tmp_path: pathlib.Path
) -> None:
    path, data = tmp_path / "whole" / "00001.npy", bytearray(whole["00001.npy"])
    data[-9] ^= 4
    path.write_bytes(data)
    latents, each = Latents(tmp_path / "whole"), plan_of(windows).shard_windows
    last = 2 * each - 1
    np.testing.assert_array_equal(
        latents.gather(np.arange(last)), encode(windows.batch(np.arange(last)).frames)
    )
    with pytest.raises(UserError, match=rf"00001\.npy: the checksum of window {last} is wrong"):
        latents.gather(np.array([last]))


def test_another_plan_is_refused_and_nothing_is_written_over(
    windows: Windows, whole: dict[str, bytes], tmp_path: pathlib.Path
) -> None:
    told = r"holds latents of something else \(dtype: float32 there, float16 here\)"
    with pytest.raises(UserError, match=told):
        make(tmp_path / "whole", windows, dtype="float16")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="mine is not empty: choose another --out"):
        make(tmp_path / "mine", windows)
    with pytest.raises(UserError, match=r"notes\.txt is a file"):
        make(tmp_path / "mine" / "notes.txt", windows)
    assert files(tmp_path / "whole") == whole


@pytest.mark.parametrize(
    ("change", "dtype"), [(np.nan, "float32"), (1e6, "float16"), (np.inf, "bfloat16")]
)
def test_latents_that_cannot_be_stored_are_refused(
    windows: Windows, tmp_path: pathlib.Path, change: float, dtype: form.Stored
) -> None:
    with pytest.raises(UserError, match=rf"latents that {dtype} cannot hold.*windows 0 \.\.\. 7"):
        make(tmp_path / "out", windows, lambda f: encode(f) + np.float32(change), dtype=dtype)
    assert not (tmp_path / "out" / form.JSON).exists()


def test_a_directory_without_latents_is_told(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="holds no latents: make them with"):
        Latents(tmp_path)
