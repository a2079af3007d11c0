"""Readers: what was written by the format's own library is read to the bit."""

import json
import os
import zipfile

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import orbax.checkpoint as ocp
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.pretrained import zip_files
from wamjax.core.errors import UserError
from wamjax.pretrained import safetensors_file
from wamjax.pretrained.bijection import shapes_of
from wamjax.pretrained.opened import open_tensors
from wamjax.pretrained.torch_file import TorchFile


def arrays():
    rng = np.random.default_rng(0)
    made = {
        f"layer.{dtype}": rng.normal(size=(3, 5)).astype(dtype)
        for dtype in ("float64", "float32", "float16", ml_dtypes.bfloat16, "int64", "uint8", "bool")
    }
    return {
        **made,
        "number": np.float32(rng.normal(size=())),
        "empty": np.zeros((0, 4), np.float32),
    }


def same(tensors, wanted):
    assert tensors.shapes == shapes_of(wanted)
    for name, array in wanted.items():
        got = tensors.read(name)
        assert got.dtype == array.dtype
        assert got.tobytes() == np.asarray(array).tobytes(), name


def written(path, wanted):
    def fill(name, place):
        place()[...] = wanted[name]

    safetensors_file.write(path, shapes_of(wanted), fill, {"format": "np"})
    return path


def test_safetensors_of_the_library(tmp_path):
    wanted = {k: np.asarray(x) for k, x in arrays().items() if x.dtype != ml_dtypes.bfloat16}
    save_file(wanted, tmp_path / "a.safetensors", metadata={"made": "here"})
    same(open_tensors(tmp_path / "a.safetensors"), wanted)
    same(open_tensors(tmp_path), wanted)


def test_the_library_reads_what_we_write(tmp_path):
    torch = pytest.importorskip("torch")
    wanted = arrays()
    path = written(tmp_path / "a.safetensors", wanted)
    same(open_tensors(path), wanted)
    with safe_open(path, "pt") as opened:
        assert {*opened.keys()} == {*wanted}
        for name, array in wanted.items():
            got = opened.get_tensor(name)
            assert got.shape == array.shape
            assert got.reshape(-1).view(torch.uint8).numpy().tobytes() == array.tobytes()


def test_sharded_safetensors(tmp_path):
    wanted = arrays()
    names = sorted(wanted)
    homes = {}
    for place in range(2):
        file = f"model-{place + 1}-of-2.safetensors"
        part = {name: wanted[name] for name in names[place::2]}
        written(tmp_path / file, part)
        homes |= dict.fromkeys(part, file)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": homes}))
    same(open_tensors(tmp_path), wanted)
    same(open_tensors(index), wanted)
    for wrong, what in (
        ({**homes, names[0]: "../model-1-of-2.safetensors"}, "not beside it"),
        ({**homes, names[0]: "model-3-of-2.safetensors"}, "not beside it"),
        ({**homes, "more": homes[names[0]]}, "differ in 1 tensors"),
        ({}, "names 0 files"),
        ([], "no index"),
    ):
        index.write_text(json.dumps({"weight_map": wrong}))
        with pytest.raises(UserError, match=what):
            open_tensors(tmp_path)
    index.unlink()
    written(tmp_path / "again.safetensors", {names[0]: wanted[names[0]]})
    with pytest.raises(UserError, match="stands in"):
        open_tensors(tmp_path)


