"""Sampler programs: who moves when, who is held, and what guidance does."""

import dataclasses
import itertools
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.core.config import from_flags, from_json, to_flags, to_json
from wamjax.flow.guidance import guided
from wamjax.flow.sampler import Program, SamplerConfig, phases, sample
from wamjax.flow.variance_preserving import cosine_signals

NOISE = {
    "video": jax.random.normal(jax.random.key(0), (4, 2, 3)),
    "action": jax.random.normal(jax.random.key(1), (4, 5)),
}
CLEAN = {"video": jnp.full((4, 2, 3), 2.0), "action": jnp.full((4, 5), -1.0)}


PUBLISHED = {
    "DreamZero": SamplerConfig(
        steps=16,
        solver="unipc",
        video_shift=5.0,
        action_shift=5.0,
        evaluated=(0, 1, 2, 4, 6, 9, 12, 15),
    ),
    "DreamZero-Flash": SamplerConfig(steps=1, video_end=0.8),
    "Cosmos-Policy": SamplerConfig(
        steps=5, solver="adams_bashforth", grid="edm", followers=(("value", "action"),)
    ),
    "LingBot-VA": SamplerConfig(
        program="video_then_action", steps=10, video_steps=5, video_shift=5.0
    ),
    "Octo": SamplerConfig(program="action_only", steps=20, solver="ddpm", grid="cosine", clip=5.0),
    "X-VLA": SamplerConfig(program="action_only", steps=10, solver="remix"),
}
EVALUATIONS = {
    "DreamZero": 8,
    "DreamZero-Flash": 1,
    "Cosmos-Policy": 5,
    "LingBot-VA": 15,
    "Octo": 20,
    "X-VLA": 10,
}


def to_clean(x, sigma):
    """The velocity towards one known point per stream, exact in one Euler step."""
    return {n: (x[n] - CLEAN[n]) / sigma[n].reshape(4, *[1] * (x[n].ndim - 1)) for n in x}


@pytest.mark.parametrize("program", get_args(Program))
@pytest.mark.parametrize("steps", [1, 3])
def test_moved_streams_arrive_and_held_streams_stay(program, steps):
    end = {name: level[1] for name, level in phases(program)[-1].items()}
    out = sample(SamplerConfig(program=program, steps=steps), to_clean, NOISE)
    for name, level in end.items():
        expected = {0.0: CLEAN, 1.0: NOISE}[level][name]
        np.testing.assert_allclose(out[name], expected, atol=1e-5)


def test_phases_follow_on_one_another():
    for program in get_args(Program):
        table = phases(program, video_end=0.4)
        assert all(start == 1.0 for start, _ in table[0].values())
        for before, after in itertools.pairwise(table):
            assert {n: s[1] for n, s in before.items()} == {n: s[0] for n, s in after.items()}


def test_the_action_is_denoised_under_the_finished_video():
    """In `video_then_action` every velocity of the action sees the clean video at level 0."""

    def towards_the_video(x, sigma):
        goal = x["video"].mean((1, 2))[:, None] + 10 * sigma["video"][:, None]
        slopes = to_clean(x, sigma)
        return slopes | {"action": (x["action"] - goal) / sigma["action"][:, None]}

    two = sample(SamplerConfig(program="video_then_action", steps=4), towards_the_video, NOISE)
    np.testing.assert_allclose(two["action"], 2.0, atol=1e-5)
    joint = sample(SamplerConfig(program="joint", steps=4), towards_the_video, NOISE)
    assert np.abs(np.asarray(joint["action"]) - 2.0).min() > 0.1


def test_a_video_may_stop_early():
    out = sample(SamplerConfig(program="joint", steps=3, video_end=0.8), to_clean, NOISE)
    np.testing.assert_allclose(out["video"], 0.2 * 2.0 + 0.8 * NOISE["video"], atol=1e-5)
    np.testing.assert_allclose(out["action"], CLEAN["action"], atol=1e-5)


def test_a_policy_without_video_samples_the_action_alone():
    alone = sample(SamplerConfig(program="action_only"), to_clean, {"action": NOISE["action"]})
    assert set(alone) == {"action"}
    both = sample(SamplerConfig(program="action_only"), to_clean, NOISE)
    np.testing.assert_allclose(alone["action"], both["action"], rtol=1e-6)


def test_a_further_stream_follows_its_leader():
    noise = NOISE | {"value": NOISE["action"], "feature": NOISE["video"]}

    def slopes(x, sigma):
        likes = {"video": "video", "action": "action", "value": "action", "feature": "video"}
        return {
            name: to_clean({like: x[name]}, {like: sigma[name]})[like]
            for name, like in likes.items()
        }

    config = SamplerConfig(
        program="video_only", steps=3, followers=(("value", "action"), ("feature", "video"))
    )
    out = sample(config, slopes, noise)
    np.testing.assert_allclose(out["feature"], 2.0, atol=1e-5)
    np.testing.assert_array_equal(out["value"], noise["value"])
    with pytest.raises(ValueError, match="follows one"):
        SamplerConfig(followers=(("video", "action"),))


