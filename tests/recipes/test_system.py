"""Objectives over one model: what is masked does not count, what is declared matters, and the
sampler with cached context is the sampler without."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.systems import SMALL, batch, small, weights
from wamjax.core.tree import leaves_by_path
from wamjax.recipes.config import CodecConfig
from wamjax.recipes.objectives import PLANS, STAGES, stages
from wamjax.train.selection import trained_mask

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(3)


@functools.cache
def program(system, objective):
    return jax.jit(lambda p, b: system.loss(p, b, KEY, objective))


def losses(system, data, objective):
    return program(system, objective)(weights(system), data)


def test_all_objectives_share_one_tree_of_weights():
    shapes = {
        name: {path: leaf.shape for path, leaf in leaves_by_path(weights(small(name))).items()}
        for name in STAGES
    }
    latent = shapes.pop("latent")
    assert all(tree == shapes["joint"] for tree in shapes.values())
    # Queries have a head, and a vector for each frame in the tables of all kinds of tokens.
    added = {path for path in latent if latent[path] != shapes["joint"].get(path)}
    kinds = {"model/kind_action", "model/kind_trunk"}
    assert {path for path in added if "head_feature" not in path} == kinds
    assert set(shapes["joint"]) < set(latent)
    for path in kinds:
        assert latent[path][0] == shapes["joint"][path][0] + SMALL.future


@pytest.mark.parametrize("objective", list(PLANS))
def test_masked_entries_change_nothing(objective):
    system, data = small("two_stage" if objective in ("world", "behaviour") else objective), batch()
    mask = data.action_mask.copy()
    mask[0, 2:] = False
    frame_mask = data.frame_mask.copy()
    frame_mask[1, 2] = False
    cameras = data.camera_mask.copy()
    cameras[2, 1] = False
    data = data.replace(action_mask=mask, frame_mask=frame_mask, camera_mask=cameras)
    actions, frames = data.actions.copy(), data.frames.copy()
    actions[0, 2:] = np.nan
    frames[1, :, 2] = 255 - frames[1, :, 2]
    frames[2, 1] = 0
    other = data.replace(actions=actions, frames=frames)
    total, parts = losses(system, data, objective)
    again, _ = losses(system, other, objective)
    assert np.isfinite(total)
    np.testing.assert_allclose(total, again, rtol=2e-6)
    guessed = {"loss/guess"} if "action" in PLANS[objective].losses else set()
    figures = {"feature_std"} if PLANS[objective].queries else set()
    assert set(parts) == guessed | figures | {f"loss/{name}" for name in PLANS[objective].losses}


@pytest.mark.parametrize("objective", ["direct", "joint", "inverse", "latent"])
def test_every_input_changes_the_loss(objective):
    system, data = small(objective), batch()
    before, _ = losses(system, data, objective)
    rng = np.random.default_rng(5)
    frames = rng.integers(0, 256, data.frames.shape, dtype=np.uint8)
    for name, other in {
        "first camera": data.replace(
            frames=np.where(np.arange(2)[:, None, None, None, None] == 0, frames, data.frames)
        ),
        "second camera": data.replace(
            frames=np.where(np.arange(2)[:, None, None, None, None] == 1, frames, data.frames)
        ),
        "proprio": data.replace(proprio=-data.proprio),
        "text": data.replace(text=data.text[::-1]),
        "actions": data.replace(actions=-data.actions),
    }.items():
        after, _ = losses(system, other, objective)
        assert abs(float(after - before)) > 1e-6, name


@pytest.mark.parametrize("training", list(STAGES))
def test_cached_sampling_equals_uncached(training):
    system, data = small(training), batch()
    seen = (data.frames[:, :, :1], data.camera_mask, data.proprio, data.text)
    seen = tuple(map(jnp.asarray, seen))

    def sample(params, cached):
        return system.sample(params, *seen, KEY, video=system.predicts_video, cached=cached)

    run = jax.jit(sample, static_argnums=1)
    one, two = run(weights(system), True), run(weights(system), False)
    assert one["action"].shape == (3, 4, 7)
    np.testing.assert_allclose(one["action"], two["action"], atol=2e-5)
    if system.predicts_video:
        assert one["frames"].shape == (3, 1, 2, 16, 16, 3)
        gap = one["frames"].astype(int) - two["frames"].astype(int)
        assert np.abs(gap).max() <= 1


def test_cotrained_actions_need_no_video_and_never_see_it():
    system, data = small("cotrain"), batch()
    seen = tuple(
        map(jnp.asarray, (data.frames[:, :, :1], data.camera_mask, data.proprio, data.text))
    )
    run = jax.jit(lambda p, video: system.sample(p, *seen, KEY, video=video), static_argnums=1)
    with_video, without = run(weights(system), True), run(weights(system), False)
    np.testing.assert_allclose(with_video["action"], without["action"], atol=2e-5)
    assert "frames" not in without


def test_the_second_stage_learns_with_the_action_weights_only():
    system = small("two_stage")
    params = weights(system)
    stages = {stage.name: stage.train for stage in STAGES["two_stage"]}
    chosen = {
        name: {n for n, taken in leaves_by_path(trained_mask(params, patterns)).items() if taken}
        for name, patterns in stages.items()
    }
    assert chosen["world"]
    assert chosen["behaviour"]
    assert not chosen["world"] & chosen["behaviour"]
    gradient = jax.jit(jax.grad(lambda p: system.loss(p, batch(), KEY, "world")[0]))(params)
    moved = {name for name, leaf in leaves_by_path(gradient).items() if np.abs(leaf).max() > 0}
    assert moved <= chosen["world"]


def test_predicting_no_change_shows_the_newest_frame():
    system = small("joint", video_prediction="clean")
    params = jax.tree.map(jnp.zeros_like, weights(system))
    data = batch()
    seen = tuple(
        map(jnp.asarray, (data.frames[:, :, :1], data.camera_mask, data.proprio, data.text))
    )
    out = jax.jit(lambda p: system.sample(p, *seen, KEY, video=True))(params)
    np.testing.assert_array_equal(out["frames"][:, 0, 0], data.frames[:, 0, 0])
    assert dataclasses.is_dataclass(system)


def test_a_codec_with_weights_is_trained_first_and_then_left_alone():
    codec = CodecConfig(kind="autoencoder", channels=4, width=8)
    system = small(
        "joint", codec=codec, image_size=16, model=dataclasses.replace(SMALL.model, patch=1)
    )
    first, second = stages("joint", codec=True)
    assert (first.objective, second.objective) == ("codec", "joint")
    assert first.fraction + second.fraction == 1.0
    params, data = weights(system), batch()
    for stage in (first, second):
        loss = lambda p, stage=stage: system.loss(p, data, KEY, stage.objective)[0]  # noqa: E731
        gradient = leaves_by_path(jax.jit(jax.grad(loss))(params))
        moved = {name for name, leaf in gradient.items() if np.abs(leaf).max() > 0}
        learns = {
            n for n, taken in leaves_by_path(trained_mask(params, stage.train)).items() if taken
        }
        assert moved
        assert moved <= learns
