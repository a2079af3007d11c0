"""From windows to their latents on disk; what lies there is told in `data.files.latent_format`.

A shard is a function of its number alone. Several processes, each with a device of its own, may be
given the same command: each takes a shard that nobody else is at (a lock on LATENTS/.locks/NNNNN,
which dies with its process), and whoever finds all of them done looks at every window once more
and writes latents.json.
"""

import concurrent.futures
import contextlib
import fcntl
import os
import pathlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TextIO

import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_json
from wamjax.core.progress import Progress
from wamjax.data.files import latent_format as form
from wamjax.data.files.latent_format import LatentPlan
from wamjax.data.files.paths import digest
from wamjax.data.files.store_format import sealed

LOCKS = ".locks"
POLL = 0.5  # seconds

# Window numbers [B], -1 for a row that is thrown away -> uint8 [B, V, T, H, W, 3] and bool [B, T].
Read = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
# Those frames -> float [B, W, L, h, w, c].
Encode = Callable[[np.ndarray], np.ndarray]


def make_latents(
    out: pathlib.Path,
    plan: LatentPlan,
    read: Read,
    encode: Encode,
    weights: Mapping[str, np.ndarray],
    batch: int,
) -> None:
    """Encode all windows, or go on where it was interrupted, or mend what was damaged.

    Args:
        out: the directory.
        plan: what is encoded.
        read: the frames of windows, and which of them are real.
        encode: the codec.
        weights: of the codec, by path; none if it has none.
        batch: windows that are encoded at once.

    Raises:
        UserError: something else stands there, or latents that cannot be stored.
    """
    begin(out, plan, weights)
    for last in (False, True):
        _make_shards(out, plan, read, encode, batch)
        bad = damaged(out, plan)
        if not bad:
            break
        if last:
            raise UserError(f"{out / bad[0]} cannot be read back: see to the disk, then go on.")
        for name in (form.JSON, *bad):
            (out / name).unlink(missing_ok=True)
    names = [form.rows_name(number) for number in range(plan.shards)]
    if weights:
        names.append(form.WEIGHTS)
    table = {**plan.to_json(), "files": {name: digest(out / name) for name in names}}
    write_json(out / form.JSON, sealed(table))
    shutil.rmtree(out / LOCKS, ignore_errors=True)


