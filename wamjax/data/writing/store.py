"""From any source to a store: shards, tables, check, name.

    .STORE.incomplete/plan.json          what the store is to be made from, and how
    .STORE.incomplete/parts/SPLIT/NNNNN  finished shards, see `wamjax.data.writing.shard`
    .STORE.incomplete/store              what becomes STORE, by one rename at the end

The bytes depend neither on the number of workers nor on interruptions. Finished shards are kept;
those in which something was bad are made anew, since it may have been repaired.
"""

import contextlib
import dataclasses
import fcntl
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np

from wamjax.core.config import difference
from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_json
from wamjax.core.pool import Tick, Workers
from wamjax.core.progress import Progress
from wamjax.data.cards.card import read_card
from wamjax.data.faults import BadRecord, Fault, Ledger
from wamjax.data.files import store_format as form
from wamjax.data.files.paths import digest
from wamjax.data.sources.store import StoreSource, read_table
from wamjax.data.writing import beam
from wamjax.data.writing.jobs import Job, make_part, opened
from wamjax.data.writing.plan import Making, Part, Plan, plan_store
from wamjax.data.writing.shard import Shard, read_shard
from wamjax.data.writing.tables import assemble

PLAN = "plan.json"
SETTING = "--bad-budget"
Shards = dict[Part, Shard]


def check_shard(place: tuple[str, str, int], tick: Tick) -> tuple[str, Fault | None]:
    """Read all of a shard of a store: the digest of its file, and what is not as the tables say."""
    directory, split, number = place
    source = opened(directory, split)
    assert isinstance(source, StoreSource)
    shards = source.description.shards
    before = sum(shard.episodes for shard in shards[:number])
    try:
        for episode in range(before, before + shards[number].episodes):
            source.episode(episode)
            source.check_records(episode)
            tick()
    except BadRecord as bad:
        return "", bad.fault
    return digest(shards[number].path), None


def make_store(making: Making) -> pathlib.Path:
    """Make the store, or go on where the same call was interrupted; return its directory.

    Raises:
        UserError: no such data, a card of other data, more bad data than the budget, or something
            else in the place of the store.
    """
    plan = plan_store(making)
    out = pathlib.Path(making.out)
    work = out.with_name(f".{out.name}.incomplete")
    if _is_there(out, plan.head):
        shutil.rmtree(work, ignore_errors=True)
        return out
    with _taken_up(work, plan.head), Workers(making.workers) as workers:
        shards = _make_parts(making, plan, work, workers)
        store = work / "store"
        for split in plan.sources:
            mine = [(_folder(work, part), shards[part]) for part in plan.of(split)]
            assemble(mine, plan.features, store / split)
        described = {split: _described(plan, split, shards, store) for split in plan.sources}
        write_json(store / form.JSON, form.sealed({**plan.head, "splits": described}))
        _check(plan, described, store, work, workers)
        write_json(store / form.JSON, form.sealed({**plan.head, "splits": described}))
        os.rename(store, out)
        shutil.rmtree(work)
    return out


def _is_there(out: pathlib.Path, head: dict[str, Any]) -> bool:
    """Whether the store was finished before.

    Raises:
        UserError: something else stands in its place.
    """
    if not os.path.lexists(out):
        return False
    if not out.is_dir() or not form.is_store(out):
        raise UserError(f"{out} exists and is no store: remove it or choose another --out.")
    there = read_table(out)
    _same(f"{out} is a store", {name: there[name] for name in head}, head)
    return True


def _same(what: str, there: dict[str, Any], head: dict[str, Any]) -> None:
    rows = difference(there, head)
    if rows:
        # Features follow from what was asked for, which says more.
        path, theirs, ours = min(rows, key=lambda row: row[0].startswith("features"))
        raise UserError(
            f"{what} of something else ({path}: {theirs} there, {ours} here): remove it or choose "
            "another --out."
        )


@contextlib.contextmanager
def _taken_up(work: pathlib.Path, head: dict[str, Any]) -> Iterator[None]:
    """Begin, or go on with what was begun; one process at a time.

    Raises:
        UserError: something else was begun there, or another process is at it.
    """
    work.mkdir(parents=True, exist_ok=True)
    with open(work / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"Another process writes to {work}: wait for it.") from error
        if (work / PLAN).is_file():
            _same(f"{work} is what was made of a store", read_json(work / PLAN), head)
        else:
            write_json(work / PLAN, head)
        # What was half written when the last process ended.
        for torn in (work / "parts").glob("*/.*"):
            shutil.rmtree(torn)
        yield


def _folder(work: pathlib.Path, part: Part) -> pathlib.Path:
    return work / "parts" / part.split / f"{part.number:05d}"


