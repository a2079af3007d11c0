"""Laws of the rollout: company, padding and devices change nothing; success is latched."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.eval.point_world import (
    HORIZON,
    NEEDS,
    POLICY,
    WEIGHTS,
    PointEnv,
    noisy_act,
    variants,
)
from wamjax.core.errors import UserError
from wamjax.eval.outcome import NEVER
from wamjax.eval.rollout import plan_key, rollout
from wamjax.policy import Needs, Policy, random_policy, still_policy

ENV = PointEnv()
START, STEP = jax.jit(ENV.reset_variant), jax.jit(ENV.step)
OBSERVE, ACT = jax.jit(ENV.observe), jax.jit(POLICY.act)
KEY = jax.random.key(5)
SEEDS = np.arange(20)


def compiled(policy=POLICY, weights=WEIGHTS, batch=8, devices=1, **options):
    return rollout(
        policy,
        ENV,
        HORIZON,
        weights=weights,
        variants=variants([0]),
        batch=batch,
        devices=jax.devices()[:devices],
        **options,
    )


@pytest.fixture(scope="module")
def eight():
    return compiled()


def same(first, other, exact=True):
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True):
        if exact:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def by_hand(seed):
    """The episode as a plain loop, without scan, batch or latch."""
    variant = one(seed)
    state = START(variant)
    step, plan, first, diverged = 0, 0, NEVER, False
    distance = closest = float(state.metrics["distance"])
    while step < HORIZON:
        seen = OBSERVE(state)
        batch = jax.tree.map(lambda leaf: leaf[None], seen)
        actions = ACT(WEIGHTS, batch, plan_key(KEY, variant.seed, jnp.array(plan)))[0]
        plan += 1
        for action in actions[: POLICY.replan]:
            if step == HORIZON or diverged:
                break
            state, step = STEP(state, action), step + 1
            if bool(state.metrics["diverged"]):
                diverged = True
                break
            distance = float(state.metrics["distance"])
            closest = min(closest, distance)
            if first == NEVER and bool(state.metrics["success"]):
                first = step
        if diverged:
            break
    return first != NEVER, first, distance, closest, diverged


def test_the_scan_equals_a_plain_loop(eight):
    outcome = eight(WEIGHTS, variants(SEEDS[:11]), KEY)
    for place, seed in enumerate(SEEDS[:11]):
        success, first, distance, closest, diverged = by_hand(seed)
        assert outcome.success[place] == success
        assert outcome.steps_to_success[place] == first
        assert outcome.diverged[place] == diverged
        np.testing.assert_allclose(outcome.distance[place], distance, atol=1e-5)
        np.testing.assert_allclose(outcome.closest[place], closest, atol=1e-5)
    # The sample has every kind of episode, or the loop proves nothing.
    assert outcome.success.any()
    assert not outcome.success.all()
    assert outcome.diverged.any()


def test_what_is_tracked_is_what_the_states_say():
    tracked = compiled(track=lambda env, state: state.at)
    outcome = tracked(WEIGHTS, variants(SEEDS), KEY)
    assert outcome.path.shape == (20, HORIZON + 1, 2)
    _, trace = tracked.trace(WEIGHTS, variants(SEEDS), KEY)
    np.testing.assert_array_equal(outcome.path, trace.states.at)


def test_a_solved_world_stays_solved_when_the_point_flies_on(eight):
    fast = {"gain": jnp.float32(1.0), "noise": jnp.float32(0.0)}
    outcome = eight(fast, variants([0, 1, 2, 4]), KEY)
    assert outcome.success.any()
    assert (outcome.steps_to_success[outcome.success] >= 1).all()


def test_order_company_and_padding_change_nothing(eight):
    whole = eight(WEIGHTS, variants(SEEDS), KEY)
    assert whole.success.shape == (20,)
    shuffled = np.random.default_rng(0).permutation(SEEDS)
    back = np.argsort(shuffled)
    other = eight(WEIGHTS, variants(shuffled), KEY)
    same(whole, jax.tree.map(lambda leaf: leaf[back], other))
    alone = eight(WEIGHTS, variants([13]), KEY)
    same(alone, jax.tree.map(lambda leaf: leaf[13:14], whole))


def test_another_batch_size_and_eight_devices_give_the_same_worlds(eight):
    whole = eight(WEIGHTS, variants(SEEDS), KEY)
    spread = compiled(batch=9, devices=8)
    assert spread.batch == 16
    same(whole, spread(WEIGHTS, variants(SEEDS), KEY), exact=False)


def test_the_worlds_are_really_spread_over_the_devices():
    spread = compiled(batch=8, devices=8)
    chosen = jax.device_put(variants(np.arange(8)), spread.worlds)
    inputs = jax.device_put((np.bool_(False), *spread.spare), spread.replicated)
    outcome, _ = spread.program(*inputs, chosen, jax.device_put(KEY, spread.replicated))
    assert len(outcome.success.sharding.device_set) == 8


def test_noise_hangs_on_key_seed_and_plan(eight):
    worlds = variants(SEEDS[:8])
    once = eight(WEIGHTS, worlds, KEY)
    assert (once.distance != eight(WEIGHTS, worlds, jax.random.key(6)).distance).any()
    keys = {
        np.asarray(jax.random.key_data(plan_key(KEY, s, p))).tobytes()
        for s in range(3)
        for p in range(3)
    }
    assert len(keys) == 9


LIMIT = np.ones(2, np.float32)


def test_blind_policies_see_nothing_and_play_beside_a_seeing_one_as_alone(eight):
    random, limits = random_policy(-LIMIT, LIMIT, chunk=4, replan=3)
    still, nothing = still_policy(width=2, gripper_dim=None, chunk=4, replan=3)
    assert random.act is still.act
    alone = compiled(random, limits, keep=False)
    assert "exponential" not in alone.program.as_text()  # the point world's drawing
    beside = compiled(beside=(random, limits))
    worlds = variants(SEEDS[:8])
    for weights in (limits, nothing):
        same(alone(weights, worlds, KEY), beside(weights, worlds, KEY, blind=True), exact=False)
    same(eight(WEIGHTS, worlds, KEY), beside(WEIGHTS, worlds, KEY), exact=False)
    assert not beside.trace(limits, worlds, KEY, blind=True)[1].seen.frames.any()
    rests, moved = alone(nothing, worlds, KEY), alone(limits, worlds, KEY)
    start = [float(START(v).metrics["distance"]) for v in map(one, SEEDS[:8])]
    np.testing.assert_allclose(rests.distance, start, atol=1e-6)
    assert (np.abs(moved.distance - start) > 0.01).any()


def test_beside_a_policy_only_a_blind_one_with_its_interval_may_play():
    for other in (POLICY, random_policy(-LIMIT, LIMIT, chunk=4, replan=2)[0]):
        with pytest.raises(UserError, match="cannot share"):
            compiled(beside=(other, WEIGHTS))


def test_the_trace_leads_from_the_start_to_the_outcome(eight):
    worlds = variants(SEEDS[:11])
    outcome, trace = eight.trace(WEIGHTS, worlds, KEY)
    same(outcome, eight(WEIGHTS, worlds, KEY))
    assert trace.actions.shape == (11, HORIZON, 2)
    assert trace.seen.frames.shape == (11, 6, 1, 1, 8, 8, 3)
    assert trace.states.at.shape == (11, HORIZON + 1, 2)
    for place, seed in enumerate(SEEDS[:4]):
        state = START(one(seed))
        for step in range(HORIZON):
            np.testing.assert_allclose(trace.states.at[place, step], state.at, atol=1e-5)
            if step % POLICY.replan == 0:
                seen = trace.seen.frames[place, step // POLICY.replan, 0, 0].astype(np.int32)
                expected = np.asarray(ENV.render(state, "primary", 8), np.int32)
                assert np.abs(seen - expected).max() <= 1
            state = STEP(state, trace.actions[place, step])
    assert compiled(keep=False).trace(WEIGHTS, worlds, KEY)[1] is None


def test_what_does_not_fit_is_refused_before_compilation():
    def needing(**change):
        values = {name: getattr(NEEDS, name) for name in NEEDS.__dataclass_fields__}
        needs = Needs(**{**values, **change})
        return Policy(name="odd", chunk=4, replan=4, act=POLICY.act, needs=needs)

    for change, word in (
        ({"cameras": ("overhead",)}, "overhead"),
        ({"image_size": 16}, "16 pixel rows"),
        ({"proprio": 7}, "7 proprio"),
        ({"text": 64}, "64 bytes"),
    ):
        with pytest.raises(UserError, match=word):
            compiled(needing(**change))
    with pytest.raises(UserError, match="replan"):
        Policy(name="odd", chunk=4, replan=5, act=POLICY.act)


def one(seed):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), variants([seed]))


def dated(weights, observation, key):
    """A little noise on an action that hangs on all that is shown."""
    shown = observation.frames.astype(jnp.float32).mean((1, 3, 4, 5)) / 255
    pull = jnp.where(observation.frame_mask, shown, 0.5).mean(1)
    return noisy_act(weights, observation, key) + pull[:, None, None]


@pytest.mark.parametrize(("history", "stride"), [(3, 2), (2, 7), (4, 3)])
def test_a_policy_with_a_history_is_shown_what_it_saw(history, stride):
    """Frame by frame what each past state looks like; before the start the first one, masked."""
    needs = dataclasses.replace(NEEDS, history=history, history_stride=stride)
    policy = Policy(name="dated", chunk=4, replan=3, act=dated, needs=needs)
    outcome, trace = compiled(policy=policy, batch=4).trace(WEIGHTS, variants(SEEDS[:4]), KEY)
    alone = compiled(policy=policy, batch=1)(WEIGHTS, variants(SEEDS[2:3]), KEY)
    same(jax.tree.map(lambda leaf: leaf[2:3], outcome), alone, exact=False)
    seen = trace.seen
    looked = np.asarray(jax.jit(jax.vmap(jax.vmap(ENV.observe)))(trace.states).frames)
    assert seen.frames.shape[1:4] == (6, 1, history)
    for plan in range(6):
        for place, back in enumerate(range(history - 1, -1, -1)):
            tick = 3 * plan - stride * back
            np.testing.assert_array_equal(seen.frame_mask[:, plan, place], tick >= 0)
            expected = looked[:, max(tick, 0), 1, 0]
            np.testing.assert_array_equal(seen.frames[:, plan, 0, place], expected)
        np.testing.assert_array_equal(seen.proprio[:, plan, :2], trace.states.at[:, 3 * plan])
