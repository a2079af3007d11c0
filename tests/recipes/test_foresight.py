"""Latent prediction: targets that a smaller scale does not make easier, and through which nothing
is learned; queries that actions do not see."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.systems import batch, small, weights
from wamjax.core.tree import count_parameters, leaves_by_path
from wamjax.recipes.assembly import assembled
from wamjax.recipes.foresight import foresee, over_batch
from wamjax.recipes.latents import encoding_of
from wamjax.recipes.objectives import PLANS
from wamjax.recipes.parts import pixels
from wamjax.recipes.tabletop import tabletop

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(3)
SYSTEM, DATA = small("latent"), batch()


@functools.cache
def drawn():
    features = np.random.default_rng(0).normal(size=(5, 2, 3, 4)) * np.arange(1, 5) + 2
    real = np.ones((5, 2), bool)
    real[1, 1] = False
    return jnp.asarray(features, jnp.float32), jnp.asarray(real)


def test_targets_are_standardised_feature_by_feature_over_what_is_real():
    features, real = drawn()
    target, spread = over_batch(features, real)
    known = np.asarray(features)[np.asarray(real)]
    np.testing.assert_allclose(
        target[real], (known - known.mean(0)) / known.std(0), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(spread, known.std(0).mean(), rtol=1e-5)
    hidden = jnp.where(real[..., None, None], features, jnp.nan)
    for one, other in zip(over_batch(hidden, real), (target, spread), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_smaller_scale_is_no_easier_target_but_is_seen():
    features, real = drawn()
    (target, spread), (small_target, small_spread) = (
        over_batch(scale * features, real) for scale in (1.0, 0.01)
    )
    np.testing.assert_allclose(small_target, target, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(small_spread, 0.01 * spread, rtol=1e-5)
    assert np.isfinite(over_batch(0 * features, real)[0]).all()


def test_nothing_is_learned_through_the_target():
    frames = pixels(jnp.asarray(DATA.frames))[:, :, 1:]

    def target(params, frames):
        found, scored, spread = foresee(SYSTEM.parts, params, frames, DATA)
        assert found.shape == (3, 2 * 2, 24)
        assert scored.shape == (3, 2 * 2, 1)
        return (found**3).sum() + spread, found

    sloped = jax.jit(jax.grad(target, has_aux=True))
    slope, found = sloped(weights(SYSTEM), frames)
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(slope))
    # They are those of the cameras' frames, in their order.
    other = sloped(weights(SYSTEM), frames[:, :, ::-1])[1]
    np.testing.assert_allclose(other[:, :2], found[:, 2:], atol=1e-4)


def test_the_present_learns_to_foresee():
    loss = lambda p: SYSTEM.loss(p, DATA, KEY, "latent")[1]["loss/feature"]  # noqa: E731
    moved = leaves_by_path(jax.jit(jax.grad(loss))(weights(SYSTEM)))
    own = ("context/localiser/convolution_0", "model/head_feature", "model/kind_trunk", "text/")
    for part in own:
        assert any(np.abs(leaf).max() > 0 for path, leaf in moved.items() if path.startswith(part))
    # Actions and their guess have no part in it.
    for path, leaf in moved.items():
        if "action" in path or "guess" in path:
            np.testing.assert_array_equal(leaf, 0, err_msg=path)


def test_the_actions_do_not_see_the_queries():
    plan = PLANS["latent"]
    x = {"action": jnp.asarray(DATA.actions)}
    seen = (DATA.frames[:, :, :1], DATA.camera_mask, DATA.proprio, DATA.text)
    frames, *rest = map(jnp.asarray, seen)

    @functools.partial(jax.jit, static_argnums=1)
    def velocity(params, targets):
        values = pixels(frames)
        past = SYSTEM.parts.encode(params, values)
        context, _ = SYSTEM.parts.context_tokens(params, values, *rest, past)
        slopes = SYSTEM.parts.velocity(params, plan, targets, context)
        return slopes(x, {"action": jnp.full(3, 0.4)})

    params = weights(SYSTEM)
    both = velocity(params, plan.trained)
    assert both["feature"].shape == (3, 2 * 2, 24)
    # The learned vectors of all kinds of tokens stand in the order of the kinds.
    model, kinds = params["model"], params["model"]["kind_trunk"]
    places = sorted({(s.kind, s.view, s.block) for s in SYSTEM.parts.model.layout.segments})
    queries = [place for place, kind in enumerate(places) if kind[0] == "feature/query"]
    assert len(queries) == 2
    drawn = jax.random.normal(KEY, (2, kinds.shape[1]))
    other = params | {"model": model | {"kind_trunk": kinds.at[jnp.array(queries)].add(drawn)}}
    moved = velocity(other, plan.trained)
    assert (moved["feature"] != both["feature"]).any()
    np.testing.assert_array_equal(moved["action"], both["action"])
    alone = velocity(params, plan.action_targets)
    np.testing.assert_allclose(alone["action"], both["action"], atol=2e-5)


def test_a_chunk_is_sampled_without_queries():
    layout = SYSTEM.parts.layout(SYSTEM.config.plan, SYSTEM.config.plan.action_targets)
    assert "feature/query" not in {segment.kind for segment in layout.segments}
    assert not SYSTEM.predicts_video


def test_the_quick_start_has_nearly_as_many_weights():
    plain, latent = (
        count_parameters(jax.eval_shape(assembled(tabletop(training)).init, KEY))
        for training in ("joint", "latent")
    )
    # Measured: 1,227,199 and 1,237,023.
    assert plain < latent < 1.05 * plain


def test_its_future_frames_are_read_as_pixels():
    assert encoding_of(SYSTEM).pixels == (0, 1, 2)
