"""A system that reads instructions with a pretrained encoder: its weights come in and stay."""

import dataclasses

import flax.linen as nn
import jax
import numpy as np
import pytest

from tests.recipes.systems import SMALL, batch
from tests.weights import drawn_weights
from wamjax.core.errors import UserError
from wamjax.core.tree import leaves_by_path
from wamjax.core.typing import Params
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.pretrained.minilm import installed_minilm
from wamjax.recipes.assembly import pretrained_parts, usual_stages
from wamjax.recipes.config import TextConfig
from wamjax.recipes.objectives import STAGES
from wamjax.recipes.system import System
from wamjax.train.config import TrainConfig
from wamjax.train.selection import trained_mask
from wamjax.train.stages import Stage
from wamjax.train.state import begun_with, init_state, plan_stage

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_to_compile")]

CONFIG = dataclasses.replace(SMALL, text=TextConfig(kind="minilm", width=16, words=8))


@pytest.fixture(scope="module", autouse=True)
def installed():
    try:
        installed_minilm()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def given() -> dict[str, Params]:
    return pretrained_parts(CONFIG)


def test_other_words_change_the_prediction(given):
    """The instruction reaches the loss through the encoder, and its maps learn."""
    system, data = System(CONFIG), batch()
    shapes = jax.eval_shape(system.init, jax.random.key(0))
    params = {**drawn_weights({k: v for k, v in shapes.items() if k != "language"}), **given}
    other = {k: v for k, v in params.items() if k != "language"}

    @jax.jit
    @jax.value_and_grad
    def loss(own, given, text):
        told = data.replace(text=text)
        return system.loss({**own, **given}, told, jax.random.key(1), "joint")[0]

    first, slopes = loss(other, given, data.text)
    second, _ = loss(other, given, np.roll(data.text, 1, axis=0))
    assert float(first) != float(second)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(slopes["text"]))


@pytest.mark.parametrize("training", sorted(STAGES))
def test_usual_stages_leave_it_as_it_is(training):
    config = dataclasses.replace(CONFIG, training=training)
    shapes = nn.unbox(jax.eval_shape(System(config).init, jax.random.key(0)))
    for stage in usual_stages(config):
        mask = trained_mask(shapes, stage.train)
        assert not any(jax.tree.leaves(mask["language"]))


def test_a_run_begins_with_the_published_weights(given):
    system, mesh = System(CONFIG), make_mesh(MeshConfig(), jax.devices()[:1])
    boxed = jax.eval_shape(system.init, jax.random.key(0))
    (usual,) = usual_stages(CONFIG)
    stage = Stage(name="joint", start=0, end=2, objective="joint", train=usual.train)
    plan = plan_stage(stage, boxed, TrainConfig(), mesh)
    state = begun_with(init_state(system, plan, jax.random.key(0)), given, plan)
    wanted = leaves_by_path(given["language"])
    assert sum(leaf.size for leaf in wanted.values()) == plan.total - plan.trained
    for path, leaf in leaves_by_path(state.params["language"]).items():
        np.testing.assert_array_equal(leaf, wanted[path])