def begin(out: pathlib.Path, plan: LatentPlan, weights: Mapping[str, np.ndarray]) -> None:
    """Write down what is made here.

    Raises:
        UserError: it is something else.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: choose another --out.")
    with _alone(out):
        _write_down(out, plan, weights)


def _write_down(out: pathlib.Path, plan: LatentPlan, weights: Mapping[str, np.ndarray]) -> None:
    if (out / form.PLAN).is_file():
        form.refuse_others(
            f"{out} holds latents of something else",
            read_json(out / form.PLAN),
            plan.to_json(),
            "remove it or choose another --out",
        )
    elif any(out.iterdir()):
        raise UserError(f"{out} is not empty: choose another --out.")
    write_json(out / form.PLAN, plan.to_json())
    if weights and not (out / form.WEIGHTS).is_file():
        with _whole(out / form.WEIGHTS) as path, open(path, "wb") as file:
            np.savez(file, allow_pickle=False, **weights)


@contextlib.contextmanager
def _alone(out: pathlib.Path) -> Iterator[None]:
    """Nobody else is in here meanwhile: whoever comes first writes down what is made."""
    out.mkdir(parents=True, exist_ok=True)
    folder = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@contextlib.contextmanager
def _whole(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A name to write to, which becomes `path` when all is written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _lock(path: pathlib.Path) -> TextIO:
    """Open a file whose folder another process, which has finished, may be removing."""
    for _ in range(99):
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            path.parent.mkdir(exist_ok=True)
            return open(path, "w")
    path.parent.mkdir(exist_ok=True)
    return open(path, "w")


@contextlib.contextmanager
def _claimed(out: pathlib.Path, number: int) -> Iterator[bool]:
    """Whether the shard is ours; nobody else gets it meanwhile."""
    with _lock(out / LOCKS / f"{number:05d}") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _done(out: pathlib.Path, number: int) -> bool:
    """The rows are written behind the latents."""
    return (out / form.rows_name(number)).is_file() and (out / form.shard_name(number)).is_file()


def _make_shards(
    out: pathlib.Path, plan: LatentPlan, read: Read, encode: Encode, batch: int
) -> None:
    """Make what is not there, until all is there."""
    left = {number for number in range(plan.shards) if not _done(out, number)}
    done = plan.windows - sum(len(plan.windows_of(number)) for number in left)
    if not left:
        return
    with Progress("encode", plan.windows, "windows", done=done) as progress:
        while left:
            before = len(left)
            for number in sorted(left):
                with _claimed(out, number) as ours:
                    if _done(out, number):
                        progress.advance(len(plan.windows_of(number)))
                    elif ours:
                        _make_shard(out, plan, number, read, encode, batch, progress.advance)
                    else:
                        continue
                left.remove(number)
            if len(left) == before:
                time.sleep(POLL)


def _make_shard(
    out: pathlib.Path,
    plan: LatentPlan,
    number: int,
    read: Read,
    encode: Encode,
    batch: int,
    advance: Callable[[int], None],
) -> None:
    # What another process left half written.
    for torn in out.glob(f".{number:05d}.*"):
        torn.unlink()
    windows = np.asarray(plan.windows_of(number), np.int64)
    latents = np.empty((len(windows), *plan.shape), form.NUMBERS[plan.dtype])
    rows = np.zeros(len(windows), form.row_type(plan.window_frames))
    starts = range(0, len(windows), batch)
    with concurrent.futures.ThreadPoolExecutor(1) as ahead:
        # The next frames are read while these are encoded.
        found = ahead.submit(read, _filled(windows[:batch], batch))
        for start in starts:
            frames, real = found.result()
            if start + batch < len(windows):
                following = windows[start + batch : start + 2 * batch]
                found = ahead.submit(read, _filled(following, batch))
            count = min(batch, len(windows) - start)
            with np.errstate(over="ignore"):
                here = np.asarray(encode(frames))[:count].astype(latents.dtype)
            if not np.isfinite(here).all():
                raise UserError(
                    f"The codec gives latents that {plan.dtype} cannot hold, or that are not "
                    f"finite (windows {windows[start]} ... {windows[start + count - 1]}): see to "
                    "its weights, or choose another --dtype."
                )
            latents[start : start + count] = here
            rows["frames"][start : start + count] = real[:count]
            advance(count)
    rows["check"] = list(map(form.checksum, latents, rows["frames"]))
    for name, values in (
        (form.shard_name(number), latents.view(form.BITS[plan.dtype])),
        (form.rows_name(number), rows),
    ):
        with _whole(out / name) as path, open(path, "wb") as file:
            np.save(file, values)


def _filled(windows: np.ndarray, batch: int) -> np.ndarray:
    """One shape, one compilation."""
    return np.pad(windows, (0, batch - len(windows)), constant_values=-1)


def damaged(out: pathlib.Path, plan: LatentPlan) -> list[str]:
    """Files that are not as they were written, after a look at every window."""
    bad: list[str] = []
    with Progress("check", plan.windows, "windows") as progress:
        for number in range(plan.shards):
            count = len(plan.windows_of(number))
            try:
                rows = np.load(out / form.rows_name(number))
                latents = np.load(out / form.shard_name(number), mmap_mode="r").view(np.ndarray)
                good = (
                    rows.dtype == form.row_type(plan.window_frames)
                    and latents.dtype == form.BITS[plan.dtype]
                    and latents.shape == (len(rows), *plan.shape) == (count, *plan.shape)
                    and rows["check"].tolist() == list(map(form.checksum, latents, rows["frames"]))
                )
            except Exception:  # a damaged header makes NumPy raise half a dozen kinds
                good = False
            if not good:
                bad += [form.rows_name(number), form.shard_name(number)]
            progress.advance(count)
    return bad
