"""Loading onto a mesh: equal to the tree in memory, sharded as asked, in bounded memory."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from tests.pretrained.tables import families
from wamjax.core.errors import UserError
from wamjax.core.tree import leaves_by_path
from wamjax.parallel import MeshConfig, make_mesh
from wamjax.pretrained.load import load
from wamjax.pretrained.moves import theirs
from wamjax.pretrained.table import Rule, Table
from wamjax.pretrained.tensors import InMemory

NamedSharding, P = jax.sharding.NamedSharding, jax.sharding.PartitionSpec

TABLE = Table(
    rules=(
        Rule("b.{layer}.q", "qkv", "(h d) w -> w h d", slot=(2, 0)),
        Rule("b.{layer}.k", "qkv", "(h d) w -> w h d", slot=(2, 1)),
        Rule("up", "up", "o i -> i o"),
        Rule("steps", "steps"),
    ),
    counts={"layer": 3},
    sizes={"h": 4},
)
TARGET = {
    "qkv": jax.ShapeDtypeStruct((3, 8, 4, 2, 5), jnp.float32),
    "up": jax.ShapeDtypeStruct((8, 6), jnp.float32),
    "steps": jax.ShapeDtypeStruct((), jnp.int32),
}


def weights(dtype=np.float32):
    rng = np.random.default_rng(0)
    return {
        "qkv": rng.normal(size=(3, 8, 4, 2, 5)).astype(dtype),
        "up": rng.normal(size=(8, 6)).astype(dtype),
        "steps": np.int32(7),
    }


@pytest.mark.parametrize("dtype", [None, "bfloat16"])
@pytest.mark.parametrize("stored", [np.float32, jnp.bfloat16])
def test_shards_hold_what_the_whole_holds(stored, dtype):
    params = weights(stored)
    mesh = make_mesh(MeshConfig(data=2, fsdp=2, tensor=2))
    specs = {"qkv": P(None, "fsdp", "tensor"), "up": P("tensor", "fsdp"), "steps": P()}
    shardings = {name: NamedSharding(mesh, spec) for name, spec in specs.items()}
    got = load(InMemory(theirs(TABLE, params)), TABLE, TARGET, shardings, dtype=dtype)
    for name, array in params.items():
        want = array if dtype is None or name == "steps" else array.astype(dtype)
        assert got[name].dtype == want.dtype
        assert got[name].sharding == shardings[name]
        assert np.array_equal(np.asarray(got[name]), want)
        for shard in got[name].addressable_shards:
            assert np.array_equal(np.asarray(shard.data), np.asarray(want)[shard.index])


@settings(max_examples=8, deadline=None)
@given(families())
def test_any_table_loads_the_tree_it_names(family):
    table, params = family
    got = leaves_by_path(load(InMemory(theirs(table, params)), table, params))
    for path, leaf in leaves_by_path(params).items():
        assert np.array_equal(np.asarray(got[path]), leaf)


def test_a_leaf_of_two_dtypes_is_refused_unless_one_is_asked_for():
    tensors = theirs(TABLE, weights())
    tensors["b.1.k"] = tensors["b.1.k"].astype(np.float16)
    with pytest.raises(UserError, match="say by --dtype"):
        load(InMemory(tensors), TABLE, TARGET)
    assert load(InMemory(tensors), TABLE, TARGET, dtype="float32")["qkv"].dtype == np.float32


def test_every_tensor_is_read_once():
    tensors, read = theirs(TABLE, weights()), []

    class Counted(InMemory):
        def read(self, name):
            read.append(name)
            return super().read(name)

    load(Counted(tensors), TABLE, TARGET)
    assert sorted(read) == sorted(tensors)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["load", "convert"])
def test_memory_is_bounded_by_the_largest_tensor(tmp_path, kind):
    command = [sys.executable, "-m", "tests.pretrained.large_load", kind, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    print(told)
    assert told["largest"] <= told["file"] / 20
    assert told["peak"] - told["held"] <= told["largest"] + 2**30
