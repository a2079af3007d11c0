"""What a chunk costs: counts held to the traced walk, and bounds below any time."""

import math

import jax
import jax.numpy as jnp
import pytest

from tests.recipes.conformance import tiny
from wamjax.core.typing import Params
from wamjax.eval.bytes_read import bytes_read, live
from wamjax.eval.ceilings import DEVICES, Device, own_device
from wamjax.eval.chunk_cost import Pass, in_type, least_seconds, passes, weight_shapes
from wamjax.eval.chunk_time import chunk, chunk_time, inputs
from wamjax.recipes.blueprint import Walk
from wamjax.recipes.network import parameters
from wamjax.recipes.registry import RECIPES
from wamjax.train.flops import count_flops


def whole(blueprint, steps=None):
    """(FLOPs, bytes of weights) of the walk, traced as one program."""
    params = weight_shapes(blueprint)
    standing, given = inputs(blueprint, 1)

    def run(params: Params, *given):
        return chunk(blueprint, params, *given, standing=standing, steps=steps)

    closed = jax.make_jaxpr(run)(params, *given)
    jaxpr, left = live(closed)
    words = ["weights"] * len(jax.tree.leaves(params)) + [None] * len(jax.tree.leaves(given))
    kept = [word for word, here in zip(words, left, strict=True) if here]
    return count_flops(jaxpr), bytes_read(jaxpr, kept)["weights"]


@pytest.mark.parametrize("name", RECIPES)
def test_the_passes_add_up_to_the_traced_walk(name):
    blueprint = tiny(name)
    counted = passes(blueprint)
    flops, weights = whole(blueprint)
    assert sum(one.count * one.flops for one in counted) == pytest.approx(flops, rel=1e-6)
    assert sum(one.count for one in counted) == blueprint.passes
    # In one body of the trace, a weight that both branches of guidance read is counted once;
    # layers, which are loops of their own, are counted for each.
    if blueprint.walk.guidance:
        assert sum(one.count * one.weights for one in counted) > weights
    else:
        total = sum(one.count * one.weights for one in counted)
        assert total == pytest.approx(weights, rel=0.01)
    # Nothing stands in a cache before something was put there.
    assert counted[0].cache == 0.0
    assert all(one.cache > 0 for one in counted[1:])


def test_steps_and_guidance_are_counted():
    blueprint = tiny("lingbot_va")
    counts = {one.name: one.count for one in passes(blueprint, steps=3)}
    assert counts == {"prefill": 2, "step of video": 6, "writing": 1, "step of action": 3}
    counts = {one.name: one.count for one in passes(blueprint, settings=Walk(solver="heun"))}
    assert counts == {"prefill": 1, "step of video": 50, "writing": 1, "step of action": 100}


def test_a_batch_of_two_costs_twice_the_flops_and_reads_the_weights_once():
    one, two = (passes(tiny("fast_wam"), rows) for rows in (1, 2))
    for single, double in zip(one, two, strict=True):
        # The levels' own layers depend on no row of the batch alone, and are few.
        assert double.flops == pytest.approx(2 * single.flops, rel=0.02)
        assert double.weights == single.weights
        assert double.cache == 2 * single.cache


def test_half_as_wide_numbers_are_half_the_bytes():
    wide, narrow = (passes(in_type(tiny("pi0"), dtype)) for dtype in ("float32", "bfloat16"))
    for one, other in zip(wide, narrow, strict=True):
        assert other.weights == one.weights / 2
        assert other.flops == one.flops


def test_action_steps_do_not_read_the_video_expert():
    """FastWAM: the prefill reads the video expert, the steps read the action expert alone."""
    blueprint = tiny("fast_wam")
    prefill, step = passes(blueprint)
    sizes = {
        jax.tree_util.keystr(path): 4 * math.prod(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(weight_shapes(blueprint))
    }
    action = sum(size for path, size in sizes.items() if "action" in path)
    assert step.weights <= action
    assert step.weights < prefill.weights <= 4 * parameters(blueprint)


def test_a_full_size_is_counted_without_a_weight():
    blueprint = in_type(RECIPES["fast_wam"].build("full"), "bfloat16")
    prefill, step = passes(blueprint)
    assert prefill.weights < 2 * parameters(blueprint)
    # Ten steps of the 1 B expert, and one pass of the 5 B video model.
    assert step.weights == pytest.approx(2 * 0.83e9, rel=0.05)
    assert 3.0 < 1e3 * least_seconds([prefill, step], DEVICES[0]) < 30.0


def test_what_is_read_by_hand():
    """A product reads its matrix, a loop its slices, a table its rows, no rows nothing."""

    def run(matrix, stack, table, unread):
        x = jax.lax.scan(lambda x, layer: (x @ layer, None), jnp.ones((1, 4)), stack)[0]
        x = jax.lax.fori_loop(0, 3, lambda _, x: x @ matrix.astype(jnp.float32), x)
        nothing = jnp.zeros((0, 4)) @ unread
        return x + table[jnp.array([1, 2])].sum(0) + nothing.sum()

    shapes = (
        jax.ShapeDtypeStruct((4, 4), jnp.bfloat16),
        jax.ShapeDtypeStruct((5, 4, 4), jnp.float32),
        jax.ShapeDtypeStruct((100, 4), jnp.float32),
        jax.ShapeDtypeStruct((4, 4), jnp.float32),
    )
    jaxpr, left = live(jax.make_jaxpr(run)(*shapes))
    words = ["matrix", "stack", "table", "unread"]
    read = bytes_read(jaxpr, [word for word, here in zip(words, left, strict=True) if here])
    assert read == {"matrix": 3 * 16 * 2, "stack": 5 * 16 * 4, "table": 2 * 4 * 4}


def test_the_least_time_is_that_of_the_tighter_limit():
    device = Device("none", flops=100.0, bandwidth=10.0, cache=0.0)
    busy = Pass("busy", 2, flops=1000.0, weights=5.0, cache=5.0)
    slow = Pass("slow", 3, flops=10.0, weights=50.0, cache=30.0)
    assert least_seconds([busy, slow], device) == pytest.approx(2 * 10.0 + 3 * 8.0)
    roomy = Device("none", flops=100.0, bandwidth=10.0, cache=1e9)
    assert least_seconds([slow], roomy) == pytest.approx(3 * 0.1)


def test_this_device_has_peaks():
    own = own_device("float32", seconds=0.05)
    assert own.flops > 1e9
    assert own.bandwidth > 1e8
    assert own.cache > 0


@pytest.mark.parametrize("name", ["fast_wam", "x_vla", "octo"])
def test_a_recipe_is_timed_as_a_whole(name):
    taken, compiling = chunk_time(tiny(name), steps=1, repeats=3)
    assert 0 < taken.p50_ms <= taken.p95_ms
    assert taken.repeats == 3
    assert compiling > 0
