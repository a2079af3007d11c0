"""Recipes on robot data: what is masked does not count, what is read is what was recorded."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.conformance import filled
from tests.weights import drawn_weights
from wamjax.codec.paint import painted
from wamjax.core.records import Batch
from wamjax.core.text import encode_text
from wamjax.recipes.learner import Learner
from wamjax.recipes.network import network
from wamjax.recipes.parts import pixels, to_uint8
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.recipes.registry import RECIPES
from wamjax.recipes.scene import Scene

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(3)
ROWS = 2
ALL = [RecipeConfig(recipe=name) for name in RECIPES]
SOME = [
    *(RecipeConfig(recipe=name) for name in ("pi05", "x_vla", "dreamzero", "cosmos_policy")),
    pytest.param(RecipeConfig(recipe="dreamzero", form="release"), marks=pytest.mark.slow),
]
VIDEO = [c for c in ALL if any(s.stream == "video" for s in c.blueprint.training.segments)]


def name_of(config: RecipeConfig) -> str:
    return "-".join(filter(None, (config.recipe, config.form)))


def batch(config: RecipeConfig, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    size, frames = config.image_size, config.history + config.future
    texts = [encode_text(text, config.text_length) for text in ("reach red", "push the blue cube")]
    after = {
        "next_proprio": rng.uniform(-1, 1, size=(ROWS, 7)).astype(np.float32),
        "next_proprio_mask": np.ones((ROWS, 7), bool),
        "value": rng.uniform(size=ROWS).astype(np.float32),
        "value_mask": np.ones(ROWS, bool),
    }
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
        **(after if config.value_discount else {}),
    )


def scene(config: RecipeConfig, data: Batch) -> Scene:
    after = {}
    if data.value is not None:
        named = {"next_state": "next_proprio", "next_mask": "next_proprio_mask"}
        named |= {"value": "value", "value_mask": "value_mask"}
        after = {ours: jnp.asarray(getattr(data, theirs)) for ours, theirs in named.items()}
    return Scene(
        frames=pixels(jnp.asarray(data.frames)),
        camera_mask=jnp.asarray(data.camera_mask),
        frame_mask=jnp.asarray(data.frame_mask),
        state=jnp.asarray(data.proprio),
        text=jnp.asarray(data.text),
        actions=jnp.asarray(data.actions),
        action_mask=jnp.asarray(data.action_mask),
        **after,
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


@pytest.mark.parametrize(("name", "form", "place"), [("dreamzero", "release", 0), ("pi0", "", -1)])
def test_a_picture_is_of_the_first_frame_or_of_the_newest_that_is_given(name, form, place):
    """DreamZero's training shows whole blocks behind the first frame, which must not tell them."""
    config = RecipeConfig(recipe=name, form=form)
    learner, data = Learner(config), scene(config, batch(config))
    segment = next(s for s in learner.blueprint.training.segments if s.stream == "image")
    given = config.history + (place if place < 0 else 0)
    picture = jax.jit(
        lambda frames: learner.reader.values(
            weights(config), dataclasses.replace(data, frames=frames), segment
        )[0]
    )
    before = picture(data.frames)
    for frame in range(data.frames.shape[2]):
        changed = data.frames.at[:, :, frame].multiply(0.5)
        moves = bool(jnp.abs(picture(changed) - before).max() > 1e-6)
        assert moves == (frame == (given if place < 0 else place)), frame


