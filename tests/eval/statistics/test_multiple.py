"""Holm's correction by hand and against statsmodels."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from wamjax.eval.statistics import holm


def test_holm_by_hand():
    raw = {"b": 0.04, "a": 0.01, "d": 0.5, "c": 0.03}
    found = holm(raw)
    assert list(found) == list(raw)
    np.testing.assert_allclose([found[n] for n in "abcd"], [0.04, 0.09, 0.09, 0.5])
    assert holm({"x": 0.9, "y": 0.8}) == {"x": 1.0, "y": 1.0}


@pytest.mark.parametrize("questions", [1, 2, 7, 40])
def test_holm_equals_statsmodels(questions):
    rng = np.random.default_rng(questions)
    p_values = np.concatenate([rng.random(questions), rng.random(questions) ** 6, [0.0, 1.0, 1.0]])
    found = holm({str(place): float(p) for place, p in enumerate(p_values)})
    expected = multipletests(p_values, method="holm")[1]
    np.testing.assert_allclose(list(found.values()), expected, atol=1e-12)
