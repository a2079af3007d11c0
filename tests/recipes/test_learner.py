"""Recipes on robot data: what is masked does not count, what is read is what was recorded."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.weights import drawn_weights
from wamjax.codec.paint import painted
from wamjax.core.records import Batch
from wamjax.core.text import encode_text
from wamjax.recipes.learner import Learner
from wamjax.recipes.parts import pixels, to_uint8
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.recipes.registry import RECIPES
from wamjax.recipes.scene import Scene

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(3)
ROWS = 2
ALL = [RecipeConfig(recipe=name) for name in RECIPES]
SOME = [RecipeConfig(recipe=name) for name in ("pi05", "x_vla", "dreamzero", "cosmos_policy")]
VIDEO = [c for c in ALL if any(s.stream == "video" for s in c.blueprint.training.segments)]


def name_of(config: RecipeConfig) -> str:
    return config.recipe


def batch(config: RecipeConfig, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    size, frames = config.image_size, config.history + config.future
    texts = [encode_text(text, config.text_length) for text in ("reach red", "push the blue cube")]
    return Batch(
        frames=rng.integers(0, 256, (ROWS, 2, frames, size, size, 3), dtype=np.uint8),
        camera_mask=np.ones((ROWS, 2), bool),
        frame_mask=np.ones((ROWS, frames), bool),
        actions=rng.normal(size=(ROWS, config.chunk, 7)).astype(np.float32),
        action_mask=np.ones((ROWS, config.chunk, 7), bool),
        proprio=rng.uniform(-1, 1, size=(ROWS, 7)).astype(np.float32),
        proprio_mask=np.ones((ROWS, 7), bool),
        text=np.stack(texts),
        index=np.arange(ROWS, dtype=np.int32),
    )


def scene(config: RecipeConfig, data: Batch) -> Scene:
    return Scene(
        frames=pixels(jnp.asarray(data.frames)),
        camera_mask=jnp.asarray(data.camera_mask),
        frame_mask=jnp.asarray(data.frame_mask),
        state=jnp.asarray(data.proprio),
        text=jnp.asarray(data.text),
        actions=jnp.asarray(data.actions),
        action_mask=jnp.asarray(data.action_mask),
    )


@functools.cache
def weights(config: RecipeConfig):
    return drawn_weights(jax.eval_shape(Learner(config).init, KEY))


@functools.cache
def program(config: RecipeConfig, objective: str):
    learner = Learner(config)
    return jax.jit(lambda params, data: learner.loss(params, data, KEY, objective))


@pytest.mark.parametrize("config", ALL, ids=name_of)
def test_every_lesson_has_the_losses_it_names(config):
    learner = Learner(config)
    lessons = config.learning.lessons
    assert sum(lesson.fraction for lesson in lessons) == pytest.approx(1.0)
    params = jax.eval_shape(lambda key: nn.unbox(learner.init(key)), KEY)
    predicted = {s.stream for s in config.blueprint.training.segments if s.predicted}
    for lesson in lessons:
        total, parts = jax.eval_shape(
            lambda p, b, name=lesson.name: learner.loss(p, b, KEY, name), params, batch(config)
        )
        assert total.shape == ()
        named = {stream for stream, _ in lesson.losses} & predicted
        if lesson.codec is not None:
            assert not named
            named = {"dynamics"}
        assert {*parts} == {f"loss/{stream}" for stream in named}
        assert named


@pytest.mark.parametrize("config", SOME, ids=name_of)
def test_what_is_masked_changes_nothing(config):
    data = batch(config)
    mask = data.action_mask.copy()
    mask[0, 5:] = False
    frame_mask = data.frame_mask.copy()
    if config.future:
        frame_mask[1, -1] = False
    data = data.replace(action_mask=mask, frame_mask=frame_mask)
    actions, frames = data.actions.copy(), data.frames.copy()
    actions[0, 5:] = np.nan
    if config.future:
        frames[1, :, -1] = 255 - frames[1, :, -1]
    run = program(config, config.learning.lessons[0].name)
    one, parts = run(weights(config), data)
    two, _ = run(weights(config), data.replace(actions=actions, frames=frames))
    assert np.isfinite(one)
    assert parts
    np.testing.assert_allclose(one, two, rtol=1e-5)


@pytest.mark.parametrize("config", SOME, ids=name_of)
def test_sampled_actions_depend_on_what_is_seen_and_told(config):
    data, learner = batch(config), Learner(config)

    @jax.jit
    def act(frames, proprio, text):
        seen = frames[:, :, : config.history]
        return learner.sample_actions(
            weights(config), seen, jnp.asarray(data.camera_mask), proprio, text, KEY
        )

    before = act(data.frames, data.proprio, data.text)
    assert before.shape == (ROWS, config.chunk, 7)
    assert np.isfinite(before).all()
    for other in (
        (255 - data.frames, data.proprio, data.text),
        (data.frames, data.proprio, data.text[::-1]),
        (data.frames, -data.proprio, data.text),
    ):
        change = np.abs(act(*other) - before).max()
        # DreamZero's state is seen by its own block alone; all the others by every action.
        assert change > 1e-6


@pytest.mark.parametrize("config", VIDEO, ids=name_of)
def test_changes_turn_back_into_the_frames_they_were_made_of(config):
    data, reader = batch(config), Learner(config).reader
    there = scene(config, data)
    for segment in config.blueprint.training.segments:
        if segment.kind != "video/noisy" or config.learning.painted:
            continue
        frames = to_uint8(reader.undo(there, segment, reader.change(there, segment)))
        wanted = data.frames[:, segment.view, reader.timeline.frames(segment)]
        np.testing.assert_array_equal(frames, wanted)


def test_what_is_written_is_the_frame_itself():
    config = RecipeConfig(recipe="lingbot_va")
    blueprint, reader = config.blueprint, Learner(config).reader
    there = scene(config, batch(config))
    first = blueprint.program[0]
    for noisy, clean in zip(first.segments, first.writes, strict=True):
        made = reader.shown(there, clean, reader.change(there, noisy))
        np.testing.assert_allclose(made, reader.given_frames(there, clean), atol=1e-5)


def test_painted_frames_hold_state_and_chunk():
    config = RecipeConfig(recipe="cosmos_policy")
    data, reader = batch(config), Learner(config).reader
    there = scene(config, data)
    by_content = {(reader.content(s), s.block): s for s in config.blueprint.training.segments[1:]}
    size = (4, 4, 432)
    state = reader.change(there, by_content[("state", 0)])
    np.testing.assert_array_equal(state, painted(there.state, size).reshape(ROWS, 16, 432))
    chunk = reader.change(there, by_content[("action", 1)])
    wanted = painted(jnp.asarray(data.actions).reshape(ROWS, -1), size)
    np.testing.assert_array_equal(chunk, wanted.reshape(ROWS, 16, 432))
    assert not reader.present(there, by_content[("unknown", 1)]).any()


def test_the_state_is_spelled_in_words():
    config = RecipeConfig(recipe="pi05")
    reader = Learner(config).reader
    there = scene(config, batch(config))
    segment = next(s for s in config.blueprint.training.segments if s.stream == "word")
    words, real = reader.values({}, there, segment)
    spelled = np.asarray(words)[:, -7:, 0] - 256
    np.testing.assert_array_equal(spelled, np.floor((np.asarray(there.state) + 1) / 2 * 256))
    assert real[:, -7:].all()
    assert (real[:, :-7].sum(1) == np.array([2, 4])).all()


def test_the_predictor_answers_with_the_next_frame_and_sees_none_that_comes_later():
    """VLA-JEPA: frames that are to come are targets; what stands before the answer is alone."""
    config = RecipeConfig(recipe="vla_jepa")
    reader, data = Learner(config).reader, batch(config)
    there = scene(config, data)
    answers = [s for s in config.blueprint.training.segments if s.kind == "feature/query"]
    assert [reader.timeline.look(s) for s in answers] == [0, 1]
    targets, real = reader.next_features(there)
    after, _ = reader.values({}, there, answers[1])
    np.testing.assert_array_equal(targets[:, : answers[0].count], after)
    assert real.all()

    frames = data.frames.copy()
    frames[:, :, 2] = 255 - frames[:, :, 2]
    other = scene(config, data.replace(frames=frames))
    for segment in answers:
        same, before = reader.values({}, other, segment)[0], reader.values({}, there, segment)[0]
        np.testing.assert_array_equal(same, before)
    moved = np.asarray(reader.next_features(other)[0] != targets).any((0, 2))
    np.testing.assert_array_equal(moved, np.arange(32) >= 16)


def test_features_of_absent_cameras_and_frames_are_not_scored():
    config = RecipeConfig(recipe="vla_jepa")
    reader, data = Learner(config).reader, batch(config)
    camera_mask, frame_mask = data.camera_mask.copy(), data.frame_mask.copy()
    camera_mask[0, 1] = False
    frame_mask[1, 2] = False
    there = scene(config, data.replace(camera_mask=camera_mask, frame_mask=frame_mask))
    targets, real = reader.next_features(there)
    assert real[0, :, :48].all()
    assert not real[0, :, 48:].any()
    assert not np.asarray(targets)[0, :, 48:].any()
    assert real[1, :16].all()
    assert not real[1, 16:].any()


def test_latent_words_stand_one_place_on_behind_a_start_word():
    """UniVLA: each word is read behind the one before; none is known in sampling."""
    config = RecipeConfig(recipe="univla")
    reader, data = Learner(config).reader, batch(config)
    params, there = weights(config), scene(config, data)
    segment = next(s for s in config.blueprint.training.segments if s.stream == "word")
    said, real = reader.latent_words(params, there)
    assert said.shape == (ROWS, 3)
    assert real.all()
    values, _ = reader.values(params, there, segment)
    np.testing.assert_array_equal(values[:, 0, 0], 5.0)
    np.testing.assert_array_equal(values[:, 1:, 0], said[:, :-1])
    unknown, _ = reader.values(params, there.replace(actions=None), segment)
    np.testing.assert_array_equal(unknown, 5.0)


def test_the_words_tell_of_the_frames_at_both_ends_of_the_chunk():
    config = RecipeConfig(recipe="univla")
    reader, data = Learner(config).reader, batch(config)
    before, after, _ = reader.chunk_ends(scene(config, data))
    assert config.future * config.frame_stride == config.chunk
    for place, moved in ((0, before), (2, after)):
        frames = data.frames.copy()
        frames[:, 0, place] = 255 - frames[:, 0, place]
        ends = reader.chunk_ends(scene(config, data.replace(frames=frames)))
        changed = [
            np.abs(np.asarray(a - b)).max() > 0 for a, b in zip(ends, (before, after), strict=False)
        ]
        assert changed == [moved is before, moved is after]
    short = data.frame_mask.copy()
    short[:, 2] = False
    _, _, real = reader.chunk_ends(scene(config, data.replace(frame_mask=short)))
    assert not real.any()


def test_past_actions_are_padding():
    config = RecipeConfig(recipe="dreamzero")
    reader, there = Learner(config).reader, scene(config, batch(config))
    past, now = (s for s in config.blueprint.training.segments if s.stream == "action")
    assert not reader.present(there, past).any()
    assert reader.present(there, now).all()
    np.testing.assert_array_equal(reader.actions(there, now)[0], there.actions)


def test_more_steps_are_a_setting():
    config = RecipeConfig(recipe="fast_wam")
    data = batch(config)
    actions = [
        Learner(dataclasses.replace(config, solver_steps=steps)).sample_actions(
            weights(config),
            jnp.asarray(data.frames[:, :, :1]),
            jnp.asarray(data.camera_mask),
            jnp.asarray(data.proprio),
            jnp.asarray(data.text),
            KEY,
        )
        for steps in (0, 10, 2)
    ]
    np.testing.assert_allclose(actions[0], actions[1], atol=1e-5)
    assert jnp.abs(actions[0] - actions[2]).max() > 1e-4


def under_way(config: RecipeConfig, delay: int):
    rng = np.random.default_rng(5)
    actions = rng.normal(size=(ROWS, config.chunk, 7)).astype(np.float32)
    return jnp.asarray(actions), jnp.full(ROWS, delay)


@functools.cache
def continuing(config: RecipeConfig):
    data = batch(config)

    @jax.jit
    def act(params, actions, delay):
        return Learner(config).sample_actions(
            params,
            jnp.asarray(data.frames[:, :, : config.history]),
            jnp.asarray(data.camera_mask),
            jnp.asarray(data.proprio),
            jnp.asarray(data.text),
            KEY,
            under_way=(actions, delay),
        )

    return act


def test_a_chunk_goes_on_from_actions_under_way():
    """It begins with them, the rest depends on them, and what comes after them is not looked at."""
    config = RecipeConfig(recipe="pi05")
    act, params = continuing(config), weights(config)
    actions, delay = under_way(config, 2)
    out = act(params, actions, delay)
    np.testing.assert_array_equal(out[:, :2], actions[:, :2])
    assert (out[:, 2:] != actions[:, 2:]).all()
    later = act(params, actions.at[:, 2:].add(1.0), delay)
    np.testing.assert_array_equal(out, later)
    other = act(params, actions.at[:, 1].add(1.0), delay)
    assert (out[:, 2:] != other[:, 2:]).all()
    free = act(params, actions, jnp.zeros_like(delay))
    assert (free[:, :2] != actions[:, :2]).all()


def test_training_knows_the_first_actions_and_does_not_score_them():
    """With the longest delay always, the actions before it are seen clean."""
    config = RecipeConfig(recipe="pi05", delay=3)
    data, lesson = batch(config), config.learning.lessons[0].name
    free = dataclasses.replace(config, delay=0)
    run, plain = program(config, lesson), program(free, lesson)
    params = weights(config)
    one, two = run(params, data)[0], plain(params, data)[0]
    assert np.isfinite(one)
    assert one != two


@pytest.mark.parametrize("name", ["octo", "openvla_oft", "cosmos_policy"])
def test_what_is_not_denoised_action_by_action_cannot_go_on(name):
    config = RecipeConfig(recipe=name)
    with pytest.raises(ValueError, match="under way"):
        jax.eval_shape(continuing(config), jax.eval_shape(lambda: None), *under_way(config, 1))


def test_a_delay_as_long_as_the_chunk_is_refused():
    with pytest.raises(ValueError, match=r"delay must lie in .* 7, got 8"):
        RecipeConfig(recipe="pi05", delay=8)


def test_a_form_that_would_learn_nothing_is_refused() -> None:
    """Neither values nor next states are recorded; the other roles have something to learn."""
    with pytest.raises(ValueError, match="choose another form"):
        RecipeConfig(recipe="cosmos_policy", form="value")
    for form in ("", "policy", "world_model"):
        RecipeConfig(recipe="cosmos_policy", form=form)