def test_what_is_written_is_the_frame_itself():
    config = RecipeConfig(recipe="lingbot_va")
    blueprint, reader = config.blueprint, Learner(config).reader
    there = scene(config, batch(config))
    first = blueprint.program[0]
    for noisy, clean in zip(first.segments, first.writes, strict=True):
        change, frame = reader.change(there, noisy), reader.given_frames(there, clean)
        made, level = reader.shown(there, clean, change, 0.0)
        np.testing.assert_allclose(made, frame, atol=1e-5)
        assert level == 0
        # Halfway it is the frame with less noise than the change had, since changes are scaled.
        noise = np.random.default_rng(0).normal(size=change.shape).astype(np.float32)
        made, level = reader.shown(there, clean, 0.6 * change + 0.4 * noise, 0.4)
        assert abs(level - 2 / 11) < 1e-6
        np.testing.assert_allclose(made, (1 - level) * frame + level * noise, atol=1e-5)


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
    after = reader.change(there, by_content[("state", 1)])
    wanted = painted(jnp.asarray(data.next_proprio), size)
    np.testing.assert_array_equal(after, wanted.reshape(ROWS, 16, 432))
    # A value in 0 ... 1 stands there in -1 ... 1.
    value = reader.change(there, by_content[("value", 1)])
    wanted = np.broadcast_to(2.0 * data.value[:, None, None] - 1.0, value.shape)
    np.testing.assert_allclose(value, wanted, atol=1e-6)
    missing = there.replace(value_mask=jnp.array([True, False]))
    real = reader.present(missing, by_content[("value", 1)])
    np.testing.assert_array_equal(real, np.repeat([[True], [False]], 16, axis=1))


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
    seen = (data.frames[:, :, :1], data.camera_mask, data.proprio, data.text)
    learners = [Learner(dataclasses.replace(config, solver_steps=steps)) for steps in (0, 10, 2)]
    actions = [
        jax.jit(learner.sample_actions)(weights(config), *map(jnp.asarray, seen), KEY)
        for learner in learners
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


@pytest.mark.parametrize(
    ("name", "ticks"),
    # LingBot-VA's chunk stands in two segments of four.
    [("pi05", 2), pytest.param("lingbot_va", 5, marks=pytest.mark.slow)],
)
def test_a_chunk_goes_on_from_actions_under_way(name, ticks):
    """It begins with them, the rest depends on them, and what comes after them is not looked at."""
    config = RecipeConfig(recipe=name)
    act, params = continuing(config), weights(config)
    actions, delay = under_way(config, ticks)
    out = act(params, actions, delay)
    np.testing.assert_array_equal(out[:, :ticks], actions[:, :ticks])
    assert (out[:, ticks:] != actions[:, ticks:]).all()
    later = act(params, actions.at[:, ticks:].add(1.0), delay)
    np.testing.assert_array_equal(out, later)
    other = act(params, actions.at[:, 1].add(1.0), delay)
    assert (out[:, ticks:] != other[:, ticks:]).all()
    free = act(params, actions, jnp.zeros_like(delay))
    assert (free[:, :ticks] != actions[:, :ticks]).all()


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


def test_a_delay_runs_on_from_one_segment_of_a_chunk_to_the_next(monkeypatch):
    """LingBot-VA's two: a head that answers 0 is scored by what is not under way, and all of it."""
    monkeypatch.setattr(
        "wamjax.recipes.scoring.draw_delays", lambda key, rows, longest: jnp.full(rows, 5)
    )
    config = RecipeConfig(recipe="lingbot_va")
    data, params = batch(config), weights(config)
    model = params["model"]
    heads = {n: jax.tree.map(jnp.zeros_like, p) for n, p in model.items() if n.startswith("head")}
    silent = {**params, "model": {**model, **heads}}

    @jax.jit
    def loss(actions):
        shown = data.replace(actions=actions)
        return Learner(config).loss(silent, shown, KEY, "all")[1]["loss/action"]

    before = loss(data.actions)
    moved = [loss(np.where(np.arange(8)[:, None] == k, 9.0, data.actions)) for k in range(8)]
    assert [value != before for value in moved] == [False] * 5 + [True] * 3


@pytest.mark.parametrize("name", ["octo", "openvla_oft", "cosmos_policy"])
def test_what_is_not_denoised_action_by_action_cannot_go_on(name):
    config = RecipeConfig(recipe=name)
    with pytest.raises(ValueError, match="under way"):
        jax.eval_shape(continuing(config), jax.eval_shape(lambda: None), *under_way(config, 1))


def test_a_delay_as_long_as_the_chunk_is_refused():
    with pytest.raises(ValueError, match=r"delay must lie in .* 7, got 8"):
        RecipeConfig(recipe="pi05", delay=8)


def test_noise_on_the_history_is_seen_and_changes_no_target():
    """LingBot-VA: a head that answers 0 is scored alike, whatever the network was shown."""

    known = RecipeConfig(recipe="lingbot_va")
    params, data = weights(known), batch(known)
    silent = {
        name: jax.tree.map(jnp.zeros_like, part) if name.startswith("head") else part
        for name, part in params["model"].items()
    }

    @functools.partial(jax.jit, static_argnums=0)
    def losses(share, model):
        config = RecipeConfig(recipe="lingbot_va")
        assert config.learning.noisy_history is not None
        history = dataclasses.replace(config.learning.noisy_history, share=share)
        learning = dataclasses.replace(config.learning, noisy_history=history)
        vars(config)["blueprint"] = dataclasses.replace(config.blueprint, learning=learning)
        return Learner(config).loss({**params, "model": model}, data, KEY, "all")[1]

    assert losses(0.0, silent) == losses(1.0, silent)
    clean, noised = (losses(share, params["model"]) for share in (0.0, 1.0))
    for stream in ("loss/video", "loss/action"):
        assert abs(float(clean[stream] - noised[stream])) > 1e-4


def test_what_is_given_may_stand_at_a_level():
    """A level of 0 is none; another one is told to the network, and moves its answers."""
    config = RecipeConfig(recipe="lingbot_va")
    blueprint, params = config.blueprint, weights(config)["model"]
    tokens, sigma = filled(blueprint, blueprint.training)

    @jax.jit
    def answer(level):
        given = {} if level is None else {"video/clean": level}
        return network(blueprint).apply(
            {"params": params}, blueprint.training, tokens, sigma | given, method="denoise"
        )["action"]

    without = answer(None)
    np.testing.assert_array_equal(answer(jnp.zeros((ROWS, 4))), without)
    # The last frame stands behind the last chunk's actions alone.
    moved = np.asarray(answer(jnp.zeros((ROWS, 4)).at[:, 3].set(0.5)) != without).any((0, 2))
    np.testing.assert_array_equal(moved, np.arange(len(moved)) >= 8)


def test_executed_actions_stand_at_the_tokens_before_now():
    """They are given, and learned from; those that never were are padding."""
    config = RecipeConfig(recipe="lingbot_va", past_actions=6)
    learner, data, params = Learner(config), batch(config), weights(config)
    rng = np.random.default_rng(1)
    executed = rng.normal(size=(ROWS, 6, 7)).astype(np.float32)
    there = np.ones((ROWS, 6, 7), bool)
    there[1, :4] = False
    shown = scene(config, data).replace(past=jnp.asarray(executed), past_mask=jnp.asarray(there))
    for copy in ("clean", "noisy"):
        oldest, newest, now, _ = (
            s for s in config.blueprint.training.segments if s.kind == f"action/{copy}"
        )
        found = [learner.reader.actions(shown, s)[0] for s in (oldest, newest, now)]
        # Of the eight ticks before now the first two were not asked for.
        np.testing.assert_array_equal(found[0][0], np.pad(executed[0, :2], ((2, 0), (0, 0))))
        np.testing.assert_array_equal(found[1][0], executed[0, 2:])
        np.testing.assert_array_equal(found[2], data.actions[:, :4])
        np.testing.assert_array_equal(
            learner.reader.present(shown, newest), [[True] * 4, [False, False, True, True]]
        )
        np.testing.assert_array_equal(
            learner.reader.present(shown, oldest), [[False, False, True, True], [False] * 4]
        )

    @jax.jit
    def loss(executed):
        shown = data.replace(past_actions=executed, past_action_mask=there)
        return learner.loss(params, shown, KEY, "all")[0]

    before = loss(executed)
    assert before == loss(np.where(there, executed, np.nan))
    assert abs(before - loss(executed + 1)) > 1e-4


@pytest.mark.slow
def test_a_chunk_depends_on_what_was_executed_and_not_on_what_was_not():
    config, known = (RecipeConfig(recipe="lingbot_va", past_actions=n) for n in (6, None))
    data, params = batch(config), weights(known)
    seen = (data.frames[:, :, : config.history], data.camera_mask, data.proprio, data.text)
    given = (*map(jnp.asarray, seen), KEY)
    executed = np.random.default_rng(1).normal(size=(2, ROWS, 6, 7)).astype(np.float32)
    there = np.ones((ROWS, 6, 7), bool)

    @jax.jit
    def act(executed, there):
        return Learner(config).sample_actions(params, *given, past=(executed, there))

    one, other = (act(actions, there) for actions in executed)
    assert (np.abs(one - other).max((1, 2)) > 1e-4).all()
    without = jax.jit(functools.partial(Learner(known).sample_actions, params))(*given)
    alone = act(np.full_like(executed[0], np.nan), ~there)
    np.testing.assert_allclose(alone, without, rtol=0, atol=1e-5)


def test_as_many_actions_are_shown_as_were_asked_for():
    config = RecipeConfig(recipe="lingbot_va", past_actions=6)
    data, learner = batch(config), Learner(config)
    seen = (data.frames[:, :, : config.history], data.camera_mask, data.proprio, data.text)
    with pytest.raises(ValueError, match="6 past actions are shown, got 0"):
        learner.sample_actions({}, *map(jnp.asarray, seen), KEY)
    with pytest.raises(ValueError, match="one of the 8 for which"):
        RecipeConfig(recipe="lingbot_va", past_actions=9)
    with pytest.raises(ValueError, match="one of the 0 for which"):
        RecipeConfig(recipe="fast_wam", past_actions=1)


def test_frames_of_the_memory_that_never_were_are_not_looked_at():
    """GE-Act, at an episode's start: what stands in their place changes nothing."""
    config = RecipeConfig(recipe="ge_act")
    data, params = batch(config), weights(config)
    given = (jnp.asarray(data.camera_mask), jnp.asarray(data.proprio), jnp.asarray(data.text), KEY)

    @jax.jit
    def act(frames, mask):
        return Learner(config).sample_actions(params, frames, *given, frame_mask=mask)

    frames = jnp.asarray(data.frames[:, :, : config.history])
    other = frames.at[:, :, 0].set(255 - frames[:, :, 0])
    there = jnp.ones((ROWS, config.history), bool)
    gone = there.at[:, 0].set(False)
    np.testing.assert_array_equal(act(frames, gone), act(other, gone))
    assert jnp.abs(act(frames, there) - act(other, there)).max() > 1e-6
