"""Conversion: equal to the tree in memory, goes on where it was ended, and back to the bit."""

import os
import signal
import subprocess
import sys
import time

import flax.traverse_util
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from tests.pretrained.tables import families
from tests.pretrained.test_load import TABLE, TARGET, weights
from wamjax.core.errors import UserError
from wamjax.core.tree import leaves_by_path
from wamjax.pretrained.convert import convert, converted, export, own_names
from wamjax.pretrained.load import load
from wamjax.pretrained.moves import theirs
from wamjax.pretrained.opened import open_tensors
from wamjax.pretrained.tensors import InMemory

SMALL = 200
REQUEST = {"family": "made up"}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def holds(folder, params):
    tensors = converted(folder)[1]
    leaves = leaves_by_path(params)
    assert {*tensors.shapes} == {*leaves}
    for path, leaf in leaves.items():
        got = tensors.read(path)
        assert got.dtype == leaf.dtype
        assert got.tobytes() == leaf.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16])
def test_there_and_back_is_bit_equal(tmp_path, dtype):
    params = weights(dtype)
    tensors = theirs(TABLE, params)
    convert(InMemory(tensors), TABLE, TARGET, tmp_path / "ours", REQUEST, at_most=SMALL)
    holds(tmp_path / "ours", params)
    export(converted(tmp_path / "ours")[1], TABLE, tmp_path / "back", REQUEST, at_most=SMALL)
    back = open_tensors(tmp_path / "back")
    assert {*back.shapes} == {*tensors}
    for name, array in tensors.items():
        assert back.read(name).tobytes() == array.tobytes()
    # What is converted loads as any checkpoint does.
    tree = load(converted(tmp_path / "ours")[1], own_names(TARGET), TARGET)
    assert all(np.array_equal(np.asarray(tree[k]), x) for k, x in params.items())


@settings(max_examples=8, deadline=None)
@given(family=families())
def test_any_table_goes_there_and_back(family, tmp_path_factory):
    table, params = family
    folder = tmp_path_factory.mktemp("made")
    convert(InMemory(theirs(table, params)), table, params, folder / "ours", REQUEST)
    holds(folder / "ours", params)


def test_it_casts_floating_numbers_only(tmp_path):
    tensors = theirs(TABLE, weights())
    convert(InMemory(tensors), TABLE, TARGET, tmp_path / "x", REQUEST, dtype="bfloat16")
    want = {k: v if k == "steps" else v.astype(jnp.bfloat16) for k, v in weights().items()}
    holds(tmp_path / "x", want)


class Ended(BaseException):
    """As an interrupt, which nothing catches."""


class Ending(InMemory):
    """Ends the conversion at the n-th read."""

    left = 0

    def read(self, name):
        type(self).left -= 1
        if type(self).left < 0:
            raise Ended
        return super().read(name)


def test_it_goes_on_where_it_was_ended(tmp_path):
    tensors = theirs(TABLE, weights())
    convert(InMemory(tensors), TABLE, TARGET, tmp_path / "whole", REQUEST, at_most=SMALL)
    for reads in range(len(tensors)):
        out = tmp_path / str(reads)
        Ending.left = reads
        with pytest.raises(Ended):
            convert(Ending(tensors), TABLE, TARGET, out, REQUEST, at_most=SMALL)
        with pytest.raises(UserError, match="no finished conversion"):
            converted(out)
        # As a kill leaves it in the middle of its last write.
        (out / ".weights.safetensors.index.json.k1ll3d").write_text("{")
        finished = len([*out.glob("*.safetensors")])
        Ending.left = len(tensors) - (6 if finished else 0)
        convert(Ending(tensors), TABLE, TARGET, out, REQUEST, at_most=SMALL)
        assert contents(out) == contents(tmp_path / "whole")


def test_another_request_and_a_full_folder_are_refused(tmp_path):
    tensors = InMemory(theirs(TABLE, weights()))
    convert(tensors, TABLE, TARGET, tmp_path / "x", REQUEST)
    with pytest.raises(UserError, match="belongs to another conversion"):
        convert(tensors, TABLE, TARGET, tmp_path / "x", {"family": "other"})
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        convert(tensors, TABLE, TARGET, tmp_path / "y", REQUEST)
    assert [file.name for file in (tmp_path / "y").iterdir()] == ["mine.txt"]


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match="No space left on device"):
        convert(InMemory(theirs(TABLE, weights())), TABLE, TARGET, tmp_path / "x", REQUEST)


@pytest.mark.slow
def test_a_killed_conversion_goes_on(tmp_path):
    """Killed again and again by SIGKILL: in the end the bytes are those of an undisturbed one."""
    command = [sys.executable, "-m", "tests.pretrained.killed_convert"]
    subprocess.run([*command, str(tmp_path / "whole"), "0"], check=True)
    want, kills = contents(tmp_path / "whole"), 0
    out = tmp_path / "killed"
    while True:
        had = len([*out.glob("*.safetensors")])
        process = subprocess.Popen([*command, str(out), "0.02"])
        while process.poll() is None and len([*out.glob("*.safetensors")]) < had + 2:
            time.sleep(0.01)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    assert process.returncode == 0
    assert kills >= 2
    assert contents(out) == want


def test_paths_are_the_names(tmp_path):
    tensors = InMemory(theirs(TABLE, weights()))
    convert(tensors, TABLE, {**TARGET}, tmp_path / "x", REQUEST)
    tree = flax.traverse_util.unflatten_dict(dict(converted(tmp_path / "x")[1].shapes), sep="/")
    assert leaves_by_path(tree).keys() == leaves_by_path(TARGET).keys()
