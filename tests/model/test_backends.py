"""However attention is computed, its values and gradients are those of `model.attention`."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.pallas.ops.tpu.splash_attention import NumpyMask
from jax.sharding import NamedSharding, PartitionSpec

from tests.model.sequences import LAYOUT, toy
from wamjax.core.errors import UserError
from wamjax.core.typing import Array
from wamjax.model import backends
from wamjax.model.attention import Seen, attention, seen
from wamjax.model.backends import Call, attend, choose, fused, ways_in
from wamjax.model.config import Ways
from wamjax.model.splash import block_for, splash
from wamjax.parallel.activations import spread_over
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.parallel.shardings import BATCH_AXES
from wamjax.train.flops import count_flops

pytestmark = pytest.mark.usefixtures("quick_to_compile")

ROWS, QUERIES, CACHED, WIDTH = 4, 150, 40, 16


def drawn(heads: int, key_heads: int, cached: int) -> tuple[Array, ...]:
    """Queries, keys, values, the weights of a sum over the result, and which keys are real."""
    draws = np.random.default_rng(0)
    keys = (ROWS, QUERIES + cached, key_heads, WIDTH)
    shapes = [(ROWS, QUERIES, heads, WIDTH), keys, keys, (ROWS, QUERIES, heads, WIDTH)]
    arrays = [jnp.asarray(draws.normal(size=shape), jnp.float32) for shape in shapes]
    return *arrays, jnp.asarray(draws.random((ROWS, QUERIES + cached)) < 0.6)


def table_of(cached: int) -> tuple[np.ndarray, np.ndarray]:
    """A random table, not even its diagonal full, and who is who."""
    mask = np.random.default_rng(1).random((QUERIES, QUERIES + cached)) < 0.4
    return mask, np.eye(QUERIES, QUERIES + cached, cached, dtype=bool)


def graded(way: Callable[..., Array], arrays: tuple[Array, ...], own: bool = True) -> Any:
    """The sum's value, and its gradients by query, key and value."""
    query, key, value, weight, real = arrays
    table, itself = table_of(key.shape[1] - QUERIES)

    def total(query: Array, key: Array, value: Array) -> Array:
        return (way(query, key, value, seen(table, real, itself if own else None)) * weight).sum()

    return jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2)))(query, key, value)


def plain(query: Array, key: Array, value: Array, sight: Seen) -> Array:
    return attention(query, key, value, sight.visible)


def by_splash(query: Array, key: Array, value: Array, sight: Seen) -> Array:
    return splash(query, key, value, sight.real, table=sight.table, own=sight.own)


def by_jax(query: Array, key: Array, value: Array, sight: Seen) -> Array:
    return fused(query, key, value, sight.visible, implementation="xla")


def same(got: Any, wanted: Any, close: float = 1e-5) -> None:
    # A sum of ten thousands.
    np.testing.assert_allclose(got[0], wanted[0], atol=100 * close)
    for ours, theirs in zip(got[1], wanted[1], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=close)


@pytest.mark.parametrize("cached", [0, CACHED], ids=["whole", "cached"])
@pytest.mark.parametrize("way", [by_splash, by_jax], ids=["splash", "jax"])
def test_a_kernel_has_the_values_and_gradients_of_dense_scores(
    way: Callable[..., Array], cached: int
):
    arrays = drawn(4, 2, cached)
    same(graded(way, arrays), graded(plain, arrays))


def test_splash_reads_memories_too():
    arrays = drawn(2, 2, CACHED)
    same(graded(by_splash, arrays, own=False), graded(plain, arrays, own=False))


def test_a_mask_is_looked_at_once_for_all_heads(monkeypatch: pytest.MonkeyPatch):
    """Hashing and comparing a long table for every head of every pass took minutes a trace."""
    looked: list[str] = []
    usual = NumpyMask.__hash__, NumpyMask.__eq__
    hashed = lambda it: looked.append("hash") or usual[0](it)  # noqa: E731
    compared = lambda it, other: looked.append("eq") or usual[1](it, other)  # noqa: E731
    monkeypatch.setattr(NumpyMask, "__hash__", hashed)
    monkeypatch.setattr(NumpyMask, "__eq__", compared)
    query, key, value, _, real = drawn(8, 8, 0)
    table, itself = table_of(0)

    def total(query: Array) -> Array:
        return by_splash(query, key, value, seen(table, real, itself)).sum()

    jax.make_jaxpr(jax.grad(total))(query)
    jax.make_jaxpr(jax.grad(lambda query: 2 * total(query)))(query)
    assert looked in ([], ["hash"])


