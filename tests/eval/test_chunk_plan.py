"""What a plan costs: counts held to the traced program."""

import dataclasses

import jax
import pytest

from wamjax.eval.chunk_cost import weight_shapes
from wamjax.eval.chunk_plan import plan_chunk, plan_of, plan_passes, plan_time
from wamjax.eval.chunk_time import inputs
from wamjax.recipes.registry import RECIPES
from wamjax.train.flops import count_flops

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def plan(candidates: int, **changes):
    made = plan_of(RECIPES["cosmos_policy"], "tiny", "float32", candidates)
    return dataclasses.replace(made, planning=dataclasses.replace(made.planning, **changes))


def test_the_passes_of_a_plan_are_those_of_its_walks():
    published = plan(8)
    counts = {}
    for one in plan_passes(published):
        form, _, name = one.name.partition(": ")
        counts.setdefault(form, {}).setdefault(name, []).append(one.count)
    assert counts == {
        "policy": {"prefill": [1], "step of video": [5]},
        "world_model": {"prefill": [1], "step of video": [5]},
        "value": {"prefill": [1] * 5, "step of video": [1, 2, 3, 4, 5]},
    }


@pytest.mark.parametrize(("futures", "steps"), [(2, None), (1, 2)])
def test_the_passes_add_up_to_the_traced_plan(futures, steps):
    made = plan(3, futures=futures, values=(1, 3))
    standing, (values, _, key) = inputs(made.usual, 1)

    def run(params, values, key):
        return plan_chunk(made, params, values, key, standing=standing, steps=steps)

    traced = jax.make_jaxpr(run)(weight_shapes(made.usual), values, key)
    found = plan_passes(made, steps=steps)
    counted = sum(one.count * one.flops for one in found)
    # The frame of a chunk enters the network once for all of its futures.
    assert counted == pytest.approx(count_flops(traced), rel=0.02 if futures > 1 else 1e-6)


def test_a_plan_is_timed():
    made = plan(2, futures=1, values=(1,))
    taken, compiling = plan_time(made, steps=1, repeats=2)
    assert 0 < taken.p50_ms <= taken.p95_ms
    assert compiling > 0


def test_a_recipe_without_values_does_not_plan():
    with pytest.raises(ValueError, match="pi05 has no values to choose among candidates by"):
        plan_of(RECIPES["pi05"], "tiny", "float32", 2)
