"""One set of weights in many forms: each predicts what it says, from what it is told."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.test_learner import ROWS, batch, scene, weights
from wamjax.recipes.forms import Known, conditions
from wamjax.recipes.learner import Learner
from wamjax.recipes.program import moved
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.recipes.registry import RECIPES

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(5)
FIVE = ("motus", "uwm")
PREDICTS = {
    "joint": ("action", "frames"),
    "policy": ("action", "frames"),
    "world_model": ("frames",),
    "inverse_dynamics": ("action",),
    "video": ("frames",),
}
NEEDS = {"world_model": ("actions",), "inverse_dynamics": ("frames",)}


def learner(name: str, form: str = "") -> Learner:
    return Learner(RecipeConfig(recipe=name, form=form, solver_steps=2))


def observed(one: Learner):
    data = batch(one.config)
    seen = jnp.asarray(data.frames[:, :, : one.config.history])
    return seen, jnp.asarray(data.camera_mask), jnp.asarray(data.proprio), jnp.asarray(data.text)


def truth(one: Learner) -> Known:
    """What the form needs of what was recorded."""
    data, needs = batch(one.config), conditions(one.blueprint)
    return Known(
        frames=jnp.asarray(data.frames[:, :, one.config.history :]) if "frames" in needs else None,
        actions=jnp.asarray(data.actions) if "actions" in needs else None,
    )


@functools.cache
def sampled(name: str, form: str):
    """(known) -> what `sample` answers."""
    one = learner(name).in_form(form)
    params = weights(RecipeConfig(recipe=name))
    return jax.jit(lambda known: one.sample(params, *observed(one), KEY, video=True, known=known))


@pytest.mark.parametrize("name", FIVE)
def test_five_forms_have_one_tree_of_weights(name):
    # The published network has other edges.
    forms = [form for form in RECIPES[name].forms if form != "release"]
    trees = [jax.eval_shape(learner(name, form).init, KEY) for form in forms]
    assert len(trees) == 5
    assert all(tree == trees[0] for tree in trees)


@pytest.mark.parametrize("name", FIVE)
@pytest.mark.parametrize("form", PREDICTS)
def test_a_form_answers_what_it_predicts(name, form):
    one = learner(name).in_form(form)
    assert one.predicts == PREDICTS[form]
    assert conditions(one.blueprint) == NEEDS.get(form, ())
    params = weights(RecipeConfig(recipe=name))
    known = jax.eval_shape(lambda: truth(one))
    for video in (False, True):
        out = jax.eval_shape(
            lambda p, k, video=video: one.sample(p, *observed(one), KEY, video=video, known=k),
            params,
            known,
        )
        wanted = {*one.predicts} if video else {one.predicts[0]}
        assert {*out} == wanted


@pytest.mark.parametrize("name", FIVE)
def test_inverse_dynamics_actions_depend_on_the_future_that_is_given(name):
    run, known = sampled(name, "inverse_dynamics"), truth(learner(name, "inverse_dynamics"))
    other = jax.tree.map(lambda frames: 255 - frames, known)
    one, two = run(known)["action"], run(other)["action"]
    assert one.shape == (ROWS, 8, 7)
    assert (jnp.abs(one - two).max((1, 2)) > 1e-5).all()


@pytest.mark.parametrize("name", FIVE)
def test_a_world_models_frames_depend_on_the_actions_that_are_given(name):
    run, known = sampled(name, "world_model"), truth(learner(name, "world_model"))
    other = jax.tree.map(lambda actions: actions + 3.0, known)
    one, two = run(known)["frames"], run(other)["frames"]
    assert (one != two).any()


@pytest.fixture
def walks(monkeypatch) -> list[dict]:
    """Of each walk of a program: what it starts from, and whether it shows the future apart."""
    made = []

    def walk(blueprint, params, supply, noise, *, imagine, **options):
        made.append({**noise, "imagine": imagine})
        moving = [stream for phase in blueprint.phases(imagine) for stream in moved(phase)]
        return {stream: noise[stream] for stream in moving}

    monkeypatch.setattr("wamjax.recipes.learner.walk", walk)
    return made


def test_what_is_given_is_seen_as_it_is_in_training(walks):
    """Held at level 0 are the clean values of the recording, whatever the noise."""
    for form in ("inverse_dynamics", "world_model"):
        one = learner("motus", form)
        one.sample({"model": {}}, *observed(one), KEY, video=False, known=truth(one))
    there = scene(one.config, batch(one.config))
    noisy = [s for s in one.blueprint.training.segments if s.copy == "noisy"]
    clean = {s.stream: one.reader.change(there, s) for s in noisy if s.stream == "video"}
    np.testing.assert_array_equal(walks[0]["video"], clean["video"])
    np.testing.assert_array_equal(walks[1]["action"], there.actions)
    assert walks[0]["action"].std() > 0.8
    assert walks[1]["video"].std() > 0.8


@pytest.mark.parametrize(
    ("form", "apart"), [("joint", [False]), ("policy", [False, True]), ("video", [False])]
)
def test_frames_are_those_sampled_with_the_actions_where_both_are(walks, form, apart):
    """A policy's program denoises no video: its future is walked apart."""
    one = learner("uwm", form)
    one.sample({"model": {}}, *observed(one), KEY, video=True)
    assert [walk["imagine"] for walk in walks] == apart


def test_what_a_form_needs_is_asked_for_and_what_it_ignores_is_refused():
    one = learner("motus", "world_model")
    params = weights(RecipeConfig(recipe="motus"))
    with pytest.raises(ValueError, match="given true actions"):
        one.sample(params, *observed(one), KEY, video=True)
    with pytest.raises(ValueError, match="does not look at known actions"):
        learner("motus").sample(params, *observed(one), KEY, video=True, known=truth(one))
    two = learner("motus", "inverse_dynamics")
    few = jax.tree.map(lambda frames: frames[:, :, :1], truth(two))
    with pytest.raises(ValueError, match="needs 2 known frames, got 1"):
        two.sample_actions(params, *observed(two), KEY, known=few)


@pytest.mark.parametrize(
    ("name", "form"), [("motus", "world_model"), ("motus", "video"), ("uwm", "video")]
)
def test_a_form_without_actions_says_so(name, form):
    one = learner(name, form)
    params = weights(RecipeConfig(recipe=name))
    with pytest.raises(ValueError, match=f"{name}/{form} predicts frames, not action"):
        jax.eval_shape(
            lambda p: one.sample_actions(p, *observed(one), KEY, known=truth(one)), params
        )


def test_a_form_that_is_trained_otherwise_is_refused():
    with pytest.raises(ValueError, match="is not trained as"):
        learner("fast_wam").in_form("joint")
