"""A recipe that reads goals: told the one or the other, and nothing of what it is not told."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.test_learner import batch as recorded
from tests.weights import drawn_weights
from wamjax.cli.recipe_run import recipe_run
from wamjax.core.errors import UserError
from wamjax.core.records import Batch
from wamjax.core.text import encode_text
from wamjax.recipes.goals import with_goal
from wamjax.recipes.learner import Learner
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.recipes.scene import Scene
from wamjax.train.augment import OCTO, augment, augmented
from wamjax.train.inputs import unused_inputs

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(0)
CONFIG = RecipeConfig(recipe="octo", form="goal", solver_steps=1)
SYSTEM = Learner(CONFIG)
ROWS = 8


def batch(rows: int = ROWS) -> Batch:
    two = recorded(CONFIG)
    many = jax.tree.map(lambda leaf: np.concatenate([leaf] * (rows // 2)), two)
    rng = np.random.default_rng(1)
    size = CONFIG.image_size
    return many.replace(
        goal=rng.integers(0, 256, (rows, 2, size, size, 3), dtype=np.uint8),
        goal_mask=np.ones((rows, 2), bool),
        text=np.stack([encode_text(f"reach {n}", CONFIG.text_length) for n in range(rows)]),
    )


@pytest.fixture(scope="module")
def params():
    return drawn_weights(jax.eval_shape(SYSTEM.init, KEY))


@pytest.mark.parametrize(
    ("goal", "words", "chosen", "told"),
    [
        (True, True, True, "goal"),
        (True, True, False, "words"),
        (True, False, False, "goal"),
        (False, True, True, "words"),
        (False, False, True, "nothing"),
    ],
)
def test_one_of_the_two_is_told_and_what_is_there_if_one_is_missing(goal, words, chosen, told):
    text = np.zeros((1, 4), np.uint8) + np.uint8(65 * words)
    frames = np.full((1, 2, 4, 4, 3), 255, np.uint8)
    scene = Scene(
        frames=jnp.zeros((1, 2, 1, 4, 4, 3)), camera_mask=jnp.ones((1, 2), bool),
        frame_mask=jnp.ones((1, 1), bool), state=jnp.zeros((1, 7)), text=jnp.asarray(text),
    )  # fmt: skip
    mask = jnp.asarray([[False, goal]])
    out = with_goal(scene, jnp.asarray(frames), mask, jnp.asarray([chosen]))
    assert bool(out.goal_mask.any()) == (told == "goal")
    assert bool((out.text > 0).any()) == (told == "words")
    assert float(out.goal.min()) == 1.0


def test_about_half_of_the_examples_are_told_each_and_nothing_of_the_other(params):
    """An example's goal or its words move the loss, never both."""

    data = batch()

    @jax.jit
    def own(text, goal):
        """The loss with the actions of one example at a time."""

        def of(row):
            only = data.action_mask & (jnp.arange(ROWS) == row)[:, None, None]
            told = data.replace(text=text, goal=goal, action_mask=only)
            return SYSTEM.loss(params, told, KEY, "all")[0]

        return jax.lax.map(of, jnp.arange(ROWS))

    other = np.where(data.text > 0, 255 - data.text, 0).astype(np.uint8)
    before = np.asarray(own(data.text, data.goal))
    words, goal = np.asarray(own(other, data.goal)), np.asarray(own(data.text, 255 - data.goal))
    by_words, by_goal = words != before, goal != before
    assert (by_words ^ by_goal).all()
    assert 0 < by_goal.sum() < ROWS


def test_a_goal_that_no_encoder_looks_at_leaves_the_instruction(params):
    """Octo's tiny form looks through the first camera."""
    data = batch(2)
    hidden = data.replace(goal_mask=np.array([[False, True]] * 2))
    without = data.replace(goal=None, goal_mask=None)
    loss = jax.jit(lambda data: SYSTEM.loss(params, data, KEY, "all")[0])
    np.testing.assert_allclose(loss(hidden), loss(without), rtol=1e-6)


def test_a_sampler_that_is_shown_a_goal_is_told_the_goal_alone(params):
    data = batch()
    mask = data.goal_mask.copy()
    mask[::2] = False

    @jax.jit
    def act(text, goal, mask):
        frames = jnp.asarray(data.frames)[:, :, : CONFIG.history]
        seen = (frames, jnp.asarray(data.camera_mask), jnp.asarray(data.proprio), text)
        shown = {} if goal is None else {"goal": (goal, mask)}
        return SYSTEM.sample_actions(params, *seen, KEY, **shown)

    text, other = data.text, np.where(data.text > 0, 255 - data.text, 0).astype(np.uint8)
    plain, shown = act(text, None, None), act(text, data.goal, mask)
    reworded, turned = act(other, data.goal, mask), act(text, 255 - data.goal, mask)
    there = mask.any(1)
    np.testing.assert_allclose(shown[~there], plain[~there], atol=1e-4)
    assert (np.abs(shown - plain).max((1, 2)) > 1e-5)[there].all()
    np.testing.assert_array_equal(reworded[there], shown[there])
    assert (np.abs(reworded - shown).max((1, 2)) > 1e-5)[~there].all()
    assert (np.abs(turned - shown).max((1, 2)) > 1e-5)[there].all()
    np.testing.assert_array_equal(turned[~there], shown[~there])


def test_a_goal_is_an_input_that_is_checked_and_one_that_nobody_reads_is_told(params):
    data = batch()
    assert unused_inputs(SYSTEM, params, data, "all", KEY) == ["camera 1", "proprio"]
    blind = Learner(RecipeConfig(recipe="octo", solver_steps=1))
    own = drawn_weights(jax.eval_shape(blind.init, KEY))
    assert unused_inputs(blind, own, data, "all", KEY) == ["camera 1", "proprio", "goal"]


def test_who_reads_no_goal_is_given_none():
    run = recipe_run("octo/goal")
    assert run.data.goal == "uniform"
    with pytest.raises(ValueError, match="this system reads goals: set"):
        dataclasses.replace(run, data=dataclasses.replace(run.data, goal="none"))
    for which in ("octo", "fast_wam"):
        other = recipe_run(which)
        wanted = dataclasses.replace(other.data, goal="last")
        with pytest.raises(ValueError, match=r"data\.goal is 'last' and this system reads no goal"):
            dataclasses.replace(other, data=wanted)
    octo = Learner(RecipeConfig(recipe="octo"))
    data = batch(2)
    seen = (data.frames, data.camera_mask, data.proprio, data.text)
    with pytest.raises(ValueError, match="octo reads no goal: leave it out"):
        octo.sample_actions({}, *seen, KEY, goal=(data.goal, data.goal_mask))
    with pytest.raises(ValueError, match="octo/goal is not trained as octo: train it by itself"):
        octo.in_form("goal")
    with pytest.raises(UserError, match="form 'nothing' does not exist"):
        recipe_run("octo/nothing")


def test_a_goal_is_augmented_as_a_frame_of_its_window():
    data = batch(2)
    same = data.replace(goal=data.frames[:, :, 1])
    changed = augmented(OCTO, same, KEY)
    np.testing.assert_array_equal(changed.goal, changed.frames[:, :, 1])
    assert (np.asarray(changed.goal) != same.goal).any()
    without = augmented(OCTO, data.replace(goal=None, goal_mask=None), KEY)
    np.testing.assert_array_equal(without.frames, augment(OCTO, jnp.asarray(data.frames), KEY))
