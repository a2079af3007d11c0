"""What a chunk costs: counts against a program that is run, and bounds below any time."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import pytest

from tests.recipes.conformance import tiny
from wamjax.eval.latency import DEVICES, Device, Pass, least_seconds, measure, passes
from wamjax.recipes.network import shapes
from wamjax.recipes.registry import RECIPES


@pytest.mark.parametrize("name", ["fast_wam", "lingbot_va", "openvla_oft", "hidden", "univla"])
def test_the_passes_are_those_of_the_program(name):
    blueprint = tiny(name, None)
    counted = passes(blueprint)
    assert sum(one.count for one in counted) == blueprint.passes or name == "lingbot_va"
    for one in counted:
        assert one.flops > 0
        assert one.weights > 0
    # Nothing stands in a cache before something was put there.
    assert counted[0].cache == 0.0
    assert all(one.cache > 0 for one in counted[1:])


def test_a_chunk_of_two_costs_twice_the_flops_and_reads_the_weights_once():
    one, two = (passes(tiny("fast_wam", None), rows) for rows in (1, 2))
    for single, double in zip(one, two, strict=True):
        assert double.flops == pytest.approx(2 * single.flops)
        assert double.weights == single.weights
        assert double.cache == 2 * single.cache


def test_action_steps_do_not_read_the_video_expert():
    """FastWAM: the prefill reads the video expert, the steps read the action expert alone."""
    blueprint = tiny("fast_wam", None)
    prefill, step = passes(blueprint, bytes_each=1)
    sizes = {
        jax.tree_util.keystr(path): math.prod(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(shapes(blueprint))
    }
    action = sum(size for path, size in sizes.items() if "action" in path)
    video = sum(size for path, size in sizes.items() if "video" in path)
    assert step.weights <= action
    assert step.weights > 0.8 * action - video * 0.2
    assert prefill.weights > 0.5 * video
    assert step.weights < prefill.weights


def test_a_full_size_is_counted_without_a_weight():
    counted = passes(RECIPES["fast_wam"].build("full"))
    total = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes(tiny("fast_wam", None))))
    assert sum(one.weights for one in counted) > 1e3 * total
    # Ten steps of the 1 B expert in bfloat16, and one pass of the 5 B video model.
    least = 1e3 * least_seconds(counted, DEVICES[0])
    assert 3.0 < least < 30.0


def test_the_least_time_is_that_of_the_tighter_limit():
    device = Device("none", flops=100.0, bandwidth=10.0)
    busy = Pass("busy", 2, flops=1000.0, weights=5.0, cache=5.0)
    slow = Pass("slow", 3, flops=10.0, weights=50.0, cache=30.0)
    assert least_seconds([busy, slow], device) == pytest.approx(2 * 10.0 + 3 * 8.0)


@pytest.mark.parametrize("name", ["fast_wam", "x_vla", "cosmos_policy"])
def test_a_recipe_is_timed_as_a_whole(name):
    timing = measure(tiny(name, None), repeats=3)
    assert 0 < timing.p50 <= timing.p95
    assert timing.repeats == 3
    fewer = dataclasses.replace(tiny(name, None))
    assert fewer == tiny(name, None)
    assert jnp.isfinite(timing.compile_seconds)
