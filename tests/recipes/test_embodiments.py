"""X-VLA: weights per embodiment, and an action scored part by part."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.conformance import filled, tiny
from tests.recipes.conformance import weights as model_weights
from tests.recipes.test_learner import (
    KEY,
    ROWS,
    batch,
    continuing,
    program,
    scene,
    under_way,
    weights,
)
from wamjax.recipes.learner import Learner
from wamjax.recipes.network import network
from wamjax.recipes.recipe_config import RecipeConfig

pytestmark = pytest.mark.usefixtures("quick_to_compile")

CONFIG = RecipeConfig(recipe="x_vla", delay=0)
DOMAINS = 3
# Paths of what each embodiment has for itself.
OWN = {
    ("embed_register", "table"),
    ("embed_action", "in", "kernel"),
    ("embed_action", "in", "bias"),
    ("head_action", "out", "kernel"),
    ("head_action", "out", "bias"),
}


def names(path) -> tuple[str, ...]:
    return tuple(str(part.key) for part in path)


def by_domain(leaf):
    """[domains, ...]; the soft prompts of all embodiments stand in one table."""
    return leaf.reshape(DOMAINS, -1, *leaf.shape[1:]) if leaf.ndim == 2 else leaf


def reordered(model, order):
    """The model's weights with embodiment k's taken from order[k]; all others stay."""

    def change(path, leaf):
        if names(path) not in OWN:
            return leaf
        if names(path)[-1] == "bias":
            return leaf[np.asarray(order)]
        return by_domain(leaf)[np.asarray(order)].reshape(leaf.shape)

    return jax.tree_util.tree_map_with_path(change, model)


@functools.cache
def answer():
    blueprint = tiny("x_vla")
    tokens, sigma = filled(blueprint, blueprint.training)

    @jax.jit
    def run(params, domain):
        given = dataclasses.replace(tokens, domain=jnp.asarray(domain, jnp.int32))
        model, layout = network(blueprint), blueprint.training
        return model.apply({"params": params}, layout, given, sigma, method="denoise")["action"]

    return run


def test_another_embodiment_answers_through_its_own_weights_alone():
    run, params = answer(), model_weights("x_vla")
    first, second = run(params, [0, 0]), run(params, [1, 2])
    assert (np.abs(first - second).max((1, 2)) > 1e-3).all()
    np.testing.assert_array_equal(run(reordered(params, [0, 0, 0]), [1, 2]), first)
    # Each of the five differs between embodiments, and matters.
    for path in OWN:
        alone = jax.tree_util.tree_map_with_path(
            lambda p, same, old, path=path: old if names(p) == path else same,
            reordered(params, [0, 0, 0]),
            params,
        )
        assert (np.abs(run(alone, [1, 2]) - first).max((1, 2)) > 0).all(), path


def test_renumbered_embodiments_with_their_weights_answer_the_same_bit_for_bit():
    run, params = answer(), model_weights("x_vla")
    order = [2, 0, 1]
    renumbered = run(reordered(params, order), [order.index(0), order.index(2)])
    np.testing.assert_array_equal(renumbered, run(params, [0, 2]))


@functools.cache
def slopes():
    @jax.jit
    def run(params, data):
        return jax.grad(lambda p: Learner(CONFIG).loss(p, data, KEY, "all")[0])(params)["model"]

    return run


@pytest.mark.parametrize("present", [(0, 0), (0, 2), (1, 1)])
def test_weights_of_an_embodiment_learn_from_its_own_examples_alone(present):
    data = batch(CONFIG).replace(embodiment=np.array(present, np.int32))
    found = slopes()(weights(CONFIG), data)
    seen = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(found):
        if names(path) in OWN:
            rows = leaf if names(path)[-1] == "bias" else by_domain(leaf)
            moved = np.abs(rows).reshape(DOMAINS, -1).max(1) > 0
            np.testing.assert_array_equal(moved, np.isin(range(DOMAINS), present), str(path))
            seen += 1
    assert seen == len(OWN)


def test_a_batch_that_does_not_say_is_of_the_configs_embodiment():
    data = batch(CONFIG)
    other = dataclasses.replace(CONFIG, embodiment=2)
    silent = program(other, "all")(weights(CONFIG), data)[0]
    told = [
        program(CONFIG, "all")(weights(CONFIG), data.replace(embodiment=np.full(ROWS, k, np.int32)))
        for k in (0, 2)
    ]
    np.testing.assert_allclose(silent, told[1][0], rtol=1e-6)
    assert abs(silent - told[0][0]) > 1e-3 * silent


def test_a_chunk_is_sampled_for_the_configs_embodiment():
    act = continuing(dataclasses.replace(CONFIG, delay=3, embodiment=1))
    actions, delay = under_way(CONFIG, 0)
    params = weights(CONFIG)
    ours = act(params, actions, delay)
    moved = {**params, "model": reordered(params["model"], [1, 1, 1])}
    theirs = continuing(dataclasses.replace(CONFIG, delay=3))
    np.testing.assert_allclose(theirs(moved, actions, delay), ours, atol=1e-5)
    assert np.abs(theirs(params, actions, delay) - ours).max() > 1e-4


@pytest.mark.parametrize(("recipe", "last"), [("x_vla", 2), ("pi0", 0)])
def test_an_embodiment_without_weights_is_refused(recipe, last):
    with pytest.raises(ValueError, match=rf"embodiment must lie in 0 ... {last} for {recipe}"):
        RecipeConfig(recipe=recipe, embodiment=last + 1)


def constant(params, answer):
    """Weights that answer the same at every token."""
    out = params["model"]["head_action"]["out"]
    head = {"kernel": 0 * out["kernel"], "bias": jnp.tile(jnp.asarray(answer), (DOMAINS, 1))}
    model = params["model"] | {"head_action": params["model"]["head_action"] | {"out": head}}
    return {**params, "model": model}


ANSWER = np.array([0.5, -1.0, 2.0, 0.1, 0.2, -0.3, 1.7], np.float32)


def test_the_loss_is_the_published_one_written_out():
    """5 mean |positions|^2 + mean |rotations|^2 + cross-entropy of the gripper."""
    data = batch(CONFIG)
    mask = data.action_mask.copy()
    mask[0, 5:] = False
    grips = np.where(data.actions[..., 6] > 0, 1.0, -1.0)
    actions = np.concatenate([data.actions[..., :6], grips[..., None]], -1).astype(np.float32)
    data = data.replace(action_mask=mask, actions=actions)
    total, parts = program(CONFIG, "all")(constant(weights(CONFIG), ANSWER), data)
    real = actions[mask[..., 0]].astype(np.float64)
    chance = 1 / (1 + np.exp(-1.7))
    opened = (real[:, 6] > 0).mean()
    expected = (
        5 * np.square(real[:, :3] - ANSWER[:3]).mean()
        + np.square(real[:, 3:6] - ANSWER[3:6]).mean()
        - opened * np.log(chance)
        - (1 - opened) * np.log(1 - chance)
    )
    np.testing.assert_allclose(total, expected, rtol=1e-5)
    np.testing.assert_allclose(parts["loss/action"], expected, rtol=1e-5)


def test_a_sampled_gripper_is_twice_its_chance_less_one_and_actions_under_way_stay():
    config = dataclasses.replace(CONFIG, delay=3)
    actions, delay = under_way(config, 2)
    out = continuing(config)(constant(weights(config), ANSWER), actions, delay)
    np.testing.assert_array_equal(out[:, :2], actions[:, :2])
    np.testing.assert_allclose(out[:, 2:, :6], np.tile(ANSWER[:6], (ROWS, 6, 1)), atol=1e-5)
    np.testing.assert_allclose(out[:, 2:, 6], 2 / (1 + np.exp(-1.7)) - 1, atol=1e-5)


def test_a_noisy_gripper_is_not_shown():
    reader = Learner(CONFIG).reader
    there = scene(CONFIG, batch(CONFIG))
    segment = next(s for s in CONFIG.blueprint.training.segments if s.stream == "action")
    noisy = jax.random.normal(KEY, (ROWS, 8, 7))
    shown = reader.wide(there, segment, noisy)
    np.testing.assert_array_equal(shown[..., :6], noisy[..., :6])
    assert not np.asarray(shown[..., 6]).any()
