"""Damaged data sets by the thousand: the right examples, or one sentence; never anything else.

Each case breaks a small data set and reads it twice.

    budget 0      what is read is what was written, or a UserError that names file and offset
    wide budget   what is left is, episode by episode, what was written (or what the damage made
                  of it, where a changed number is a valid number), and the ledgers count the rest

Neither may take long, allocate much, or raise anything else. An eighth of the cases are drawn, all
2,000 with `--slow`, the same ones in every run; WAMJAX_FUZZ=N draws N times as many, and others
each time.
"""

import collections
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import re
import struct
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.data import damage
from tests.data.damage import CAMERAS, IMAGE_KEYS, LENGTHS, PROMISED, TEXT_KEY, Flat, Small, Told
from wamjax.core.errors import UserError
from wamjax.data.episodes import read_episodes
from wamjax.data.files import example, tfrecord
from wamjax.data.normalising.statistics import compute_statistics, data_fingerprint
from wamjax.data.sources import rlds
from wamjax.data.windows.pipeline import Windows

CASES = {
    "cut": 220,
    "flipped bytes": 300,
    "checksums": 70,
    "lying lengths": 110,
    "garbage appended": 110,
    "shards": 150,
    "numbers": 230,
    "episode lengths": 80,
    "images": 220,
    "texts": 80,
    "changed payloads": 250,
    "metadata": 60,
    "JSON cut or flipped": 90,
    "JSON values": 140,
}
SECONDS = 2.0
BYTES = 64 * 2**20
WIDE = 0.999
SCALE = float(os.environ["WAMJAX_FUZZ"]) if "WAMJAX_FUZZ" in os.environ else 1 / 8
TALLY: collections.Counter[str] = collections.Counter()
SEEN: collections.Counter[str] = collections.Counter()


def cases(kind: str) -> Callable[[Callable], Callable]:
    """So many examples of this kind."""
    return settings(
        max_examples=round(CASES[kind] * SCALE),
        derandomize=SCALE <= 1,
        phases=(Phase.generate, Phase.shrink),
        database=None,
        report_multiple_bugs=False,
        deadline=None,  # `spent` measures the reading alone
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def sets() -> Iterator[list[Small]]:
    """The data set as TFRecord and as ArrayRecord; their schemas are read once."""
    # Thousands of files are written: in memory where the system lends some.
    lent = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=lent if os.access(lent, os.W_OK) else None) as name:
        folder = pathlib.Path(name)
        both = [damage.make(folder / str(form), array_record=form) for form in (False, True)]
        for small in both:  # whatever is loaded at the first use is no part of a case
            _read(small, 0.0)
        tracemalloc.start()
        yield both
        tracemalloc.stop()