def test_video_and_action_may_take_different_numbers_of_steps():
    config = SamplerConfig(program="video_then_action", steps=5, video_steps=2)
    seen: list[tuple[float, float]] = []

    def noted(x, sigma):
        levels = sigma["video"][0], sigma["action"][0]
        jax.debug.callback(lambda v, a: seen.append((float(v), float(a))), *levels)
        return to_clean(x, jax.tree.map(lambda s: jnp.maximum(s, 0.1), sigma))

    jax.block_until_ready(sample(config, noted, NOISE))
    jax.effects_barrier()
    assert sum(action == 1 and video > 0 for video, action in seen) == 2
    assert sum(video == 0 for video, _ in seen) == 5


def test_the_sampler_of_octo_is_values():
    """20 ancestral steps, decided by the key, within +-5, and of the data's variance."""
    config = PUBLISHED["Octo"]

    def unit(x, sigma):
        level = sigma["action"][:, None]
        rest = 1 - level
        variance = rest**2 + level**2
        return {"action": (level - rest) * x["action"] / variance}

    noise = {"action": jax.random.normal(jax.random.key(5), (4096, 4))}
    first = sample(config, unit, noise, jax.random.key(0))["action"]
    np.testing.assert_array_equal(first, sample(config, unit, noise, jax.random.key(0))["action"])
    assert 3 < np.abs(np.asarray(first)).max() <= 5
    tight = sample(dataclasses.replace(config, clip=1.0), unit, noise, jax.random.key(0))
    assert np.abs(np.asarray(tight["action"])).max() <= 1
    np.testing.assert_allclose(np.var(first), cosine_signals(20)[0], rtol=0.04)
    with pytest.raises(ValueError, match="key"):
        sample(config, unit, noise)


def test_the_grid_of_edm_begins_with_its_spread():
    """Cosmos-Policy: y = 80 noise is x = noise 80 / 81, and two levels are one clean prediction."""
    config = SamplerConfig(program="action_only", steps=1, grid="edm")
    seen = []

    def noted(x, sigma):
        seen.append(x["action"] / NOISE["action"])
        return to_clean(x, sigma)

    with jax.disable_jit():
        out = sample(config, noted, {"action": NOISE["action"]})
    np.testing.assert_allclose(seen[0], 80 / 81, rtol=2e-4)
    np.testing.assert_allclose(out["action"], CLEAN["action"], atol=1e-5)
    with pytest.raises(ValueError, match="early"):
        SamplerConfig(grid="edm", video_end=0.5)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_samplers_are_values_that_survive_flags_and_json(name):
    config = PUBLISHED[name]
    assert from_flags(SamplerConfig, to_flags(config)) == config
    assert from_json(SamplerConfig, to_json(config)) == config
    streams = {"action_only": {"action": NOISE["action"]}}.get(config.program, NOISE)
    noise = streams | {name: NOISE["action"] for name, _ in config.followers}
    count = []

    def counted(x, sigma):
        jax.debug.callback(lambda _: count.append(1), sigma["action"])
        likes = {name: "action" if x[name].ndim == 2 else "video" for name in x}
        return {
            name: to_clean({like: x[name]}, {like: jnp.maximum(sigma[name], 1e-3)})[like]
            for name, like in likes.items()
        }

    out = jax.block_until_ready(sample(config, counted, noise, jax.random.key(0)))
    jax.effects_barrier()
    assert len(count) == EVALUATIONS[name]
    # One known point: every published sampler ends there, whatever its solver and grid.
    np.testing.assert_allclose(out["action"], CLEAN["action"], atol=1e-4)


def test_what_cannot_be_sampled_is_refused():
    with pytest.raises(ValueError, match="moves none"):
        sample(SamplerConfig(program="action_only"), to_clean, {"video": NOISE["video"]})
    with pytest.raises(ValueError, match="tactile"):
        sample(SamplerConfig(), to_clean, {"tactile": NOISE["action"]})
    with pytest.raises(ValueError, match="step"):
        SamplerConfig(steps=0)


def test_guidance_is_off_at_one_and_linear_in_the_scale():
    def without(x, sigma):
        return {name: jnp.zeros_like(x[name]) for name in x}

    sigma = {name: jnp.full(4, 0.5) for name in NOISE}
    assert guided(to_clean, without, {"video": 1.0, "action": 1.0}) is to_clean
    plain = to_clean(NOISE, sigma)
    strong = guided(to_clean, without, {"video": 5.0, "action": 1.0})(NOISE, sigma)
    np.testing.assert_allclose(strong["video"], 5 * plain["video"], rtol=1e-6)
    np.testing.assert_allclose(strong["action"], plain["action"], rtol=1e-6)
