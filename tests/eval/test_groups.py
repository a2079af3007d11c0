"""Laws of a group: one world, different draws; what teaches nothing is dropped or masked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.eval.point_world import HORIZON, NEEDS, PointEnv, variants
from wamjax.eval.groups import Arena, Groups, play_groups, training_seeds
from wamjax.policy.base import Law, Policy
from wamjax.sim.manifest import EVALUATION_SEEDS

ENV, G, K, REPLAN = PointEnv(), 6, 4, 3
PLANS = -(-HORIZON // REPLAN)
WEIGHTS = {"gain": jnp.float32(0.6), "noise": jnp.float32(0.8)}


def act(weights, observation, key):
    at, goal = observation.proprio[:, :2], observation.proprio[:, 2:]
    heading = (goal - at) / jnp.linalg.norm(goal - at, axis=1, keepdims=True)
    mean = jnp.repeat(weights["gain"] * heading[:, None], 4, axis=1)
    return mean + weights["noise"] * jax.random.normal(key, mean.shape), mean


def draw(weights, observation, key):
    actions, mean = act(weights, observation, key)
    return actions, actions[:, None], log_p(weights, actions, mean)


def log_p(weights, actions, mean):
    return -0.5 * jnp.square((actions - mean) / weights["noise"]).sum(-1)[:, None]


def log_probs(weights, observation, key, drawn):
    return log_p(weights, drawn[:, 0], act(weights, observation, key)[1])


LAW = Law(draw=draw, log_probs=log_probs, counts=np.arange(4)[None] < REPLAN)
POLICY = Policy(
    name="point",
    chunk=4,
    replan=REPLAN,
    act=lambda weights, seen, key: act(weights, seen, key)[0],
    needs=NEEDS,
    law=LAW,
)
PLAY = play_groups(POLICY, LAW, ENV, HORIZON, jax.tree.map(lambda x: x[0], variants([0])))


def groups(rounds=1, seed=0):
    arena = Arena(name="point", play=PLAY, variants=variants, plans=PLANS)
    return Groups(
        arenas=[arena], law=LAW, groups=G, rollouts=K, replan=REPLAN, rounds=rounds, seed=seed
    )


def same(first, other):
    return all(
        np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True)
    )


def by_plan(leaf):
    return np.asarray(leaf).reshape(G, K, PLANS, *leaf.shape[1:])


@pytest.fixture(scope="module")
def collected():
    return groups()(WEIGHTS, 0)


def test_an_iteration_is_a_function_of_weights_and_number(collected):
    assert same(groups()(WEIGHTS, 0).experience, collected.experience)
    assert not same(groups()(WEIGHTS, 1).experience, collected.experience)
    assert not same(groups(seed=1)(WEIGHTS, 0).experience, collected.experience)


def test_a_group_shares_its_world_and_differs_in_its_draws(collected):
    data = collected.experience
    kept = round(collected.numbers["kept"] * G)
    assert kept >= 2
    first = by_plan(data.seen.proprio)[:kept, :, 0]
    assert same(first, np.repeat(first[:, :1], K, axis=1))
    assert len(np.unique(first[:, 0], axis=0)) == kept
    drawn = by_plan(data.drawn)[:kept, :, 0].reshape(kept * K, -1)
    assert len(np.unique(drawn, axis=0)) == kept * K


def test_log_p_of_the_record_is_what_it_was_when_drawn(collected):
    data = collected.experience
    again = log_probs(WEIGHTS, data.seen, jax.random.key(0), jnp.asarray(data.drawn))
    real = np.asarray(data.mask)
    np.testing.assert_allclose(np.asarray(again)[real], data.log_probs[real], rtol=1e-5, atol=1e-6)


def test_plans_after_success_and_unexecuted_actions_do_not_count(collected):
    live = by_plan(collected.experience.mask)
    assert not live[..., REPLAN:].any()
    began = live.any((-1, -2))
    kept = round(collected.numbers["kept"] * G)
    assert began[:kept, :, 0].all()
    # Once a rollout has ended it does not begin again.
    assert not (began[..., 1:] & ~began[..., :-1]).any()
    wins = by_plan(collected.experience.advantage)[..., 0] > 0
    assert not began[wins].all(-1).all()
    assert began[:kept][~wins[:kept]].all()


def test_advantages_sum_to_nothing_in_a_group_and_never_vanish(collected):
    advantage = by_plan(collected.experience.advantage)
    assert same(advantage, np.repeat(advantage[:, :, :1], PLANS, axis=2))
    kept = round(collected.numbers["kept"] * G)
    np.testing.assert_allclose(advantage[..., 0].sum(1), 0.0, atol=1e-6)
    assert (np.abs(advantage[:kept]) > 0).all()


def test_groups_that_teach_nothing_are_replaced_until_the_limit(collected):
    one, more = collected.numbers, groups(rounds=5)(WEIGHTS, 0).numbers
    assert 0 < one["kept"] < 1, "this world must leave places empty for the test to mean anything"
    assert more["kept"] > one["kept"]
    assert more["episodes"] % (G * K) == 0
    assert more["episodes"] > one["episodes"] == G * K
    assert more["reward"] == one["reward"]


def test_where_all_fail_nothing_counts():
    still = {"gain": jnp.float32(0.0), "noise": jnp.float32(1e-6)}
    out = groups(rounds=2)(still, 0)
    assert out.numbers["kept"] == 0
    assert not np.any(out.experience.mask)
    assert out.experience.drawn.shape[0] == G * K * PLANS


def test_training_worlds_are_never_those_of_evaluations():
    seeds = np.concatenate(
        [training_seeds(0, i, t, a, 50) for i in range(3) for t in (0, 1) for a in (0, 1)]
    )
    assert seeds.dtype == np.int32
    assert seeds.min() >= EVALUATION_SEEDS
    assert len(np.unique(seeds)) == len(seeds)