def test_cudnn_is_asked_in_a_form_that_it_takes(monkeypatch: pytest.MonkeyPatch):
    """Without a GPU: jax checks shapes and types, and lowers for CUDA."""
    from jax._src.cudnn import fused_attention_stablehlo as checks

    monkeypatch.setattr(checks, "check_cudnn_version", lambda: 91300)
    monkeypatch.setattr(checks, "check_compute_capability", lambda _: True)
    monkeypatch.setattr(checks, "is_cuda_compute_capability_equal", lambda _: False)
    queries, keys, heads, width = 300, 340, 8, 64

    def struct(*shape: int, dtype: Any = jnp.bfloat16) -> Any:
        return jax.ShapeDtypeStruct((ROWS, *shape), dtype)

    def total(query: Array, key: Array, value: Array, visible: Array) -> Array:
        return fused(query, key, value, visible, implementation="cudnn").sum()

    key = struct(keys, 2, width)
    visible = struct(queries, keys, dtype=jnp.bool_)
    traced = jax.jit(jax.grad(total, argnums=(0, 1, 2))).trace(
        struct(queries, heads, width), key, key, visible
    )
    assert count_flops(traced.jaxpr) == 7 * 2 * ROWS * heads * queries * keys * width
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert "__cudnn$fmhaScaleBiasSoftmaxBackward" in text


@pytest.mark.parametrize(
    ("length", "expected"), [(5, (128, 128)), (600, (128, 640)), (1000, (512, 1024))]
)
def test_blocks_waste_little(length: int, expected: tuple[int, int]):
    assert block_for(length) == expected
    assert block_for(4000) == (512, 4096)


def spread(ways: Ways, mesh: dict[str, int], key_heads: int = 8) -> tuple[Any, str]:
    """`graded` of `attend` on a mesh, and the program's text."""
    arrays = drawn(8, key_heads, 0)
    over = make_mesh(MeshConfig(**mesh))
    rows = NamedSharding(over, PartitionSpec(BATCH_AXES))
    table, itself = table_of(0)
    query, key, value, weight, real = jax.device_put(arrays, rows)

    def total(query: Array, key: Array, value: Array) -> Array:
        with spread_over(over):
            out = attend(query, key, value, seen(table, real, itself), ways)
        return (out * weight).sum()

    whole = NamedSharding(over, PartitionSpec())
    grade = jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2)), out_shardings=(whole, rows))
    program = grade.trace(query, key, value).lower().compile()
    return program(query, key, value), program.as_text() or ""


@pytest.mark.parametrize(
    ("mesh", "ways", "exchanged"),
    [
        ({"data": 1, "sequence": 8}, Ways(), True),
        ({"data": 1, "sequence": 8}, Ways(sequence="gather"), False),
        ({"data": 1, "fsdp": 2, "tensor": 2, "sequence": 2}, Ways(sequence="ulysses"), True),
    ],
    ids=["ulysses", "gather", "ulysses-tensor"],
)
def test_over_the_sequence_axis_nothing_changes(mesh: dict[str, int], ways: Ways, exchanged: bool):
    got, text = spread(ways, mesh)
    same(got, graded(plain, drawn(8, 8, 0)), close=1e-5)
    assert (" all-to-all(" in text) == exchanged


@pytest.fixture
def _splash_anywhere(monkeypatch: pytest.MonkeyPatch):
    """The kernel may be chosen on CPUs, where it is interpreted."""
    monkeypatch.setattr(backends, "REFUSALS", {**backends.REFUSALS, "splash": lambda _: None})


@pytest.mark.usefixtures("_splash_anywhere")
@pytest.mark.parametrize("key_heads", [8, 2], ids=["heads", "grouped"])
def test_splash_runs_between_the_exchanges(key_heads: int):
    mesh = {"data": 1, "fsdp": 2, "tensor": 2, "sequence": 2}
    ways = Ways(attention="splash")
    if key_heads == 2:
        # Two key heads do not divide over tensor x sequence; over tensor they do not either.
        mesh = {"data": 2, "tensor": 4}
    got, text = spread(ways, mesh, key_heads)
    same(got, graded(plain, drawn(8, key_heads, 0)), close=1e-5)
    assert (" all-to-all(" in text) == ("sequence" in mesh)


