"""Damaged and hostile files: read to the bit, or refused in one sentence; no code is run.

Damage is done to bytes of the file, to what a whole header says, and to the pickle inside of a zip
file whose check sums are right; of an Orbax tree, to one of its files. WAMJAX_FUZZ_FILES is the
number of files for each, of trees that of a quarter.
"""

import io
import math
import os
import random
import shutil
import sys
import zipfile

import ml_dtypes
import numpy as np
import orbax.checkpoint as ocp
import pytest

from tests.pretrained import mutations, zip_files
from tests.pretrained.test_readers import written
from wamjax.core.errors import UserError
from wamjax.pretrained.opened import open_tensors

FILES = int(os.environ.get("WAMJAX_FUZZ_FILES", "120"))
RAN = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "pickle.find_class")
# A loop of asyncio, by which Orbax reads, opens a pair of sockets to itself.
RAN += ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo")

armed, heard = False, []


def listen(event, arguments):
    if armed and event.startswith(RAN):
        heard.append((event, arguments))


def arrays():
    rng = np.random.default_rng(0)
    return {
        "blocks.0.w": rng.normal(size=(3, 4)).astype(np.float32),
        "blocks.1.w": rng.normal(size=(3, 4)).astype(np.float32),
        "half": rng.normal(size=(5,)).astype(ml_dtypes.bfloat16),
        "turned": rng.normal(size=(4, 6)).astype(np.float32).T,
        "count": rng.integers(0, 9, (2,)).astype(np.int64),
        "one": np.float32(rng.normal(size=())),
    }


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    wanted = {k: np.ascontiguousarray(x).reshape(x.shape) for k, x in arrays().items()}
    safetensors = written(folder / "a.safetensors", wanted).read_bytes()
    files = zip_files.entries(arrays())
    archive = zip_files.write(folder / "a.pt", files).read_bytes()
    return wanted, {"safetensors": safetensors, "zip": archive}, files


def zipped(files, rng):
    out, compressed = io.BytesIO(), rng.choice([*files]) if rng.random() < 0.05 else None
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for inner, raw in files.items():
            bomb = inner == compressed
            kind = zipfile.ZIP_DEFLATED if bomb else zipfile.ZIP_STORED
            archive.writestr(f"model/{inner}", bytes(2**20) if bomb else raw, kind)
    return out.getvalue()


def damaged(kind, good, rng):
    _, raw, files = good
    match kind:
        case "bytes of safetensors":
            return mutations.bytewise(raw["safetensors"], rng), raw["safetensors"]
        case "header of safetensors":
            return mutations.header(raw["safetensors"], rng), raw["safetensors"]
        case "bytes of a zip file":
            return mutations.bytewise(raw["zip"], rng), raw["zip"]
        case "codes of a pickle":
            made = {**files, "data.pkl": mutations.bytewise(files["data.pkl"], rng)}
            return zipped(made, rng), {}
        case "values of a pickle":
            stored = [(str(x.dtype), str(n), x.size) for n, x in enumerate(arrays().values())]
            made, told = mutations.values(zip_files.items(arrays()), stored, rng)
            return zipped({**files, "data.pkl": made}, rng), told
    raise AssertionError(kind)


def read(path, size):
    """All tensors of a file, or None where it is refused."""
    try:
        found = open_tensors(path)
        assert sum(math.prod(x.shape) for x in found.shapes.values()) <= size
        return {name: np.array(found.read(name)) for name in found.shapes}
    except UserError as error:
        sentence = str(error)
    assert len(sentence.splitlines()) == 1
    return None


def own_bytes_differ(name, got, wanted, made, raw):
    """Whether the damage lies in the numbers of that tensor, where they stand."""
    start = raw.index(wanted[name].tobytes())
    place = slice(start, start + wanted[name].nbytes)
    return made[place] != raw[place] and made[place] == got.tobytes()