def test_a_zip_file_made_by_hand(tmp_path):
    wanted = {**arrays(), "turned": np.arange(6.0, dtype=np.float32).reshape(2, 3)}
    path = zip_files.write(tmp_path / "a.pt", zip_files.entries(wanted))
    same(open_tensors(path), wanted)
    torch = pytest.importorskip("torch")
    theirs = torch.load(path, weights_only=True)
    assert np.array_equal(theirs["turned"].numpy(), wanted["turned"])


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_zip_files_of_torch(tmp_path, protocol):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    base = torch.randn(6, 8)
    wanted = {
        "plain": torch.randn(3, 4),
        "half": torch.randn(5).bfloat16(),
        "eighth": torch.randn(5).to(torch.float8_e4m3fn),
        "turned": base.T,
        "part": base[2:4, 1:5:2],
        "row": base[3],
        "empty": torch.zeros(0, 3),
        "number": torch.tensor(3.0),
        "whole": torch.arange(4),
        "true": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(torch.randn(2, 2)),
    }
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).state_dict()
    path = tmp_path / "a.pth"
    held = {"state_dict": wanted, "model": model, "epoch": 3, "rates": [1e-3, None], "of": "x"}
    torch.save(held, path, pickle_protocol=protocol)
    found = open_tensors(path, "state_dict.")
    assert {*found.shapes} == {*wanted}
    for name, x in wanted.items():
        x = x.detach()
        got = found.read(name)
        assert got.shape == tuple(x.shape)
        assert str(got.dtype) == str(x.dtype).removeprefix("torch.")
        assert (
            got.tobytes() == b""
            if not x.numel()
            else (got.tobytes() == x.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        )
        assert not got.flags.writeable
    assert {*open_tensors(path, "model.").shapes} == {*model}
    # A storage that tensors share stands in the file once.
    assert (
        path.stat().st_size < 2 * sum(x.numel() * x.element_size() for x in wanted.values()) + 8192
    )


@pytest.mark.parametrize("value", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_orbax_trees(tmp_path, value, wrapped):
    flat = {"llm/x": jnp.arange(6.0).reshape(2, 3), "img/y": jnp.ones(3, jnp.bfloat16)}
    tree = {
        key.split("/")[0]: {key.split("/")[1]: {"value": x} if value else x}
        for key, x in flat.items()
    }
    with ocp.PyTreeCheckpointer() as saver:
        saver.save(tmp_path / "step" / "params", {"params": tree} if wrapped else tree)
    for path in (tmp_path / "step", tmp_path / "step" / "params"):
        same(open_tensors(path), {k: np.asarray(x) for k, x in flat.items()})
    for file in (tmp_path / "step" / "params").rglob("*"):
        if file.is_file() and file.parent.name == "d":
            file.write_bytes(file.read_bytes()[:7])
    with pytest.raises(UserError, match="no whole Orbax tree"):
        same(open_tensors(tmp_path / "step"), {k: np.asarray(x) for k, x in flat.items()})


HOSTILE = {
    "system": zip_files.called("posix", "system", zip_files.word("touch canary")),
    "eval": zip_files.called("builtins", "eval", zip_files.word("1")),
    "getattr": zip_files.called("builtins", "getattr", zip_files.word("a"), zip_files.word("b")),
    "load": zip_files.called("torch", "load", zip_files.word("x")),
    "hidden": zip_files.called("torch._utils", "_rebuild_tensor_v2.__globals__"),
    "by a stack": zip_files.word("os") + zip_files.word("system") + b"\x93" + b")R",
    "an instance": b"(" + zip_files.word("x") + b"ios\nsystem\n",
    "an object": zip_files.name("os", "system") + b")\x81",
    "an extension": b"\x82\x01",
    "a dtype called": zip_files.called("torch", "float32"),
    "itself": b"}q\x00" + zip_files.word("x") + b"h\x00s",
    "two of two": b"}q\x00"
    + b"".join(
        b"}"
        + zip_files.word("a")
        + b"h"
        + bytes([n])
        + b"s"
        + zip_files.word("b")
        + b"h"
        + bytes([n])
        + b"sq"
        + bytes([n + 1])
        for n in range(40)
    )[:-1]
    + b"\x29",
    "a tuple as key": b"}" + zip_files.several(zip_files.whole(1)) + b"Ns",
}


@pytest.mark.parametrize("codes", HOSTILE.values(), ids=HOSTILE)
def test_hostile_pickles_are_refused(tmp_path, monkeypatch, codes):
    monkeypatch.chdir(tmp_path)

    def ran(*_):
        raise AssertionError("code ran")

    monkeypatch.setattr(os, "system", ran)
    good = zip_files.entries({"w": np.ones(3, np.float32)})
    good["data.pkl"] = zip_files.pickled({"bad": codes})
    path = zip_files.write(tmp_path / "a.pt", good)
    with pytest.raises(UserError, match="is not read"):
        open_tensors(path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]


SIZES = {
    "beyond": (0, (4,), (1,)),
    "behind": (2, (2,), (1,)),
    "before": (-1, (2,), (1,)),
    "a negative stride": (2, (2,), (-1,)),
    "a negative shape": (0, (-2,), (1,)),
    "a bomb": (0, (2**40,), (0,)),
    "empty and too large": (0, (0, 2**62, 2**62), (1, 1, 1)),
    "overflow": (0, (2**62, 2**62), (2**62, 1)),
    "a stride beyond": (0, (2,), (2**62,)),
    "ranks": (0, (2, 1), (1,)),
    "a float": (0, (2,), (1,)),
}


@pytest.mark.parametrize("case", SIZES)
def test_tensors_that_reach_beyond_their_storage_are_refused(tmp_path, case):
    offset, shape, strides = SIZES[case]
    stored = zip_files.storage("float32", "0", 3)
    codes = zip_files.tensor(stored, offset, shape, strides)
    if case == "a float":
        codes = codes.replace(zip_files.whole(2), b"G" + bytes(8))
    files = {"data.pkl": zip_files.pickled({"w": codes}), "data/0": bytes(12)}
    with pytest.raises(UserError, match="is not read"):
        TorchFile(zip_files.write(tmp_path / "a.pt", files))


def test_zip_files_that_are_none_of_torch_are_refused(tmp_path):
    good = zip_files.entries({"w": np.ones(3, np.float32)})
    for files, kind in (
        (good, zipfile.ZIP_DEFLATED),
        ({k: x for k, x in good.items() if k != "data.pkl"}, zipfile.ZIP_STORED),
        ({k: x for k, x in good.items() if k != "data/0"}, zipfile.ZIP_STORED),
        ({**good, "byteorder": b"big"}, zipfile.ZIP_STORED),
        ({**good, "data/0": bytes(16)}, zipfile.ZIP_STORED),
    ):
        with pytest.raises(UserError, match="is not read"):
            open_tensors(zip_files.write(tmp_path / "a.pt", files, kind))


def test_what_is_no_checkpoint_is_refused_in_a_sentence(tmp_path):
    torch = pytest.importorskip("torch")
    legacy = tmp_path / "legacy.pth"
    torch.save({"w": torch.ones(2)}, legacy, _use_new_zipfile_serialization=False)
    pointer = tmp_path / "pointer.safetensors"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    (tmp_path / "nothing").mkdir()
    for path, what in (
        (legacy, "before 1.6"),
        (pointer, "Git LFS"),
        (text, "neither"),
        (tmp_path / "nothing", "no safetensors files"),
        (tmp_path / "absent", "does not exist"),
    ):
        with pytest.raises(UserError, match=what) as caught:
            open_tensors(path)
        assert len(str(caught.value).splitlines()) == 1


def test_a_prefix_that_is_not_there(tmp_path):
    path = written(tmp_path / "a.safetensors", {"model.w": np.ones(2, np.float32)})
    assert {*open_tensors(path, "model.").shapes} == {"w"}
    with pytest.raises(UserError, match=r"names begin with \['model'\]"):
        open_tensors(path, "net.")