def two_ways() -> Any:
    """The same model by dense scores and by splash: (their traced programs, weights)."""
    model, params, tokens, sigma = toy("layer_cross")
    other = model.clone(config=dataclasses.replace(model.config, attention="splash"))
    args = {"layout": LAYOUT, "tokens": tokens, "sigma": sigma, "method": "denoise"}
    with spread_over(make_mesh(MeshConfig(data=1), jax.devices()[:1])):
        programs = [
            jax.jit(lambda p, m=m: m.apply(p, **args)).trace(params) for m in (model, other)
        ]
    # A model that is sampled does not insist.
    sampled = jax.jit(lambda p: other.apply(p, **args)).trace(params)
    assert set(ways_in(sampled.jaxpr).values()) == {"xla"}
    return programs, params


@pytest.mark.usefixtures("_splash_anywhere")
def test_a_program_tells_which_ways_it_takes():
    (plain, other), _ = two_ways()
    stacks = ("action", "action memory", "main")
    assert ways_in(plain.jaxpr) == dict.fromkeys(stacks, "xla")
    assert ways_in(other.jaxpr) == dict.fromkeys(stacks, "splash")


@pytest.mark.slow
@pytest.mark.usefixtures("_splash_anywhere")
def test_a_model_computed_by_splash_predicts_the_same():
    programs, params = two_ways()
    theirs, ours = (program.lower().compile()(params) for program in programs)
    for name, values in ours.items():
        np.testing.assert_allclose(values, theirs[name], rtol=1e-4, atol=1e-4)


LONG = Call(
    platform="tpu", dtype="bfloat16", batch=8, queries=2048, keys=2048, heads=8, key_heads=8,
    head_dim=128,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "splash"),
        ({"queries": 300}, "xla"),
        ({"tokens": 4}, "splash"),
        ({"tokens": 3}, "xla"),
        ({"memory": True, "blind": True}, "xla"),
        ({"examples": 16}, "xla"),
        ({"platform": "gpu"}, "cudnn"),
        ({"platform": "gpu", "dtype": "float32"}, "xla"),
        ({"platform": "gpu", "head_dim": 256}, "xla"),
        ({"platform": "gpu", "queries": 2047}, "xla"),
        ({"platform": "gpu", "capability": 7.5}, "xla"),
        ({"platform": "cpu"}, "xla"),
    ],
    ids=str,
)
def test_auto_takes_what_device_and_shape_allow(changes: dict[str, Any], expected: str):
    assert choose(dataclasses.replace(LONG, **changes), Ways())[0] == expected


@pytest.mark.parametrize(
    ("changes", "ways", "text"),
    [
        ({"platform": "cpu"}, Ways("splash"), "kernel for TPUs, and this runs on cpu"),
        ({"blind": True}, Ways("splash"), "sees no key at all"),
        ({"tokens": 2}, Ways("splash", "gather"), "heads are not exchanged"),
        ({"platform": "gpu", "dtype": "float32"}, Ways("cudnn"), "half precision"),
        ({"tokens": 16}, Ways(sequence="ulysses"), "8 heads and 8 key heads over 16 devices"),
    ],
)
def test_what_cannot_be_exact_is_refused(changes: dict[str, Any], ways: Ways, text: str):
    with pytest.raises(UserError, match=text):
        choose(dataclasses.replace(LONG, **changes), ways)


def test_the_work_of_kernels_and_of_all_devices_is_counted():
    query, key, value, _, real = drawn(4, 4, 0)
    table, itself = np.ones((QUERIES, QUERIES), bool), np.eye(QUERIES, dtype=bool)
    dense = 4 * ROWS * QUERIES**2 * 4 * WIDTH

    def way(function: Callable[..., Array]) -> float:
        run = functools.partial(function, sight=seen(table, real, itself))
        return count_flops(jax.make_jaxpr(run)(query, key, value))

    assert way(plain) == dense
    # In blocks of 128: 150 queries fill two, their keys, twice, three.
    assert way(by_splash) == pytest.approx(dense * 256 * 384 / QUERIES**2)