@pytest.fixture
def schema_once(sets: list[Small], monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the JSON files costs more than all the rest, and here they are whole."""
    monkeypatch.setattr(rlds, "describe", functools.cache(rlds.describe))


@dataclasses.dataclass(frozen=True)
class Read:
    """What came out.

    Attributes:
        lengths, places: of the episodes.
        windows: their windows' episodes.
        batch: every window.
        lost, bad_images: by the ledgers.
    """

    lengths: tuple[int, ...]
    places: tuple[rlds.Place, ...]
    episode: np.ndarray
    batch: dict[str, np.ndarray]
    lost: int
    bad_images: int


def _read(small: Small, budget: float) -> Read:
    config = damage.config(str(small.directory), budget)
    table = read_episodes(config)
    # Nothing is normalised, so the numbers in the statistics do not matter, only whose they are.
    statistics = dataclasses.replace(
        _any_statistics(str(small.directory)), fingerprint=data_fingerprint(table, config)
    )
    try:
        windows = Windows(config, statistics, table)
    except UserError as error:
        if "has no window" not in str(error):
            raise
        return Read(tuple(table.lengths.tolist()), table.places, np.zeros(0, int), {}, 0, 0)
    batch = windows.batch(np.arange(len(windows)))
    return Read(
        tuple(table.lengths.tolist()),
        table.places,
        windows.index.episode,
        {name: np.asarray(getattr(batch, name)) for name in WHOLE},
        table.faults.count,
        windows.frames.ledger.count,
    )


@functools.cache
def _any_statistics(directory: str) -> Any:
    return compute_statistics(damage.config(directory, 0.0))


WHOLE = damage.examples([damage.told(0)])


@functools.cache
def _clean(numbers: tuple[int, ...]) -> dict[str, np.ndarray]:
    return damage.examples([damage.told(number) for number in numbers])


@contextlib.contextmanager
def spent() -> Iterator[None]:
    """Refuse what takes long or allocates much."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    _reset_resident_peak()
    resident = _resident("VmRSS")
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    assert seconds < SECONDS, f"took {seconds:.1f} s"
    asked = tracemalloc.get_traced_memory()[1] - before
    assert asked < BYTES, f"allocated {asked / 2**20:.0f} MiB"
    grown = _resident("VmHWM") - resident
    assert grown < BYTES, f"grew by {grown / 2**20:.0f} MiB"


def _reset_resident_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _resident(which: str) -> int:
    """Bytes, by the kernel; 0 where it does not say."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(which))
    except (OSError, StopIteration):
        return 0


def _equal(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert bool(found) == bool(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def _sentence(small: Small, error: UserError, *names: str) -> None:
    """One sentence that says where: a shard and a place in it, or one of the JSON files."""
    text = str(error)
    SEEN[re.sub(r"\S*/|\d+", "", text)[:70]] += 1
    assert "\n" not in text
    assert text.endswith(".")
    assert len(text) < 700, text
    shards = [f"{small.directory / name} " for name in small.shards]
    placed = any(name in text for name in shards) and re.search(r" at (byte|record) \d+: ", text)
    assert placed or any(name in text for name in JSONS), text
    for name in names:
        assert name in text, text


JSONS = ("features.json", "dataset_info.json")


def strict(small: Small, expected: list[Told] | None, *names: str) -> None:
    """Budget 0: `expected`, or a sentence; None: a sentence it must be.

    Args:
        small: damaged.
        expected: what may come out.
        names: what the sentence must name.
    """
    with spent():
        try:
            found = _read(small, 0.0)
        except UserError as error:
            _sentence(small, error, *names)
            return
    assert expected is not None, "the damage was not noticed"
    assert (found.lost, found.bad_images) == (0, 0)
    _equal(found.batch, damage.examples(expected))


def whole() -> list[Told]:
    return [damage.told(number) for number in range(len(LENGTHS))]


def survivors(small: Small, surplus: int = 0) -> tuple[int, ...]:
    """Wide budget, for damage that only takes away: which episodes are left; they are checked.

    Args:
        small: damaged.
        surplus: shards that are known to hold more than promised.
    """
    with spent():
        try:
            found = _read(small, WIDE)
        except UserError as error:
            _sentence(small, error)
            return ()
    numbers = tuple(LENGTHS.index(length) for length in found.lengths)
    assert list(numbers) == sorted(set(numbers))
    _equal(found.batch, _clean(numbers))
    if found.batch:
        assert found.lost == len(LENGTHS) - len(numbers) + surplus
    return numbers


def delivered(small: Small, expected: list[Told], lost: int) -> None:
    """Wide budget: exactly these episodes, so many lost."""
    images = sum(one.bad_images for one in expected)
    total = sum(one.length for one in expected) * len(CAMERAS)
    with spent():
        try:
            found = _read(small, WIDE)
        except UserError as error:
            _sentence(small, error)
            assert lost > WIDE * sum(PROMISED) or images > WIDE * total
            return
    assert list(found.lengths) == [one.length for one in expected]
    _equal(found.batch, damage.examples(expected))
    if found.batch:
        assert (found.lost, found.bad_images) == (lost, images)


@contextlib.contextmanager
def damaged(kind: str, small: Small) -> Iterator[None]:
    """Count the case; the data set is whole again afterwards."""
    TALLY[kind] += 1
    try:
        yield
    finally:
        small.restore()


def _put(small: Small, shard: int, data: bytes) -> None:
    (small.directory / small.shards[shard]).write_bytes(data)


def _frames(small: Small, shard: int) -> list[tuple[int, int]]:
    """(start, stop) of each TFRecord."""
    ends = np.cumsum([len(damage.frame(payload)) for payload in small.payloads[shard]]).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


@functools.cache
def _interesting(data: bytes) -> list[int]:
    """Places of bytes that say something: ArrayRecord files are padded with zeros."""
    there = np.frombuffer(data, np.uint8) != 0
    near = np.convolve(there, np.ones(17), "same") > 0
    return np.flatnonzero(near).tolist()


form = st.sampled_from((0, 1))
shard_number = st.sampled_from((0, 1))
LETTERS = st.characters(exclude_categories=["Cs"])  # a codec would be asked for every letter
place = st.floats(0, 1, exclude_max=True)


@cases("cut")
@given(form=form, shard=shard_number, at=place, early=st.booleans())
def test_cut_files(sets, schema_once, form: int, shard: int, at: float, early: bool) -> None:
    small = sets[form]
    clean = small.files[small.shards[shard]]
    cut = int(at * (min(len(clean), 5000) if early else len(clean)))
    with damaged("cut", small):
        _put(small, shard, clean[:cut])
        first = sum(PROMISED[:shard])
        strict(small, None, small.shards[shard])
        left = survivors(small)
        if not small.array_record:
            ends = [stop for _, stop in _frames(small, shard)]
            kept = [first + number for number, stop in enumerate(ends) if stop <= cut]
            others = [n for n in range(3) if not first <= n < first + PROMISED[shard]]
            assert list(left) == sorted(kept + others)


@cases("flipped bytes")
@given(
    form=form,
    flips=st.lists(st.tuples(shard_number, place, st.integers(1, 255)), min_size=1, max_size=5),
)
def test_flipped_bytes(sets, schema_once, form: int, flips: list) -> None:
    small = sets[form]
    with damaged("flipped bytes", small):
        files = {shard: bytearray(small.files[small.shards[shard]]) for shard in (0, 1)}
        for shard, at, change in flips:
            places = _interesting(small.files[small.shards[shard]])
            files[shard][places[int(at * len(places))]] ^= change
        for shard, data in files.items():
            _put(small, shard, bytes(data))
        if small.array_record:
            strict(small, whole())
            survivors(small)
            return
        left = [number for shard in (0, 1) for number in _unhurt(small, shard, files[shard])]
        strict(small, whole() if left == [0, 1, 2] else None)
        assert list(survivors(small)) == (left if left else [])


def _unhurt(small: Small, shard: int, data: bytes | bytearray) -> list[int]:
    """TFRecord: episodes whose bytes are whole and behind no broken length."""
    out = []
    clean = small.files[small.shards[shard]]
    for number, (start, stop) in enumerate(_frames(small, shard), sum(PROMISED[:shard])):
        if data[start : start + 12] != clean[start : start + 12]:
            break
        if data[start:stop] == clean[start:stop]:
            out.append(number)
    return out


@cases("checksums")
@given(number=st.integers(0, 2), of_length=st.booleans(), value=st.binary(min_size=4, max_size=4))
def test_wrong_checksums(sets, schema_once, number: int, of_length: bool, value: bytes) -> None:
    small = sets[0]
    shard, index = (0, number) if number < 2 else (1, 0)
    data = bytearray(small.files[small.shards[shard]])
    start, stop = _frames(small, shard)[index]
    at = start + 8 if of_length else stop - 4
    with damaged("checksums", small):
        data[at : at + 4] = value
        _put(small, shard, bytes(data))
        left = [
            n for s in (0, 1) for n in _unhurt(small, s, data if s == shard else _bytes(s, small))
        ]
        named = f"{small.shards[shard]} at byte {start}: the checksum"
        strict(small, whole() if len(left) == 3 else None, *([] if len(left) == 3 else [named]))
        assert list(survivors(small)) == left


def _bytes(shard: int, small: Small) -> bytes:
    return small.files[small.shards[shard]]


LENGTHS_THAT_LIE = st.one_of(
    st.integers(0, 8000),
    st.integers(0, 2**64 - 1),
    st.sampled_from((2**63 - 1, 2**63, 2**64 - 1, 2**64 - 16, 2**40, 2**31, 2**32)),
)


@cases("lying lengths")
@given(number=st.integers(0, 2), length=LENGTHS_THAT_LIE)
def test_lengths_that_lie(sets, schema_once, number: int, length: int) -> None:
    """The checksum of the length is right, the length is not: nothing is allocated for it."""
    small = sets[0]
    shard, index = (0, number) if number < 2 else (1, 0)
    data = bytearray(_bytes(shard, small))
    start, stop = _frames(small, shard)[index]
    with damaged("lying lengths", small):
        head = struct.pack("<Q", length)
        data[start : start + 12] = head + struct.pack("<I", tfrecord.masked_crc32c(head))
        _put(small, shard, bytes(data))
        same = length == stop - start - 16
        strict(small, whole() if same else None, *([] if same else [f"at byte {start}: "]))
        left = survivors(small)
        assert same or number not in left
        assert shard == 0 or {0, 1} <= set(left)


@cases("garbage appended")
@given(
    form=form,
    shard=shard_number,
    garbage=st.one_of(
        st.binary(min_size=1, max_size=80),
        st.integers(1, 200_000).map(bytes),
        st.sampled_from((b"again", b"frame")),
    ),
)
def test_garbage_behind_the_last_record(
    sets, schema_once, form: int, shard: int, garbage: bytes
) -> None:
    small = sets[form]
    clean = _bytes(shard, small)
    match garbage:
        case b"again":
            garbage = clean
        case b"frame":
            garbage = damage.frame(b"no example")
    with damaged("garbage appended", small):
        _put(small, shard, clean + garbage)
        if small.array_record:
            strict(small, whole())
            survivors(small)
        else:
            strict(small, None, f"{small.shards[shard]} at byte {len(clean)}: ")
            assert survivors(small, surplus=1) == (0, 1, 2)


@cases("shards")
@given(
    form=form,
    first=st.lists(st.integers(0, 2), max_size=5),
    second=st.lists(st.integers(0, 2), max_size=3),
)
def test_records_repeated_dropped_and_moved(
    sets, schema_once, form: int, first: list, second: list
) -> None:
    small = sets[form]
    payloads = [payload for shard in small.payloads for payload in shard]
    with damaged("shards", small):
        expected, lost = [], 0
        for shard, (numbers, promised) in enumerate(zip((first, second), PROMISED, strict=True)):
            small.write_shard(shard, [payloads[number] for number in numbers])
            expected += [damage.told(number) for number in numbers[:promised]]
            lost += max(promised - len(numbers), len(numbers) > promised)
        strict(small, None if lost else expected)
        delivered(small, expected, lost)


def changed(kind: str, small: Small, number: int, flat: Flat, outcome: Told | None) -> None:
    """Write `flat` in the place of an episode; `outcome` is what it should be read as."""
    shard, index = (0, number) if number < 2 else (1, 0)
    payloads = list(small.payloads[shard])
    payloads[index] = example.encode(flat)
    with damaged(kind, small):
        small.write_shard(shard, payloads)
        expected = [damage.told(n) if n != number else outcome for n in range(3)]
        kept = [one for one in expected if one is not None]
        at = "record" if small.array_record else "byte"
        start = sum(len(damage.frame(p)) for p in payloads[:index])
        named = f"{small.shards[shard]} at {at} {index if small.array_record else start}: "
        fine = len(kept) == 3 and not sum(one.bad_images for one in kept)
        strict(small, kept if fine else None, *([] if fine else [named]))
        delivered(small, kept, 3 - len(kept))


NUMBERS = {
    "steps/action": ("float", 7),
    "steps/observation/state": ("float", 7),
    "steps/reward": ("float", 1),
    "steps/discount": ("float", 1),
    "steps/is_first": ("int", 1),
    "steps/is_last": ("int", 1),
    "steps/is_terminal": ("int", 1),
}
DELIVERED = ("steps/action", "steps/observation/state")
ODD = (
    "missing", "empty", "other type", "bytes", "one number fewer", "one number more",
    "one step fewer", "one step more", "not finite", "other numbers", "beyond its type",
)  # fmt: skip


@cases("numbers")
@given(
    form=form,
    number=st.integers(0, 2),
    key=st.sampled_from(sorted(NUMBERS)),
    how=st.sampled_from(ODD),
    at=place,
    value=st.floats(width=32),
)
def test_numbers(sets, schema_once, form, number, key, how, at, value) -> None:
    small = sets[form]
    flat, outcome = small.flat(number), damage.told(number)
    values = np.array(flat[key])
    kind, width = NUMBERS[key]
    spot = int(at * values.size)
    keep = False
    match how:
        case "missing":
            del flat[key]
        case "empty":
            flat[key] = values[:0]
        case "other type":
            # Whole numbers, so that nothing but the type is wrong.
            flat[key] = np.rint(values).astype(np.int64 if kind == "float" else np.float32)
        case "bytes":
            flat[key] = [b"12"] * outcome.length
        case "one number fewer":
            flat[key] = values[:-1]
        case "one number more":
            flat[key] = np.append(values, values[-1])
        case "one step fewer":
            flat[key] = values[:-width]
        case "one step more":
            flat[key] = np.append(values, values[-width:])
        case "not finite":
            if kind == "int":
                return
            values[spot] = (np.nan, np.inf, -np.inf)[spot % 3]
            flat[key] = values
            keep = key not in DELIVERED
        case "other numbers":
            if kind == "int":
                return
            if key == "steps/action" and spot // width == outcome.length - 1:
                return
            values[spot] = value
            flat[key] = values
            keep = key not in DELIVERED or bool(np.isfinite(value))
            changed_numbers = values.reshape(outcome.length, width)
            if key == "steps/action":
                outcome.actions = changed_numbers
            elif key == "steps/observation/state":
                outcome.proprio = changed_numbers
        case "beyond its type":
            if kind == "float":
                return
            values[spot] = (2, -1, 256, 2**62)[spot % 4]
            flat[key] = values
    changed("numbers", small, number, flat, outcome if keep else None)


@cases("episode lengths")
@given(
    form=form,
    number=st.integers(0, 2),
    how=st.sampled_from(("no keys", "empty lists", "cut", "empty record", "repeated")),
    at=place,
)
def test_episodes_of_other_lengths(sets, schema_once, form, number, how, at) -> None:
    """None, one, some or twice the steps; an episode that was cut has no step marked as last."""
    small = sets[form]
    flat, outcome = small.flat(number), damage.told(number)
    steps = [name for name in flat if name.startswith("steps/")]
    keep: Told | None = None
    match how:
        case "no keys":
            for name in steps:
                del flat[name]
        case "empty record":
            flat = {}
        case "empty lists":
            for name in steps:
                flat[name] = flat[name][:0]
        case "cut" | "repeated":
            if how == "cut":
                left = 1 + int(at * outcome.length)
                chosen = list(range(left))
                outcome.ended = left == outcome.length
            else:
                if outcome.length == 1:
                    return
                chosen = [t // 2 for t in range(2 * outcome.length - 2)] + [outcome.length - 1]
            for name in steps:
                width = NUMBERS[name][1] if name in NUMBERS else 1
                rows = flat[name]
                if isinstance(rows, np.ndarray):
                    flat[name] = rows.reshape(-1, width)[chosen]
                else:
                    flat[name] = [rows[t] for t in chosen]
            keep = dataclasses.replace(
                outcome,
                frames=[[row[t] for t in chosen] for row in outcome.frames],
                actions=outcome.actions[chosen],
                proprio=outcome.proprio[chosen],
                texts=[outcome.texts[t] for t in chosen],
            )
    changed("episode lengths", small, number, flat, keep)


HUGE = (
    *(
        damage.huge_png(*sides)
        for sides in ((2**31 - 1, 2**31 - 1), (60_000, 60_000), (13_000, 13_000), (1, 2**31 - 1))
    ),
    damage.huge_png(4_500, 4_500, lies=False),
)
IMAGES = (
    "other size", "jpeg", "not an image", "cut", "no bytes", "huge", "camera gone",
    "camera empty", "none readable", "one more", "one fewer", "numbers", "text", "one column",
)  # fmt: skip


@cases("images")
@given(
    form=form,
    number=st.integers(0, 2),
    view=st.sampled_from((0, 1)),
    how=st.sampled_from(IMAGES),
    at=place,
    size=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    junk=st.binary(max_size=60),
)
def test_images(sets, schema_once, form, number, view, how, at, size, junk) -> None:
    small = sets[form]
    flat, outcome = small.flat(number), damage.told(number)
    key, row = IMAGE_KEYS[view], outcome.frames[view]
    images = list(flat[key])
    t = int(at * len(images))
    keep: Told | None = outcome
    draw = np.random.default_rng(len(junk)).integers(40, 255, (*size, 3)).astype(np.uint8)
    match how:
        case "other size" | "jpeg" | "one column":
            if how == "one column":
                draw = draw[:, :1]
            images[t] = damage.picture(draw, "JPEG" if how == "jpeg" else "PNG")
            row[t] = damage.decoded(images[t])
        case "not an image":
            images[t], row[t] = junk, None
        case "cut":
            left = int(at * len(images) % 1 * (len(images[t]) - 40))
            images[t], row[t] = images[t][:left], None
        case "no bytes":
            images[t], row[t] = b"", None
        case "huge":
            images[t], row[t] = HUGE[size[0] % len(HUGE)], None
        case "none readable":
            images = [junk + b"x"] * len(images)
            row[:] = [None] * len(images)
        case "camera empty":
            images = [b""] * len(images)
        case "one more":
            images.append(images[-1])
            keep = None
        case "one fewer":
            images.pop()
            # Without any entry left the camera is missing.
            keep = outcome if not images else None
        case "numbers" | "camera gone" | "text":
            pass
    if not any(images):
        outcome.camera[view] = False
    match how:
        case "camera gone":
            del flat[key]
            outcome.camera[view] = False
        case "numbers":
            flat[key] = np.arange(len(images))
            keep = None
        case "text":
            flat[key] = [b"a picture"] * len(images)
            row[:] = [None] * len(images)
        case _:
            flat[key] = images
    changed("images", small, number, flat, keep)


@cases("texts")
@given(
    form=form,
    number=st.integers(0, 2),
    how=st.sampled_from(("other", "bytes", "one more", "one fewer", "numbers", "missing")),
    at=place,
    text=st.text(LETTERS, max_size=20),
    junk=st.binary(max_size=20),
)
def test_texts(sets, schema_once, form, number, how, at, text, junk) -> None:
    small = sets[form]
    flat, outcome = small.flat(number), damage.told(number)
    texts = list(flat[TEXT_KEY])
    t = int(at * len(texts))
    keep: Told | None = outcome
    match how:
        case "other":
            texts[t] = text.encode()
            outcome.texts[t] = text
        case "bytes":
            texts[t] = junk
            try:
                outcome.texts[t] = junk.decode()
            except UnicodeDecodeError:
                keep = None
        case "one more":
            texts.append(texts[-1])
            keep = None
        case "one fewer":
            texts.pop()
            keep = None
        case "numbers" | "missing":
            pass
    flat[TEXT_KEY] = np.arange(len(texts)) if how == "numbers" else texts
    if how == "numbers":
        keep = None
    if how == "missing" or (how == "one fewer" and not texts):
        # An episode without instructions is one that was not labelled.
        del flat[TEXT_KEY]
        outcome.texts = [""] * outcome.length
        keep = outcome
    changed("texts", small, number, flat, keep)


@cases("metadata")
@given(
    form=form,
    number=st.integers(0, 2),
    key=st.sampled_from(("success", "control_hz", "task", "seed")),
    how=st.sampled_from(("missing", "empty", "two", "text", "float", "int")),
)
def test_metadata(sets, schema_once, form, number, key, how) -> None:
    small = sets[form]
    flat, name = small.flat(number), f"episode_metadata/{key}"
    was = flat[name]
    right = {"success": "int", "control_hz": "float", "task": "text", "seed": "int"}[key]
    match how:
        case "missing":
            del flat[name]
        case "empty":
            flat[name] = was[:0]
        case "two":
            flat[name] = list(was) * 2 if isinstance(was, list) else np.tile(was, 2)
        case "text":
            flat[name] = [b"yes"]
        case "float":
            flat[name] = np.ones(1, np.float32)
        case "int":
            flat[name] = np.ones(1, np.int64)
    keep = how in ("missing", "empty", right)
    changed("metadata", small, number, flat, damage.told(number) if keep else None)


@cases("changed payloads")
@given(
    form=form,
    number=st.integers(0, 2),
    flips=st.lists(st.tuples(place, st.integers(1, 255)), min_size=1, max_size=4),
    cut=st.none() | place,
)
def test_changed_payloads(sets, schema_once, form, number, flips, cut) -> None:
    """Checksums repaired: the record may hold anything now, but the others hold what they held."""
    small = sets[form]
    shard, index = (0, number) if number < 2 else (1, 0)
    payloads = list(small.payloads[shard])
    payload = bytearray(payloads[index])
    for at, change in flips:
        payload[int(at * len(payload))] ^= change
    payloads[index] = bytes(payload if cut is None else payload[: int(cut * len(payload))])
    with damaged("changed payloads", small):
        small.write_shard(shard, payloads)
        with spent():
            try:
                read: Read | None = _read(small, 0.0)
            except UserError as error:
                _sentence(small, error, small.shards[shard])
                read = None
        if read is not None:
            assert len(read.lengths) == 3
            _others_hold(small, read, number)
        with spent():
            wide = _read(small, WIDE)
        assert wide.lost == 3 - len(wide.lengths)
        _others_hold(small, wide, number)


def _others_hold(small: Small, found: Read, number: int) -> None:
    for place_, other in (((0, 0), 0), ((0, 1), 1), ((1, 0), 2)):
        if other == number:
            continue
        shard, index = place_
        if index and not small.array_record:
            start = [p.offset for p in found.places if p.shard == 0][-1]
        else:
            start = index
        [at] = [i for i, p in enumerate(found.places) if (p.shard, p.offset) == (shard, start)]
        mine = found.episode == at
        expected = _clean((other,))
        assert bool(mine.any()) == bool(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(found.batch[name][mine], values, err_msg=name)


def judged(kind: str, small: Small, name: str, data: bytes) -> None:
    """A JSON file was replaced: a sentence, or what was written."""
    with damaged(kind, small):
        (small.directory / name).write_bytes(data)
        with spent():
            try:
                found = _read(small, 0.0)
            except UserError as error:
                _sentence(small, error)
            else:
                assert (found.lost, found.lengths) == (0, LENGTHS)
                _equal(found.batch, _clean((0, 1, 2)))
        with spent():
            try:
                found = _read(small, WIDE)
            except UserError as error:
                _sentence(small, error)
            else:
                numbers = tuple(LENGTHS.index(length) for length in found.lengths)
                assert list(numbers) == sorted(set(numbers))
                _equal(found.batch, _clean(numbers))


@cases("JSON cut or flipped")
@given(
    form=form,
    name=st.sampled_from(JSONS),
    cut=st.none() | place,
    flips=st.lists(st.tuples(place, st.integers(1, 255)), max_size=3),
)
def test_json_cut_or_flipped(sets, form, name, cut, flips) -> None:
    small = sets[form]
    data = bytearray(small.files[name])
    for at, change in flips:
        data[int(at * len(data))] ^= change
    judged(
        "JSON cut or flipped",
        small,
        name,
        bytes(data if cut is None else data[: int(cut * len(data))]),
    )


WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from((0, -1, 1, 2, 3, 7, 10**9, 2**63, 10**30, -(2**63), 0.5, 1e308)),
    st.sampled_from(
        (
            "", "7", "-1", "1e3", "x" * 300, "train", "../train", "float64", "uint8", "string",
            "bool", "int64", "none", "zlib", "\ud83e\udd16", "{DATASET}", "no/such", "a\nb",
            "tensorflow.DType", "os.path", "deep",
        )
    ),
    st.sampled_from(([], {}, [[]], [1], {"a": 1}, [None], ["1", "2", "3"])),
)  # fmt: skip


def _spots(node: Any, path: tuple = ()) -> Iterator[tuple]:
    yield path
    children = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, child in children:
        yield from _spots(child, (*path, key))


@cases("JSON values")
@given(
    form=form,
    name=st.sampled_from(JSONS),
    at=place,
    how=st.sampled_from(("put", "put", "drop", "double")),
    value=WRONG,
)
def test_json_values(sets, form, name, at, how, value) -> None:
    small = sets[form]
    content = json.loads(small.files[name])
    spots = list(_spots(content))
    path = spots[int(at * len(spots))]
    if not path:
        content = value
    else:
        node = content
        for key in path[:-1]:
            node = node[key]
        match how:
            case "drop":
                del node[path[-1]]
            case "double" if isinstance(node, list):
                node.append(node[path[-1]])
            case _:
                node[path[-1]] = value
    data = json.dumps(content).encode()
    if value == "deep":
        data = data.replace(b'"deep"', b"[" * 5000 + b"]" * 5000)
    judged("JSON values", small, name, data)


def test_there_were_enough_cases() -> None:
    """Runs last in this file; alone it only counts what was promised."""
    print(f"\n{sum(TALLY.values())} cases:", dict(TALLY))
    print("told:", *(f"\n  {count:5d}  {text}" for text, count in SEEN.most_common()))
    assert sum(CASES.values()) >= 2000
    if len(TALLY) == len(CASES):
        assert sum(TALLY.values()) >= 2000 * min(SCALE, 1) * 0.9
        if SCALE >= 1:
            assert sum(TALLY.values()) >= 2000
