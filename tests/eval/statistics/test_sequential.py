"""The sequential comparison: its error, its power, what it saves, and that parts are the whole."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from wamjax.eval.statistics import Sequential, mcnemar
from wamjax.eval.statistics.sequential import _Walk, race

# Success rate of both policies, and the correlation of their successes in a world.
NULLS = [(0.5, 0.0), (0.5, 0.6), (0.8, 0.0), (0.8, 0.6), (0.95, 0.3), (0.3, -0.3), (0.05, 0.5)]
RUNS, MOST = 10_000, 100


def signs(rng, wins, losses, shape):
    draw = rng.random(shape)
    return np.where(draw < wins, 1, np.where(draw < wins + losses, -1, 0))


def policies(steps):
    """Outcomes that differ as told."""
    return steps > 0, steps < 0


@pytest.mark.parametrize(("rate", "correlation"), NULLS)
def test_equal_policies_are_called_different_in_at_most_five_per_cent(rate, correlation):
    differ = rate * (1 - rate) * (1 - correlation)
    steps = signs(np.random.default_rng(0), differ, differ, (RUNS, MOST))
    decided, _, p = race(Sequential(most=MOST), steps)
    error = (decided != 0).mean()
    print(f"rate {rate}, correlation {correlation}: error {error:.4f} in {RUNS:,} nulls")
    assert error <= 0.05
    assert abs((decided > 0).mean() - error / 2) < 4 * np.sqrt(error / 4 / RUNS)
    for level in (0.01, 0.05, 0.2, 0.5):
        # p may be as small as a level in that share of nulls; four standard errors above it.
        assert (p <= level).mean() <= level + 4 * np.sqrt(level * (1 - level) / RUNS)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
@pytest.mark.parametrize("spending", [1.0, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_exact_error_is_that_of_all_sign_patterns(alpha, spending, seed):
    """Every one of the 2^d equally likely walks through a pattern of discordant worlds."""
    test = Sequential(most=18, alpha=alpha, spending=spending)
    pattern = np.random.default_rng(seed).random(18) < 0.6
    walks = np.array(list(itertools.product([-1, 1], repeat=int(pattern.sum()))))
    steps = np.zeros((len(walks), 18), int)
    steps[:, pattern] = walks
    decided, _, p = race(test, steps)
    error = (decided != 0).mean()
    assert error <= alpha
    walk = _Walk(1)
    for place, discordant in enumerate(pattern):
        walk.look(np.array([discordant]), np.array([0]), test.allowed(place + 1))
    assert walk.spent[0] == pytest.approx(error, abs=1e-12)
    # The p-value of the stage-wise ordering is exact, too: P(p <= x) = x for every x it takes.
    for level in np.unique(p.round(12)):
        assert (p <= level + 1e-9).mean() == pytest.approx(level, abs=1e-9)


def test_power_and_saving_at_ten_points_beside_mcnemar_of_all_worlds():
    """80 % against 90 % in 200 worlds, a fifth of which only one policy solves."""
    runs, most = 2000, 200
    steps = signs(np.random.default_rng(1), 0.15, 0.05, (runs, most))
    wins, losses = (steps > 0).sum(1), (steps < 0).sum(1)
    fixed = 2 * scipy.stats.binom.cdf(np.minimum(wins, losses), wins + losses, 0.5) <= 0.05
    decided, worlds, _ = race(Sequential(most=most), steps)
    power, saved = (decided > 0).mean(), 1 - worlds.mean() / most
    print(f"power {power:.3f} (McNemar {fixed.mean():.3f}), {100 * saved:.0f} % of worlds saved")
    assert power > fixed.mean() - 0.02
    assert saved > 0.3
    assert (decided < 0).mean() < 0.001


def test_the_last_bound_is_never_above_what_is_left():
    """Deciding needs no more evidence than McNemar at all worlds with what was not yet spent."""
    rng = np.random.default_rng(2)
    for _ in range(50):
        first, second = policies(signs(rng, 0.2, 0.1, 60))
        verdict = Sequential(most=60).decide(first, second)
        if verdict.better == "undecided":
            assert verdict.p > 0.05
            assert verdict.p >= mcnemar(first, second) - 1e-12
        else:
            assert verdict.p <= 0.05 * (verdict.worlds / 60) ** 2


# From policies that are equal to one that nearly always wins, so that many are decided.
STEPS = st.builds(
    lambda seed, wins, losses, worlds: signs(np.random.default_rng(seed), wins, losses, worlds),
    st.integers(0, 2**16),
    st.floats(0.0, 0.6),
    st.floats(0.0, 0.4),
    st.integers(1, 60),
)


@settings(deadline=None)
@given(STEPS, st.lists(st.integers(0, 60), max_size=4))
def test_results_in_parts_give_the_verdict_of_the_whole(steps, cuts):
    first, second = policies(steps)
    test = Sequential(most=60)
    whole = test.decide(first, second)
    stream = test.start()
    for part in np.split(np.arange(len(steps)), sorted(cuts)):
        stream.update(first[part], second[part])
    assert stream.verdict == whole
    decided, worlds, p = race(test, steps[None])
    better = {1: "first", 0: "undecided", -1: "second"}[int(np.sign(decided[0]))]
    assert (better, worlds[0], p[0]) == (whole.better, whole.worlds, whole.p)


@settings(deadline=None)
@given(STEPS)
def test_the_policies_change_places_with_the_verdict(steps):
    first, second = policies(steps)
    one = Sequential(most=60).decide(first, second)
    other = Sequential(most=60).decide(second, first)
    swapped = {"first": "second", "second": "first", "undecided": "undecided"}
    assert other.better == swapped[one.better]
    assert (other.p, other.worlds, other.wins) == (one.p, one.worlds, one.losses)


def test_a_policy_that_always_wins_is_found_soon_and_worlds_after_it_do_not_count():
    win = np.ones(100, bool)
    test = Sequential(most=100)
    verdict = test.decide(win, ~win)
    # The first d with 2^(1 - d) <= 0.05 (d / 100)^2, and the bounds before it spent nothing.
    needed = next(d for d in range(1, 100) if 2.0 ** (1 - d) <= test.allowed(d))
    assert (verdict.better, verdict.worlds, verdict.wins, verdict.losses) == (
        "first",
        needed,
        needed,
        0,
    )
    assert verdict.p == 2.0 ** (1 - needed)
    assert verdict.over
    stream = test.start()
    assert test.decide(~win, win).better == "second"
    stream.update(win[:60], ~win[:60])
    assert stream.update(~win, win) == verdict


def test_policies_that_agree_in_every_world_stay_undecided():
    same = np.ones(30, bool)
    stream = Sequential(most=30).start()
    assert stream.verdict.p == 1.0
    verdict = stream.update(same, same)
    assert (verdict.better, verdict.worlds, verdict.p, verdict.over) == ("undecided", 30, 1.0, True)
    with pytest.raises(ValueError, match="ends at 30 worlds"):
        stream.update(same[:1], same[:1])


def test_operating_tells_how_a_test_behaves():
    test = Sequential(most=80)
    never = test.operating(wins=0.0, losses=0.0, runs=10)
    assert (never.first, never.second, never.worlds) == (0.0, 0.0, 80.0)
    found = test.operating(wins=0.3, losses=0.05, runs=500)
    assert found == test.operating(wins=0.3, losses=0.05, runs=500)
    assert found.first > 0.9
    assert found.worlds < 60
    with pytest.raises(ValueError, match="chances"):
        test.operating(wins=0.7, losses=0.4)


@pytest.mark.parametrize(
    "bad",
    [
        {"most": 0},
        {"most": 9, "alpha": 0.0},
        {"most": 9, "alpha": 0.5},
        {"most": 9, "spending": 0.0},
    ],
)
def test_settings_that_make_no_test_are_refused(bad):
    with pytest.raises(ValueError, match=r"world|alpha|spending"):
        Sequential(**bad)