def looked_up(told, files):
    """The numbers of a tensor, one by one."""
    kind, key, offset, shape, strides = told
    numbers = np.frombuffer(files[f"data/{key}"], getattr(ml_dtypes, kind, kind))
    places = [offset + sum(map(int.__mul__, at, strides)) for at in np.ndindex(shape)]
    return numbers[places].tobytes()


KINDS = (
    "bytes of safetensors",
    "header of safetensors",
    "bytes of a zip file",
    "codes of a pickle",
    "values of a pickle",
)


def fuzz(kind, good, folder, count):
    global armed
    wanted = good[0]
    path = folder / "file"
    told = {"read": 0, "refused": 0, "other names": 0}
    for seed in range(count):
        made, raw = damaged(kind, good, random.Random(f"{kind} {seed}"))
        path.write_bytes(made)
        armed = True
        got = read(path, len(made))
        armed = False
        assert not heard, seed
        if got is None:
            told["refused"] += 1
            continue
        told["read"] += 1
        for name, array in got.items():
            told["other names"] += name not in wanted
            if isinstance(raw, dict):
                # Its check sums are right: it is a file of other tensors, which are as it says.
                assert name not in raw or array.tobytes() == looked_up(raw[name], good[2])
                continue
            if name not in wanted:
                continue
            want = wanted[name]
            # Another shape or dtype is refused where it is loaded: the name table says both.
            if (array.shape, array.dtype) != (want.shape, want.dtype):
                continue
            if array.tobytes() != want.tobytes():
                assert kind != "bytes of a zip file", (seed, name)
                assert own_bytes_differ(name, array, wanted, made, raw), (seed, name)
    assert [file.name for file in folder.iterdir()] == ["file"]
    print(kind, told)
    assert told["refused"] > count / 4
    assert told["read"] > 0 or count < 100
    return told


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree") / "good"
    rng = np.random.default_rng(0)
    large = rng.normal(size=(64, 64)).astype(np.float32)
    ocp.PyTreeCheckpointer().save(folder, {"params": {**arrays(), "large": large}})
    return folder


def fuzz_trees(tree, folder, count):
    """One file of a tree is damaged: read to the bit, or refused, but for its numbers' own file."""
    global armed
    files = sorted(file.relative_to(tree) for file in tree.rglob("*") if file.is_file())
    size = sum((tree / file).stat().st_size for file in files)
    wanted = read(tree, size)
    assert wanted is not None
    told = {"read": 0, "refused": 0, "numbers": 0}
    place = folder / "tree"
    for seed in range(count):
        rng = random.Random(f"tree {seed}")
        shutil.copytree(tree, place)
        # Numbers have no check sum there, and fill most of the bytes.
        file = rng.choice(files)
        (place / file).write_bytes(mutations.bytewise((place / file).read_bytes(), rng))
        armed = True
        got = read(place, 2**62)
        armed = False
        assert not heard, seed
        shutil.rmtree(place)
        told["refused" if got is None else "read"] += 1
        for name, array in (got or {}).items():
            want = wanted.get(name)
            if want is None or (array.shape, array.dtype) != (want.shape, want.dtype):
                continue
            if array.tobytes() != want.tobytes():
                told["numbers"] += 1
                assert file.parent.name == "d", (seed, file, name)
    print("files of an Orbax tree", told)
    assert told["refused"] > count / 8
    assert told["read"] > 0


@pytest.fixture
def watched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if not heard and listen not in HOOKS:
        sys.addaudithook(listen)
        HOOKS.append(listen)
    return tmp_path


HOOKS: list = []


def test_the_ear_hears(watched):
    global armed
    armed = True
    os.system("true")
    armed = False
    assert heard.pop()[0] == "os.system"


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(kind, good, watched):
    fuzz(kind, good, watched, FILES)


# What Orbax still waits for when a read has failed wakes a loop that is closed by then.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("count", [FILES // 4, pytest.param(1500, marks=pytest.mark.slow)])
def test_damaged_trees(count, tree, watched):
    fuzz_trees(tree, watched, count)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files(kind, good, watched):
    fuzz(kind, good, watched, 3000)
