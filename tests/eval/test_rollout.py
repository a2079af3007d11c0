"""Laws of the rollout: company, padding and devices change nothing; success is latched."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.eval.point_world import HORIZON, NEEDS, POLICY, WEIGHTS, PointEnv, variants
from wamjax.core.errors import UserError
from wamjax.eval.record import record
from wamjax.eval.rollout import NEVER, plan_key, rollout
from wamjax.policy import Needs, Policy, random_policy, still_policy

ENV = PointEnv()
KEY = jax.random.key(5)
SEEDS = np.arange(20)


def compiled(policy=POLICY, weights=WEIGHTS, batch=8, devices=1, horizon=HORIZON):
    return rollout(
        policy,
        ENV,
        horizon,
        weights=weights,
        variants=variants([0]),
        batch=batch,
        devices=jax.devices()[:devices],
    )


@pytest.fixture(scope="module")
def eight():
    return compiled()


def same(one, other, exact=True):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        if exact:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def by_hand(seed):
    """The episode as a plain loop, without scan, batch or latch."""
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), variants([seed]))
    state = ENV.reset_variant(one)
    step, plan, first, diverged = 0, 0, NEVER, False
    distance = closest = float(state.metrics["distance"])
    while step < HORIZON:
        seen = ENV.observe(state)
        batch = jax.tree.map(lambda leaf: leaf[None], seen)
        actions = POLICY.act(WEIGHTS, batch, plan_key(KEY, one.seed, jnp.array(plan)))[0]
        plan += 1
        for action in actions[: POLICY.replan]:
            if step == HORIZON or diverged:
                break
            state, step = ENV.step(state, action), step + 1
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
    weights, key = jax.device_put((WEIGHTS, KEY), spread.replicated)
    assert len(spread.program(weights, chosen, key).success.sharding.device_set) == 8


def test_noise_hangs_on_key_seed_and_plan(eight):
    worlds = variants(SEEDS[:8])
    one = eight(WEIGHTS, worlds, KEY)
    assert (one.distance != eight(WEIGHTS, worlds, jax.random.key(6)).distance).any()
    keys = {
        np.asarray(jax.random.key_data(plan_key(KEY, s, p))).tobytes()
        for s in range(3)
        for p in range(3)
    }
    assert len(keys) == 9


def test_random_and_still_share_a_program_and_see_nothing():
    lower, upper = np.array([-1.0, -1.0], np.float32), np.array([1.0, 1.0], np.float32)
    random, limits = random_policy(lower, upper, chunk=4, replan=4)
    still, nothing = still_policy(width=2, gripper_dim=None, chunk=4, replan=4)
    assert random.act is still.act
    run = compiled(random, limits)
    assert "exponential" not in run.program.as_text()  # the point world's drawing
    moved = run(limits, variants(SEEDS[:8]), KEY)
    rests = run(nothing, variants(SEEDS[:8]), KEY)
    start = [float(ENV.reset_variant(v).metrics["distance"]) for v in map(_one, SEEDS[:8])]
    np.testing.assert_allclose(rests.distance, start, atol=1e-6)
    assert (np.abs(moved.distance - start) > 0.01).any()


def test_the_film_shows_the_episode_of_the_rollout(eight):
    seeds = [0, 1, 2, 3]
    film = record(POLICY, ENV, HORIZON, variants=variants([0]), worlds=4, size=16)(
        WEIGHTS, variants(seeds), KEY
    )
    same(film.outcome, eight(WEIGHTS, variants(seeds), KEY), exact=False)
    assert film.frames.shape == (4, HORIZON + 1, 8, 8, 3)
    assert film.pictures.shape == (4, 7, 16, 16, 3)
    assert film.actions.shape == (4, HORIZON, 2)
    assert film.imagined.shape == (4, 6, 2, 8, 8, 3)
    for place, seed in enumerate(seeds):
        state = ENV.reset_variant(_one(seed))
        for step in range(HORIZON + 1):
            expected = np.asarray(ENV.render(state, "primary", 8), np.int32)
            assert np.abs(film.frames[place, step].astype(np.int32) - expected).max() <= 1
            if step < HORIZON:
                state = ENV.step(state, film.actions[place, step])
        # The policy of the point world expects the negative of what it sees.
        np.testing.assert_array_equal(film.imagined[place, 0, 1], 255 - film.frames[place, 0])


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
        ({"history": 2}, "2 frames"),
    ):
        with pytest.raises(UserError, match=word):
            compiled(needing(**change))
    with pytest.raises(UserError, match="replan"):
        Policy(name="odd", chunk=4, replan=5, act=POLICY.act)


def _one(seed):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), variants([seed]))
