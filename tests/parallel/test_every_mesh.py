"""Whatever the mesh, the loss and its gradient are those of one device."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.core.errors import UserError
from wamjax.parallel.activations import constrain, spread_over
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.parallel.shardings import batch_sharding, param_shardings, replicated, unbox
from wamjax.recipes.on_values import OnValues, Values
from wamjax.recipes.registry import RECIPES

ROWS = 8
MESHES = [
    {"data": 8},
    {"data": 1, "fsdp": 8},
    {"data": 2, "fsdp": 4},
    {"data": 4, "tensor": 2},
    {"data": 1, "fsdp": 4, "tensor": 2},
    {"data": 1, "sequence": 8},
    {"data": 4, "sequence": 2},
    {"data": 1, "fsdp": 2, "tensor": 2, "sequence": 2},
    {"data": 1, "fsdp": 2, "sequence": 4},
    {"data": 1, "fsdp": 4, "across_data": 2},
    {"data": 2, "fsdp": 2, "across_fsdp": 2},
]

QUICK = [MESHES[4], MESHES[10]]


def named(mesh: dict[str, int]) -> str:
    return "-".join(f"{axis}{length}" for axis, length in mesh.items())


@functools.cache
def system(name: str) -> OnValues:
    blueprint = RECIPES[name].build("tiny")
    model = dataclasses.replace(blueprint.model, remat="full")
    return OnValues(dataclasses.replace(blueprint, model=model))


@functools.cache
def drawn(name: str) -> tuple[Any, Values]:
    """Weights with noise on every one of them, and a batch."""
    made = unbox(jax.jit(system(name).init)(jax.random.key(0)))
    draws = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: np.asarray(leaf) + 0.05 * draws.normal(size=leaf.shape).astype(np.float32),
        made,
    )
    shapes = system(name).batch(ROWS)
    words = [
        system(name).blueprint.model.port(segment.stream).embed == "words"
        for segment in system(name).blueprint.training.segments
    ]
    values = tuple(
        np.zeros(leaf.shape, np.float32) if is_word else draws.normal(size=leaf.shape)
        for leaf, is_word in zip(shapes.values, words, strict=True)
    )
    real = draws.random(shapes.real.shape) > 0.05
    batch = Values(tuple(np.float32(v) for v in values), real, np.zeros(ROWS, np.int32))
    return params, batch


def graded(name: str, mesh: jax.sharding.Mesh | None) -> Any:
    """Loss and gradient, on one device or spread over a mesh."""
    one, (params, batch) = system(name), drawn(name)
    objective = one.blueprint.learning.lessons[-1].name

    def loss(params: Any, batch: Values) -> Any:
        if mesh is None:
            return one.loss(params, batch, jax.random.key(1), objective)[0]
        with spread_over(mesh):
            return one.loss(params, batch, jax.random.key(1), objective)[0]

    grade = jax.value_and_grad(loss)
    if mesh is None:
        return jax.device_get(jax.jit(grade)(params, batch))
    places = param_shardings(jax.eval_shape(one.init, jax.random.key(0)), mesh)
    rows = batch_sharding(mesh, ROWS)
    program = jax.jit(grade, in_shardings=(places, rows), out_shardings=(replicated(mesh), places))
    return jax.device_get(program(params, batch))


def same(got: Any, wanted: Any) -> None:
    np.testing.assert_allclose(got[0], wanted[0], rtol=1e-5)
    for ours, theirs in zip(jax.tree.leaves(got[1]), jax.tree.leaves(wanted[1]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-5 * np.abs(theirs).max() + 1e-7)


@functools.cache
def alone(name: str) -> Any:
    return graded(name, None)


@pytest.mark.parametrize(
    "mesh",
    [pytest.param(m, marks=() if m in QUICK else pytest.mark.slow) for m in MESHES],
    ids=named,
)
def test_loss_and_gradient_are_those_of_one_device(mesh: dict[str, int]):
    same(graded("fast_wam", make_mesh(MeshConfig(**mesh))), alone("fast_wam"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pi0", "ge_act", "cosmos_policy", "x_vla", "octo"])
@pytest.mark.parametrize("mesh", [MESHES[4], MESHES[7]], ids=named)
def test_the_same_of_other_couplings(name: str, mesh: dict[str, int]):
    same(graded(name, make_mesh(MeshConfig(**mesh))), alone(name))


@pytest.mark.parametrize(
    ("mesh", "rows", "text"),
    [
        ({"data": 3}, 8, "does not fit 8 device"),
        ({"data": 8}, 12, "train.batch to a multiple of 8"),
        ({"data": 4, "across_data": 4}, 8, "does not fit 8 device"),
    ],
    ids=["devices", "batch", "slices"],
)
def test_a_mesh_that_does_not_divide_is_refused(mesh: dict[str, int], rows: int, text: str):
    with pytest.raises(UserError, match=text):
        batch_sharding(make_mesh(MeshConfig(**mesh)), rows)


def test_a_large_weight_that_does_not_divide_is_refused():
    blueprint = RECIPES["fast_wam"].build("full")
    boxed = jax.eval_shape(OnValues(blueprint).init, jax.random.key(0))
    mesh = make_mesh(MeshConfig(data=1, tensor=5), jax.devices()[:5])
    with pytest.raises(UserError, match=r"is not a multiple of mesh axis tensor \(5\)"):
        param_shardings(boxed, mesh)


def test_slices_are_the_outer_part_of_their_axis():
    devices = jax.devices()
    mesh = make_mesh(MeshConfig(data=2, fsdp=2, across_data=2), devices)
    assert dict(mesh.shape) == {"data": 4, "fsdp": 2, "tensor": 1, "sequence": 1}
    assert [device.id for device in mesh.devices[:2].flat] == [d.id for d in devices[:4]]
    over_fsdp = make_mesh(MeshConfig(data=2, fsdp=2, across_fsdp=2), devices)
    assert [device.id for device in over_fsdp.devices[:, :2].flat] == [d.id for d in devices[:4]]


def test_activations_are_where_they_were_said_to_be():
    mesh = make_mesh(MeshConfig(data=2, fsdp=2, sequence=2))

    def plain(x: jax.Array) -> jax.Array:
        with spread_over(mesh):
            return constrain(x, "batch", "token", None)

    out = jax.jit(plain)(jax.device_put(jnp.zeros((8, 6, 3)), replicated(mesh)))
    assert out.sharding.shard_shape(out.shape) == (2, 3, 3)
    # Outside, nothing is said.
    assert "sharding" not in jax.jit(lambda x: constrain(x, "batch", None)).lower(
        jnp.zeros((8, 6))
    ).as_text().replace("jax.sharding", "")
