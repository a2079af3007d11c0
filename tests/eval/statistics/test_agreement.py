"""Agreement of two domains: SciPy's correlations, MMRV by hand, and what does not change it."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from wamjax.eval.statistics import agreement, calibration, mmrv, pearson, spearman


def rates(*values: float) -> np.ndarray:
    return np.array(values, float)


# Steps of a tenth: ties happen.
PAIRS = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=3, max_size=9)


@settings(deadline=None)
@given(PAIRS)
def test_correlations_and_the_line_equal_scipys(pairs):
    s, r = np.array(pairs).T / 10
    if len(set(s)) == 1:
        assert math.isnan(pearson(s, r))
        assert math.isnan(calibration(simulated=s, real=r)[0])
        return
    line = scipy.stats.linregress(s, r)
    slope, intercept = calibration(simulated=s, real=r)
    np.testing.assert_allclose([slope, intercept], [line.slope, line.intercept], atol=1e-9)
    if len(set(r)) == 1:
        assert math.isnan(spearman(s, r))
        return
    assert float(pearson(s, r)) == pytest.approx(scipy.stats.pearsonr(s, r).statistic, abs=1e-9)
    assert float(spearman(s, r)) == pytest.approx(scipy.stats.spearmanr(s, r).statistic, abs=1e-9)


def test_many_sets_at_once_are_each_alone():
    s, r = np.random.default_rng(0).random((2, 5, 6))
    for measure in (pearson, spearman, lambda s, r: mmrv(simulated=s, real=r)):
        np.testing.assert_allclose(measure(s, r), [measure(a, b) for a, b in zip(s, r)])


def test_mmrv_by_hand():
    # Simulation: a < b < c < d. Reality puts c below a and b, and d above all.
    simulated, real = rates(0.1, 0.2, 0.5, 0.9), rates(0.4, 0.6, 0.3, 0.8)
    # a: |.4 - .3|; b: |.6 - .3|; c: the larger of the two; d: none.
    assert mmrv(simulated=simulated, real=real) == pytest.approx((0.1 + 0.3 + 0.3 + 0.0) / 4)
    # The other way round the gaps are simulated ones: a .4, b .3, c .4.
    assert mmrv(simulated=real, real=simulated) == pytest.approx((0.4 + 0.3 + 0.4 + 0.0) / 4)


def test_mmrv_of_ties():
    # Only simulation calls them equal: the worse policy is charged, the better is not.
    assert mmrv(simulated=rates(0.5, 0.5), real=rates(0.2, 0.6)) == pytest.approx(0.2)
    # The first is charged .4 for the second, the second .1 for the third and the third as well.
    found = mmrv(simulated=rates(0.5, 0.5, 0.9), real=rates(0.2, 0.6, 0.5))
    assert found == pytest.approx((0.4 + 0.1 + 0.1) / 3)
    # Only reality calls them equal: there is no gap to be wrong by.
    assert mmrv(simulated=rates(0.2, 0.6), real=rates(0.5, 0.5)) == 0.0
    assert mmrv(simulated=rates(0.3, 0.3), real=rates(0.3, 0.3)) == 0.0


@settings(deadline=None)
@given(PAIRS, st.randoms(use_true_random=False))
def test_mmrv_sees_ranks_in_simulation_gaps_in_reality_and_no_names(pairs, random):
    s, r = np.array(pairs).T / 10
    found = float(mmrv(simulated=s, real=r))
    assert 0.0 <= found <= r.max() - r.min() + 1e-12
    order = list(range(len(pairs)))
    random.shuffle(order)
    assert float(mmrv(simulated=s[order], real=r[order])) == pytest.approx(found)
    assert float(mmrv(simulated=s**3 + 2, real=r)) == pytest.approx(found)
    assert float(mmrv(simulated=s, real=1 + r / 2)) == pytest.approx(found / 2)
    assert float(mmrv(simulated=r**2, real=r)) == 0.0


def domains(rng, policies, worlds, slope=1.0):
    level = np.linspace(0.2, 0.9, policies)[:, None]
    hard = rng.random(worlds)
    return hard < level, hard < slope * level


def test_domains_that_are_the_same_agree_wholly():
    simulated, _ = domains(np.random.default_rng(1), 5, 200)
    found = agreement(
        simulated=simulated, real=simulated, shared_worlds=True, resample_policies=False
    )
    for name in ("pearson", "spearman", "slope"):
        one = getattr(found, name)
        np.testing.assert_allclose([one.value, one.low, one.high], 1.0)
    for name in ("mmrv", "gap", "intercept"):
        one = getattr(found, name)
        np.testing.assert_allclose([one.value, one.low, one.high], 0.0, atol=1e-12)


def test_shared_worlds_tell_more_than_worlds_of_their_own():
    simulated, real = domains(np.random.default_rng(2), 5, 200, slope=0.9)

    def width(shared):
        found = agreement(
            simulated=simulated, real=real, shared_worlds=shared, resample_policies=False
        )
        assert found.gap.low < found.gap.value < found.gap.high
        return found.gap.high - found.gap.low

    assert width(True) < 0.6 * width(False)


@pytest.mark.parametrize("resample_policies", [False, True])
def test_intervals_of_the_gap_cover(resample_policies):
    rng = np.random.default_rng(3)
    hits, runs, P, E = 0, 200, 12, 80
    for _ in range(runs):
        level, loss = rng.uniform(0.3, 0.9, (P, 1)), rng.uniform(0.0, 0.2, (P, 1))
        simulated, real = rng.random((P, E)) < level, rng.random((P, E)) < level - loss
        found = agreement(
            simulated=simulated,
            real=real,
            shared_worlds=False,
            resample_policies=resample_policies,
            draws=200,
        ).gap
        truth = -0.1 if resample_policies else -loss.mean()
        hits += found.low <= truth <= found.high
    assert 0.9 < hits / runs <= 1.0


def test_constant_rates_have_no_correlation_and_equal_seeds_equal_intervals():
    simulated, real = domains(np.random.default_rng(4), 4, 60)
    settings = {"shared_worlds": True, "resample_policies": True}
    found = agreement(simulated=simulated, real=real, **settings)
    assert found == agreement(simulated=simulated, real=real, **settings)
    # Resamples of one policy four times are left out.
    assert -1.0 <= found.pearson.low <= found.pearson.high <= 1.0
    all_solved = agreement(simulated=np.ones_like(simulated), real=real, **settings)
    assert math.isnan(all_solved.pearson.value)
    assert math.isnan(all_solved.slope.low)
    assert not math.isnan(all_solved.mmrv.high)


def test_what_cannot_agree_is_refused():
    one, two = np.ones((1, 5), bool), np.ones((2, 5), bool)
    settings = {"shared_worlds": True, "resample_policies": False}
    with pytest.raises(ValueError, match="nothing to agree"):
        agreement(simulated=one, real=one, **settings)
    with pytest.raises(ValueError, match="not the same worlds"):
        agreement(simulated=two, real=two[:, :4], **settings)
