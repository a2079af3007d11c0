"""Training on latents from before is training on frames: the same loss, the same gradients."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from tests.recipes import test_learner
from tests.recipes.systems import SMALL, batch, small, weights
from wamjax.core.records import Batch
from wamjax.core.tree import leaves_by_path
from wamjax.recipes.assembly import AnySystem
from wamjax.recipes.config import CodecConfig
from wamjax.recipes.latents import encoding_of
from wamjax.recipes.learner import Learner
from wamjax.recipes.objectives import PLANS
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.recipes.registry import RECIPES
from wamjax.recipes.system import System

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(3)
NO_PIXELS = dataclasses.replace(SMALL.context, kind="none")
AUTOENCODER = CodecConfig(kind="autoencoder", channels=6, width=8)
SLOW_AUTOENCODER = dataclasses.replace(AUTOENCODER, temporal=2)
# Recipes whose every encoder of frames is learned.
BLIND = {"x_vla", "octo", "openvla_oft", "univla", "ript_vla", "vla_jepa"}
# Two programs of one number round differently in their last bits.
ROUNDING = 3e-6


def before(system: AnySystem, params: dict, data: Batch) -> Batch:
    """The batch with latents, and with no frame but those that are said to be read."""
    encoding = encoding_of(system)
    latents = np.asarray(jax.jit(encoding.encode)(params, data.frames))
    assert latents.shape[1:] == encoding.shape
    return data.replace(latents=latents, frames=data.frames[:, :, list(encoding.pixels)])


def both(system: AnySystem, params: dict, data: Batch, objective: str) -> list:
    run = jax.jit(jax.value_and_grad(lambda p, b: system.loss(p, b, KEY, objective), has_aux=True))
    return [jax.device_get(run(params, b)) for b in (data, before(system, params, data))]


def same(one, other) -> None:
    (loss, parts), gradient = one
    (again, other_parts), other_gradient = other
    np.testing.assert_allclose(again, loss, rtol=ROUNDING)
    assert parts.keys() == other_parts.keys()
    theirs = leaves_by_path(other_gradient)
    moved = 0
    for path, mine in leaves_by_path(gradient).items():
        near = ROUNDING * np.abs(mine).max()
        np.testing.assert_allclose(theirs[path], mine, atol=near, rtol=0, err_msg=path)
        moved += bool(np.any(mine))
    assert moved > 10


@pytest.mark.parametrize(
    ("codec", "context"),
    [
        (SMALL.codec, SMALL.context),
        (SMALL.codec, NO_PIXELS),
        (SLOW_AUTOENCODER, SMALL.context),
        pytest.param(AUTOENCODER, NO_PIXELS, marks=pytest.mark.slow),
    ],
    ids=["patch", "patch, no pixels", "autoencoder 2", "autoencoder, no pixels"],
)
def test_the_quick_start_system_learns_the_same(codec, context):
    system = small("joint", codec=codec, context=context)
    assert encoding_of(system).pixels == ((0,) if context.kind == "keypoints" else ())
    same(*both(system, weights(system), batch(), "joint"))


@pytest.mark.slow
@pytest.mark.parametrize("objective", [name for name in PLANS if name != "joint"])
def test_every_objective_learns_the_same(objective):
    training = "two_stage" if objective in ("world", "behaviour") else objective
    system = small(training)
    same(*both(system, weights(system), batch(), objective))


@functools.cache
def learner(name: str) -> Learner:
    return Learner(RecipeConfig(recipe=name))


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_says_what_of_it_can_be_encoded(name):
    if name in BLIND:
        with pytest.raises(ValueError, match=f"{name} has no latents: it learns the encoders"):
            encoding_of(learner(name))
        return
    encoding = encoding_of(learner(name))
    params, data = test_learner.weights(learner(name).config), batch_of(name)
    shape = jax.eval_shape(encoding.encode, params, data.frames).shape
    assert shape == (len(data.frames), *encoding.shape)


def batch_of(name: str) -> Batch:
    return test_learner.batch(learner(name).config)


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("uwm", "cosmos_policy") else pytest.param(name, marks=pytest.mark.slow)
        for name in sorted(set(RECIPES) - BLIND)
    ],
)
def test_every_recipe_with_latents_learns_the_same(name):
    system, data = learner(name), batch_of(name)
    params = test_learner.weights(system.config)
    shown = before(system, params, data)
    for lesson in system.config.learning.lessons:
        run = jax.jit(functools.partial(system.loss, objective=lesson.name))
        (loss, parts), (again, others) = (run(params, b, KEY) for b in (data, shown))
        np.testing.assert_allclose(again, loss, rtol=ROUNDING)
        assert parts.keys() == others.keys()


def test_latents_in_sixteen_bits_are_near():
    system, data = small("joint"), batch()
    params = weights(system)
    run = jax.jit(lambda p, b: system.loss(p, b, KEY, "joint")[0])
    shown = before(system, params, data)
    half = shown.replace(latents=shown.latents.astype(np.float16))
    loss, again = run(params, data), run(params, half)
    assert loss != again
    np.testing.assert_allclose(again, loss, rtol=2e-3)


def test_other_latents_are_another_loss():
    system, data = small("joint"), batch()
    shown = before(system, weights(system), data)
    run = jax.jit(lambda p, b: system.loss(p, b, KEY, "joint")[0])
    assert run(weights(system), shown) != run(
        weights(system), shown.replace(latents=-shown.latents)
    )


def test_a_codec_is_told_by_its_kind_and_settings():
    told = encoding_of(small("joint", codec=SLOW_AUTOENCODER))
    assert told.part == "codec"
    assert told.codec == {
        "kind": "Autoencoder", "views": 1,
        "patch": 8, "temporal": 2, "channels": 6, "width": 8, "depth": 2,
    }  # fmt: skip
    plain = encoding_of(System(SMALL))
    assert plain.part is None
    assert plain.codec == {"kind": "PatchCodec", "views": 1, "patch": 4, "temporal": 1}
