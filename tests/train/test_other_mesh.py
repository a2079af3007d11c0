"""Where every array of a training state lives, and that a checkpoint moves from mesh to mesh."""

import functools
import pathlib
from typing import Any

import jax
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding

from tests.parallel.test_every_mesh import MESHES, named
from tests.train.sharded import Sharded, boxed, lies_as_declared
from wamjax.cli.main import main
from wamjax.core.tree import leaves_by_path, weights_sha256
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.parallel.rules import spec_of
from wamjax.parallel.shardings import logical_axes
from wamjax.train.checkpoint import Checkpoints
from wamjax.train.state import TrainState

SOURCE = {"data": 1, "fsdp": 2, "tensor": 2, "sequence": 2}
# (mesh, devices) that a checkpoint of eight devices goes on with, and comes from.
TARGETS = [
    ({"data": 1, "tensor": 8}, 8),
    ({"data": 1, "fsdp": 8}, 8),
    ({"data": 1, "fsdp": 4, "across_data": 2}, 8),
    ({"data": 2, "sequence": 2}, 4),
    ({"data": 1, "fsdp": 2, "tensor": 2}, 4),
    ({"data": 1}, 1),
]


def meshed(lengths: dict[str, int], devices: int = 8) -> jax.sharding.Mesh:
    return make_mesh(MeshConfig(**lengths), jax.devices()[:devices])


@functools.cache
def on(lengths: tuple[tuple[str, int], ...], devices: int = 8) -> Sharded:
    """`fast_wam` on a mesh, whose step is compiled once."""
    return Sharded(meshed(dict(lengths), devices))


def bits(state: TrainState) -> str:
    return weights_sha256(state)


@functools.cache
def axes_of(name: str) -> dict[str, tuple[str | None, ...]]:
    """The logical axes of every weight, by its path."""
    axes = logical_axes(boxed(name))
    flat = jax.tree_util.tree_flatten_with_path(axes, is_leaf=lambda leaf: isinstance(leaf, tuple))
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in flat[0]}


@pytest.mark.parametrize("lengths", MESHES, ids=named)
@pytest.mark.parametrize("name", ["fast_wam", pytest.param("pi0", marks=pytest.mark.slow)])
def test_weights_averages_and_slots_are_declared_by_the_table(name: str, lengths: dict[str, int]):
    mesh, axes = meshed(lengths), axes_of(name)
    state = Sharded(mesh, name).plan.abstract
    slots = [optax.tree.get(state.opt_state, slot) for slot in ("mu", "nu")]
    assert leaves_by_path(state.params).keys() == axes.keys()
    seen = 0
    for weights in (state.params, state.ema, *slots):
        for path, leaf in leaves_by_path(weights).items():
            wanted = NamedSharding(mesh, spec_of(axes[path], leaf.shape, mesh))
            assert leaf.sharding.is_equivalent_to(wanted, leaf.ndim), path
            seen += 1
    # The rest are counts.
    rest = [leaf for leaf in jax.tree.leaves(state) if not leaf.shape]
    assert seen + len(rest) == len(jax.tree.leaves(state))
    assert all(leaf.sharding.is_fully_replicated for leaf in rest)
    split = [
        leaf for leaf in jax.tree.leaves(state.params) if not leaf.sharding.is_fully_replicated
    ]
    assert (len(split) > 10) == (lengths.get("fsdp", 1) * lengths.get("tensor", 1) > 1)


@pytest.mark.slow
@pytest.mark.parametrize("lengths", [SOURCE, *MESHES], ids=named)
def test_a_step_leaves_everything_where_it_was_declared(lengths: dict[str, int]):
    there = on(tuple(lengths.items()))
    state = there.fresh()
    lies_as_declared(state, there.plan)
    for _ in range(2):
        before, (state, told) = state, there.after(state, 1)
        lies_as_declared(state, there.plan)
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before.params))
        assert all(value.sharding.is_fully_replicated for value in told[0].values())


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, Any, list[float]]:
    """(workdir, state after three steps on NumPy arrays, losses of the two after them)."""
    workdir, source = tmp_path_factory.mktemp("saved"), on(tuple(SOURCE.items()))
    state, _ = source.after(source.fresh(), 3)
    whole = jax.device_get(state)
    with Checkpoints(workdir, 2) as checkpoints:
        checkpoints.save(3, state, {"next_example": 24}, {})
    _, told = source.after(state, 2)
    return workdir, whole, [float(row["loss"]) for row in told]


@pytest.mark.parametrize(("lengths", "devices"), TARGETS)
def test_a_checkpoint_of_one_mesh_is_restored_on_another_bit_for_bit(
    saved: Any, lengths: dict[str, int], devices: int
):
    workdir, whole, _ = saved
    there = on(tuple(lengths.items()), devices)
    with Checkpoints(workdir, 2) as checkpoints:
        assert checkpoints.latest() == 3
        state, data = checkpoints.restore(3, there.plan.abstract)
    assert data == {"next_example": 24}
    lies_as_declared(state, there.plan)
    assert bits(state) == bits(whole)
    # Slots that are still zero would be equal, too.
    for slot in ("mu", "nu"):
        leaves = jax.tree.leaves(optax.tree.get(whole.opt_state, slot))
        assert np.mean([np.any(leaf != 0) for leaf in leaves]) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("lengths", "devices"), TARGETS)
def test_and_goes_on_there(saved: Any, lengths: dict[str, int], devices: int):
    workdir, _, losses = saved
    there = on(tuple(lengths.items()), devices)
    with Checkpoints(workdir, 2) as checkpoints:
        state, _ = checkpoints.restore(3, there.plan.abstract)
    state, told = there.after(state, 2)
    lies_as_declared(state, there.plan)
    np.testing.assert_allclose([row["loss"] for row in told], losses, rtol=1e-4)
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["mesh.fsdp=3"], "The mesh (data -1, fsdp 3, tensor 1, sequence 1) does not fit 8 device"),
        (["mesh.data=2", "mesh.tensor=2"], "set mesh lengths whose product is 8"),
        (["mesh.across_data=3"], "in each of 3 slices) does not fit 8 device"),
        (["train.batch=12"], "A batch of 12 examples cannot be split over 8 devices"),
        (["mesh.data=-1", "mesh.fsdp=-1"], "at most one mesh length may be -1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_uneven_mesh_is_refused_by_one_sentence(
    flags: list[str], sentence: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
):
    words = ["train", "--config", "configs/bridge_tiny.py", "--workdir", str(tmp_path / "run")]
    words += ["--config.data.dir=nowhere", *[f"--config.{flag}" for flag in flags]]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("wamjax train: ")
    assert sentence in line
    assert not (tmp_path / "run").exists()
