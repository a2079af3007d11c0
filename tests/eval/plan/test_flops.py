"""FLOPs by counting, held against a walk over the traced program and against a published count."""

import dataclasses
from typing import Any

import jax
import pytest
from jax.sharding import AbstractDevice, AbstractMesh, AxisType

from wamjax.eval.plan.case import case_of_recipe
from wamjax.eval.plan.flops import Census, analytic_flops
from wamjax.model import backends
from wamjax.model.backends import ways_in
from wamjax.model.config import Port, Stack, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
from wamjax.parallel.mesh import MESH_AXES
from wamjax.parallel.shardings import unbox
from wamjax.recipes.backbones import WAN_ROTARY, wan
from wamjax.recipes.network import shapes
from wamjax.recipes.on_values import OnValues
from wamjax.recipes.registry import RECIPES
from wamjax.train.flops import count_flops


def walked(name: str, size: str, rows: int) -> tuple[float, float]:
    """(forward, training) FLOPs of the traced programs."""
    system = OnValues(RECIPES[name].build(size))
    params = unbox(jax.eval_shape(system.init, jax.random.key(0)))
    batch, objective = system.batch(rows), system.blueprint.learning.lessons[-1].name

    def loss(params, batch):
        return system.loss(params, batch, jax.random.key(0), objective)[0]

    forward = count_flops(jax.make_jaxpr(loss)(params, batch))
    return forward, count_flops(jax.make_jaxpr(jax.grad(loss))(params, batch))


@pytest.mark.parametrize("name", RECIPES)
def test_counting_agrees_with_the_program_of_a_small_size(name: str):
    blueprint = RECIPES[name].build("tiny")
    forward, training = walked(name, "tiny", 2)
    assert analytic_flops(blueprint, 2, training=False) == pytest.approx(forward, rel=1e-3)
    # Small models spend a share on inputs for which there is no gradient.
    assert analytic_flops(blueprint, 2) == pytest.approx(training, rel=0.06)


def test_a_token_that_enters_through_another_stream_meets_its_maps():
    """FastWAM's proprio is a ninth word of the tiny form's eight."""
    usual, release = (
        Census(RECIPES["fast_wam"].build("tiny", form)) for form in ("first_frame", "release")
    )
    for top in ("embed_text", "embed_text_told"):
        path = [top, "in", "one", "kernel"]
        assert (usual.rows(path), release.rows(path)) == (8, 9)
    assert release.rows(["embed_proprio_as_text", "one", "kernel"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_counting_agrees_with_the_program_of_the_full_size_within_a_percent(name: str):
    blueprint = RECIPES[name].build("full")
    forward, training = walked(name, "full", 1)
    assert analytic_flops(blueprint, training=False) == pytest.approx(forward, rel=1e-3)
    assert analytic_flops(blueprint) == pytest.approx(training, rel=0.01)


def test_wan_14b_is_the_count_that_maxdiffusion_publishes():
    """81 frames at 720 x 1280: 21 x 45 x 80 tokens; golden value 19,573 TFLOP a sample and step
    (maxdiffusion, src/maxdiffusion/tests/flop_calculations_test.py)."""
    base = RECIPES["fast_wam"].build("full")
    text = Segment(stream="text", frames=512)
    video = Segment(stream="video", copy="noisy", frames=21, rows=45, columns=80)
    stack = Stack(
        name="main",
        depth=40,
        heads=40,
        head_dim=128,
        experts=(wan("video", 5120, 13824),),
        rotary=WAN_ROTARY,
    )
    ports = (
        Port(stream="text", into="text", embed="mlp", width=5120, kind=False),
        Port(stream="video", into="video", kind=False, head="table"),
    )
    small = Segment(stream="video", copy="noisy", frames=1, rows=1, columns=1)
    table = (("video/noisy", "video/noisy", "all"), ("video/noisy", "text/clean", "all"))
    blueprint = dataclasses.replace(
        base,
        model=WamConfig(stacks=(stack,), ports=ports),
        features=(("text", 4096), ("video", 64)),
        training=Layout((text, small), table),
    )
    # Weights do not depend on how long the sequence is: their shapes come from a short one.
    long = dataclasses.replace(blueprint, training=Layout((text, video), table))
    assert analytic_flops(long, weights=shapes(blueprint)) / 1e12 == pytest.approx(19_573, rel=1e-3)


def test_what_a_kernel_makes_anew_is_not_the_model_s_work(monkeypatch: pytest.MonkeyPatch):
    """Splash computes scores again in its backward passes, and whole blocks."""
    monkeypatch.setattr(backends, "LEAST", {"splash": 0, "cudnn": 0})
    tpu = AbstractDevice("TPU v5", num_cores=1)
    types = (AxisType.Auto,) * len(MESH_AXES)
    mesh: Any = AbstractMesh((1, 2, 2, 1), MESH_AXES, axis_types=types, abstract_device=tpu)
    case = case_of_recipe(RECIPES["fast_wam"], 4, size="tiny", remat="none")
    placed = case.placed(mesh)
    assert "splash" in ways_in(placed.traced.jaxpr).values()
    assert case.counted is not None
    assert placed.flops > 1.3 * case.counted
    assert case.walked(placed, mesh) == pytest.approx(case.counted, rel=0.06)
