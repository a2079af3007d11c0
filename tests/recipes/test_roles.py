"""Cosmos-Policy: a batch mixes roles, and one set of weights is sampled in each."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.conformance import filled
from tests.recipes.test_learner import KEY, ROWS, batch, scene, weights
from wamjax.model.layout import Layout
from wamjax.recipes.blueprint import Lesson, Role
from wamjax.recipes.forms import Known
from wamjax.recipes.learner import Learner
from wamjax.recipes.network import network
from wamjax.recipes.recipe_config import RecipeConfig

pytestmark = pytest.mark.usefixtures("quick_to_compile")

COSMOS = RecipeConfig(recipe="cosmos_policy")
NOISY = [s for s in COSMOS.blueprint.training.segments if s.copy == "noisy"]
ACTION = next(s for s in NOISY if Learner(COSMOS).reader.content(s) == "action")


def in_role(*roles: Role) -> Learner:
    """The recipe with other roles."""
    config = RecipeConfig(recipe="cosmos_policy")
    learning = dataclasses.replace(config.learning, roles=roles)
    vars(config)["blueprint"] = dataclasses.replace(config.blueprint, learning=learning)
    return Learner(config)


def test_roles_are_drawn_by_their_shares_and_give_what_they_say():
    rows = 6000
    told = np.asarray(Learner(COSMOS).scoring.told(KEY, rows))
    assert told.shape == (rows, len(NOISY))
    # The published roles: s -> a, s', V; s, a -> s', V; s, a, s' -> V.
    roles = {(0, 0, 0, 0, 0): 1 / 2, (1, 0, 0, 0, 0): 1 / 4, (1, 1, 1, 1, 0): 1 / 4}
    assert {tuple(row) for row in told.astype(int)} == {*roles}
    for row, share in roles.items():
        drawn = (told == row).all(axis=1).mean()
        # Four standard deviations of a binomial count.
        assert abs(drawn - share) < 4 * np.sqrt(share * (1 - share) / rows)


def test_a_frame_that_is_given_stands_there_as_a_given_one():
    """At level 0 and marked as given it is the given copy: the other frames are answered alike."""
    reader, there = Learner(COSMOS).reader, scene(COSMOS, batch(COSMOS))
    given = dataclasses.replace(ACTION, copy="cond")
    clean = reader.change(there, ACTION)
    as_noisy = reader.wide(there, ACTION, clean, jnp.ones(ROWS, bool))
    as_given, _ = reader.values({}, there, given)
    np.testing.assert_array_equal(as_noisy, as_given)

    blueprint, params = COSMOS.blueprint, weights(COSMOS)["model"]
    training = blueprint.training
    place = training.segments.index(ACTION)
    segments = (*training.segments[:place], given, *training.segments[place + 1 :])
    tokens, sigma = filled(blueprint, training)
    level = jnp.broadcast_to(jnp.array([0.3, 0.7])[:, None], sigma["video"].shape)
    own = NOISY.index(ACTION)

    def answer(layout: Layout, levels):
        run = network(blueprint).apply
        return run({"params": params}, layout, tokens, {"video": levels}, method="denoise")["video"]

    one = answer(training, level.at[:, own].set(0.0))
    other = answer(dataclasses.replace(training, segments=segments), jnp.delete(level, own, axis=1))
    count = ACTION.count
    rest = jnp.delete(one, jnp.arange(own * count, (own + 1) * count), axis=1)
    np.testing.assert_allclose(rest, other, atol=1e-5)


def test_what_is_given_is_not_scored():
    """A head that answers 0 is scored by what its targets are: those that are not given."""
    data, params = batch(COSMOS), weights(COSMOS)
    silent = {
        name: jax.tree.map(jnp.zeros_like, part) if name.startswith("head") else part
        for name, part in params["model"].items()
    }
    reader, there = Learner(COSMOS).reader, scene(COSMOS, data)

    def by_hand(*contents: str) -> float:
        squares = [
            np.square(np.asarray(reader.change(there, segment)))
            for segment in NOISY
            if reader.content(segment) in contents
        ]
        return float(np.mean(squares))

    after = ("state", "camera 0", "camera 1")
    cases = (
        ((), ("action", *after, "value")),
        (("action",), (*after, "value")),
        (("action", *after), ("value",)),
    )
    for given, scored in cases:
        one = in_role(Role(share=1.0, given=given))
        loss, _ = jax.jit(lambda p, one=one: one.loss({**params, "model": p}, data, KEY, "all"))(
            silent
        )
        np.testing.assert_allclose(loss, by_hand(*scored), rtol=1e-4)


@pytest.mark.parametrize(
    ("given", "content", "share"),
    [
        *(((), content, 1 / 5) for content in ("actions", "next_proprio", "value")),
        *((("action",), content, 1 / 4) for content in ("next_proprio", "value")),
        (("action", "state", "camera 1", "camera 0"), "value", 1.0),
    ],
)
def test_a_role_never_sees_what_it_must_predict(given, content, share):
    """Where noise is pure, the answer does not depend on the truth: a square error is a parabola.

    (p + x)^2 - 2 p^2 + (p - x)^2 = 2 x^2, whatever p is, as long as it is one and the same.
    """
    one, data, params = in_role(Role(share=1.0, given=given)), batch(COSMOS), weights(COSMOS)
    lesson = Lesson(losses=(("video", 1.0),), pins=(("video", 1.0),))
    there = scene(COSMOS, data)
    field = {"actions": "actions", "next_proprio": "next_state", "value": "value"}[content]
    # A value v stands there as 2 v - 1.
    scale = {"value": lambda t: (t * jnp.ones(ROWS) + 1.0) / 2.0}.get(
        content, lambda t: t * getattr(there, field)
    )
    loss = jax.jit(
        lambda t: one.scoring.loss(params, there.replace(**{field: scale(t)}), lesson, KEY)[0]
    )
    below, at, above = (float(loss(t)) for t in (-1.0, 0.0, 1.0))
    segment = next(
        s
        for s in NOISY
        if one.reader.content(s)
        == {"actions": "action", "next_proprio": "state", "value": "value"}[content]
    )
    painted = one.reader.change(there.replace(**{field: scale(1.0)}), segment)
    curve = 2.0 * share * float(jnp.square(painted).mean())
    assert below - 2 * at + above == pytest.approx(curve, rel=1e-3)


def test_the_world_model_s_frames_depend_on_the_known_actions():
    one = Learner(dataclasses.replace(COSMOS, solver_steps=2)).in_form("world_model")
    assert one.predicts == ("frames", "proprio", "value")
    data = batch(COSMOS)
    seen = (data.frames[:, :, : COSMOS.history], data.camera_mask, data.proprio, data.text)

    @jax.jit
    def imagine(actions):
        known = Known(actions=actions)
        given = (*map(jnp.asarray, seen), KEY)
        return one.sample(weights(COSMOS), *given, video=True, known=known)["frames"]

    before = np.asarray(imagine(data.actions), np.int32)
    assert np.abs(np.asarray(imagine(-data.actions), np.int32) - before).max() > 0
    with pytest.raises(ValueError, match="given true actions"):
        one.sample(weights(COSMOS), *map(jnp.asarray, seen), KEY, video=True)