def _kept(work: pathlib.Path, part: Part) -> Shard | None:
    """What was made of a part, if it can be used as it is."""
    folder = _folder(work, part)
    shard = read_shard(folder)
    if shard is None or shard.faults or shard.images:
        return None
    # Where episodes could not be read when the shards were planned, they may be planned otherwise.
    if shard.numbers != (part.first, part.last - 1):
        return None
    moved = work / "store" / part.split / form.shard_name(part.number)
    there = (folder / form.RECORDS).is_file() or moved.is_file()
    return shard if there else None


def _make_parts(making: Making, plan: Plan, work: pathlib.Path, workers: Workers) -> Shards:
    """Make the shards that are not there; return all of them.

    Raises:
        UserError: more is bad than the budget allows.
    """
    kept = {part: _kept(work, part) for part in plan.parts}
    made: Shards = {part: shard for part, shard in kept.items() if shard is not None}
    card = None if making.card is None else read_card(making.card)
    jobs = [
        Job(part, plan.features, card, making.images, _folder(work, part))
        for part in plan.parts
        if part not in made
    ]
    total = sum(part.episodes for part in plan.parts)
    done = sum(part.episodes for part in made)
    ledger = Ledger(f"episodes of {making.directory}", total, making.bad_budget, SETTING)
    opened.cache_clear()
    with Progress("prepare", total, "episodes", done=done) as progress:
        if making.beam is None:
            shards = workers.spread(make_part, jobs, progress.advance)
        else:
            shards = beam.spread(jobs, making.beam, progress.advance)
        for job, shard in shards:
            made[job.part] = shard
            for text in _told(shard):
                progress.say(text)
            _count(ledger, shard)
            if not making.bad_budget:
                _count_images(making, plan, made)
    _count_images(making, plan, made)
    for split, source in plan.sources.items():
        if not any(made[part].episodes for part in plan.of(split)):
            raise UserError(
                f"{source.counted_in} promises no episode in split {split!r}: choose another "
                "split, or restore the file."
            )
    return made


def _told(shard: Shard) -> list[str]:
    """What was bad, a line each."""
    return [f"episode {number}: {fault}" for fault, number in shard.faults] + [
        str(fault) for fault in shard.images
    ]


def _count(ledger: Ledger, shard: Shard) -> None:
    """Hold lost episodes against the budget; a break may cost all that stand behind it."""
    for fault, _ in shard.faults:
        ledger.add(fault, ledger.faults[fault] + 1 if fault in ledger.faults else 1)


def _count_images(making: Making, plan: Plan, made: Shards) -> None:
    cameras = len(form.cameras_of(plan.features))
    total = sum(shard.steps for shard in made.values()) * cameras
    ledger = Ledger(f"images of {making.directory}", total, making.bad_budget, SETTING)
    for shard in made.values():
        for fault in shard.images:
            ledger.add(fault)


def _described(plan: Plan, split: str, shards: Shards, store: pathlib.Path) -> dict[str, Any]:
    """What store.json says of a split; the digests of its shards are not yet known."""
    folder = store / split
    mine = [(form.shard_name(part.number), shards[part]) for part in plan.of(split)]
    names = {name for name, _ in mine}
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        files[name] = [path.stat().st_size, "" if name in names else digest(path)]
    faults = [(fault, number) for _, shard in mine for fault, number in shard.faults]
    return {
        "episodes": sum(shard.episodes for _, shard in mine),
        "steps": sum(shard.steps for _, shard in mine),
        "promised": len(plan.sources[split]),
        "words": len(np.load(folder / form.BEGINS, mmap_mode="r")) - 1,
        "shards": [
            {"file": name, "episodes": shard.episodes, "steps": shard.steps}
            for name, shard in mine
            if shard.episodes
        ],
        "skipped": [f"episode {number}: {_placeless(fault)}" for fault, number in faults],
        "bad_images": [_placeless(fault) for _, shard in mine for fault in shard.images],
        "files": files,
    }


def _placeless(fault: Fault) -> str:
    """The fault without the folder, which may be another one tomorrow."""
    return str(dataclasses.replace(fault, file=pathlib.Path(fault.file).name))


def _check(
    plan: Plan, described: dict[str, Any], store: pathlib.Path, work: pathlib.Path, workers: Workers
) -> None:
    """Read every record of the store and fill in the digests of the shards.

    Raises:
        UserError: something is not as it was written; it is made anew by the next call.
    """
    places = [
        (str(store), split, number)
        for split, told in described.items()
        for number in range(len(told["shards"]))
    ]
    total = sum(told["episodes"] for told in described.values())
    opened.cache_clear()
    with Progress("check", total, "episodes") as progress:
        for place, (digest, fault) in workers.spread(check_shard, places, progress.advance):
            _, split, number = place
            file = described[split]["shards"][number]["file"]
            if fault is not None:
                for part in plan.of(split):
                    if form.shard_name(part.number) == file:
                        shutil.rmtree(_folder(work, part))
                raise UserError(
                    f"What was written cannot be read back ({fault}): see to the disk, then start "
                    "again; this shard is made anew."
                )
            described[split]["files"][file][1] = digest
