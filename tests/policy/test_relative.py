"""Relative actions of a policy: rotations are the loader's; plans hold while states move."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.eval.point_world import HORIZON, NEEDS, PointEnv, variants
from wamjax.data.cards import rotations
from wamjax.data.cards.relative import Pair, Relative, Turn
from wamjax.data.cards.rotations import FORMS, width
from wamjax.data.normalising.normalise import Normaliser
from wamjax.eval.rollout import rollout
from wamjax.policy import trained_policy
from wamjax.policy.relative import FromState
from wamjax.policy.turns import WAYS

PAIRS = list(itertools.product(FORMS, FORMS))


def some(count: int, seed: int = 3) -> Rotation:
    return Rotation.from_quat(np.random.default_rng(seed).normal(size=(count, 4)))


@pytest.mark.parametrize(("of", "to"), PAIRS)
def test_every_form_becomes_every_other_as_on_the_host(of, to):
    turns = Rotation.concatenate([some(200), Rotation.from_euler("xyz", EDGES)])
    values = rotations.write(turns, of, (len(turns),), np.dtype(np.float32))
    found = np.asarray(WAYS[to].write(WAYS[of].read(jnp.asarray(values))))
    theirs = rotations.read(found, to).as_matrix()
    np.testing.assert_allclose(theirs, turns.as_matrix(), atol=1e-3)
    random = slice(0, 200)
    np.testing.assert_allclose(theirs[random], turns[random].as_matrix(), atol=2e-5)
    expected = rotations.convert(values[random], of, to)
    away = np.abs(found[random] - expected)
    away = np.minimum(away, np.abs(away - 2 * np.pi)) if to == "euler" else away
    assert np.quantile(away, 0.99) < 1e-4


# Half turns, no turn, pitch at and near its limits.
EDGES = np.array(
    [[0, 0, 0], [np.pi, 0, 0], [0, 0, np.pi], [0.3, np.pi / 2, 0], [1, -np.pi / 2, 0],
     [0.3, np.pi / 2 - 1e-4, 0.2], [np.pi, 0, np.pi]]
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_numbers_that_are_no_rotation_give_no_nan(form):
    blank = jnp.zeros((2, width(form)))
    assert np.isfinite(np.asarray(WAYS[form].write(WAYS[form].read(blank)))).all()


# Each form once as the action's and once as the state's.
@pytest.mark.parametrize(("form", "state_form"), [*zip(FORMS, (*FORMS[1:], FORMS[0]), strict=True)])
def test_both_maps_are_the_loader_s(form, state_form):
    of = Relative(
        numbers=(Pair(0, 1),), angles=(Pair(1, 0),), turns=(Turn(2, 2, form, state_form),)
    )
    draw = np.random.default_rng(1)
    count, chunk = 40, 3

    def wide(turn: Rotation, own) -> np.ndarray:
        rows = len(turn)
        free = draw.uniform(-3, 3, (rows, 2))
        whole = np.hstack([free, rotations.write(turn, own, (rows,), free.dtype)])
        return whole.astype(np.float32)

    actions = wide(some(count * chunk, 4), form).reshape(count, chunk, -1)
    states = wide(some(count, 5), state_form)
    each = np.repeat(states, chunk, axis=0)
    host = of.tell(actions.reshape(count * chunk, -1), each)
    told = np.asarray(jax.jit(FromState(of).tell)(actions, states)).reshape(host.shape)
    back = np.asarray(jax.jit(FromState(of).restore)(told.reshape(actions.shape), states))
    for ours, theirs in (
        (told, host),
        (back.reshape(host.shape), actions.reshape(host.shape)),
        (of.restore(host, each), actions.reshape(host.shape)),
    ):
        np.testing.assert_allclose(ours[:, :2], theirs[:, :2], atol=2e-6)
        turned = [rotations.read(rows[:, 2:], form).as_matrix() for rows in (ours, theirs)]
        np.testing.assert_allclose(*turned, atol=1e-4)


class Targets(PointEnv):
    """The point goes half of the way to an absolute target."""

    def step(self, state, action):
        return super().step(state, 5 * (action - state.at))


SAME = Normaliser(
    shift=np.array([0.1, -0.2], np.float32), scale=np.array([2.0, 4.0], np.float32),
    inverse=np.array([0.5, 0.25], np.float32), mask=np.ones(2, bool),
)  # fmt: skip
PLAIN = Normaliser(
    shift=np.zeros(4, np.float32), scale=np.ones(4, np.float32), inverse=np.ones(4, np.float32),
    mask=np.ones(4, bool),
)  # fmt: skip
RELATIVE = Relative(numbers=(Pair(0, 0), Pair(1, 1)))
WANTED = np.array([[0.1, 0.2], [0.2, 0.1], [0.3, -0.1], [0.4, -0.3]], np.float32)
"""What is planned, told from the state: the same in each plan."""


def planning(heard=None, past_actions=0):
    def sample(weights, frames, camera_mask, proprio, text, key, past=None):
        if heard is not None:
            heard.append(past)
        chunk = jnp.asarray(SAME.apply(WANTED))
        return jnp.broadcast_to(chunk, (proprio.shape[0], *chunk.shape))

    needs = dataclasses.replace(NEEDS, past_actions=past_actions, action=2 if past_actions else 0)
    return trained_policy(
        sample,
        action_normaliser=SAME,
        proprio_normaliser=PLAIN,
        needs=needs,
        chunk=4,
        replan=4,
        relative=FromState(RELATIVE),
    )


def test_a_plan_is_told_from_the_state_at_planning_while_the_state_moves():
    worlds = variants(np.array([0, 1, 2, 5]))
    program = rollout(planning(), Targets(), HORIZON, weights={}, variants=worlds, batch=4)
    _, trace = program.trace({}, worlds, jax.random.key(0))
    at = np.asarray(trace.states.at)
    plans = np.arange(HORIZON) // 4 * 4
    expected = at[:, plans] + WANTED[np.arange(HORIZON) % 4]
    np.testing.assert_allclose(trace.actions, expected, atol=1e-6)
    moved = at[:, :HORIZON] + WANTED[np.arange(HORIZON) % 4]
    assert np.abs(trace.actions - moved).max() > 0.05


def test_executed_actions_are_shown_as_seen_from_now():
    heard = []
    policy = planning(heard, past_actions=3)
    env = Targets()
    states = [env.reset_variant(jax.tree.map(lambda leaf: leaf[0], variants([n]))) for n in (0, 1)]
    shown = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(env.observe, states))
    done = np.random.default_rng(0).normal(size=(2, 3, 2)).astype(np.float32)
    there = np.array([[False, True, True], [True, True, True]])
    seen = shown.replace(frames=shown.frames[:, 1:], past_actions=done, past_action_mask=there)
    policy.act({}, seen, jax.random.key(0))
    ((values, mask),) = heard
    expected = SAME.apply(done - np.asarray(shown.proprio)[:, None, :2])
    np.testing.assert_allclose(values, expected, atol=1e-6)
    np.testing.assert_array_equal(mask, np.repeat(there[..., None], 2, axis=-1))
