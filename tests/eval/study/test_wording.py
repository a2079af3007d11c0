"""The verdict in words says what the tests say, and no more."""

import copy
import re

import pytest

from tests.eval.study import made_up
from wamjax.eval.study import Data, wording
from wamjax.eval.wording import NBSP
from wamjax.eval.worlds import CLEAN

VERDICTS = ("better", "worse", "no difference shown")


@pytest.fixture(scope="module")
def results():
    return made_up.results(made_up.study())


def said(results, clean, axes):
    """With these verdicts for the conditions that have a reference, in order."""
    told = copy.deepcopy(results)
    rows = [row for row in told["conditions"].values() if row["against"]]
    for row, one, other in zip(rows, clean, axes, strict=True):
        row["against"]["cells"][CLEAN]["verdict"] = VERDICTS[one]
        row["against"]["axes_together"]["verdict"] = VERDICTS[other]
    return told


def test_a_tie_is_called_a_tie_and_tells_how_wide_the_intervals_are(results):
    tie = said(results, (2, 2, 2), (2, 2, 2))
    assert wording.headlines(tie) == [
        "The arms tie. On clean worlds and the seven axes nothing is shown to be better or worse "
        "than direct."
    ]
    drawn = [
        row["against"]["cells"][CLEAN]["with_seeds"]
        for row in tie["conditions"].values()
        if row["against"]
    ]
    note = wording.findings(tie)[0].note
    assert f"from {wording.signed(min(d['low'] for d in drawn))} to" in note
    assert f"to {wording.signed(max(d['high'] for d in drawn))} points with 120 pairs" in note


def test_wins_and_losses_are_told_apart_by_where(results):
    assert wording.headlines(said(results, (1, 0, 0), (2, 0, 2))) == [
        "Better than direct: joint own on clean worlds and the seven axes; joint few on clean "
        "worlds. Worse than direct: cotrain on clean worlds."
    ]
    assert wording.headlines(said(results, (2, 2, 0), (2, 2, 1))) == [
        "Better than direct: joint few on clean worlds. Worse than direct: joint few on the seven "
        "axes. No difference shown: cotrain and joint own."
    ]


def test_of_two_that_tie_both_are_named():
    study = made_up.study(arms=(made_up.arm("direct"), made_up.arm("cotrain")))
    same = made_up.results(study, {"direct": 0.5, "cotrain": 0.5})
    assert wording.headlines(said(same, (2,), (2,)))[0].startswith("Cotrain and direct tie.")
    alone = made_up.results(made_up.study(arms=(made_up.arm("direct"),)))
    assert wording.headlines(alone) == [
        "Nothing is compared here: every condition is its own reference."
    ]
    assert wording.findings(alone) == []


def test_every_finding_has_rates_difference_interval_and_p(results):
    rows = results["conditions"]
    found = wording.findings(results)
    assert [finding.where for finding in found] == ["Clean worlds", "The seven axes"]
    for finding, what in zip(found, ("clean", "axes")):
        for line, row in zip(finding.lines, [r for r in rows.values() if r["against"]]):
            against = row["against"]
            cell = against["cells"][CLEAN] if what == "clean" else against["axes_together"]
            assert f"{wording.signed(cell['value'])} points" in line
            assert f"95{NBSP}% interval {wording.span(cell)}" in line
            assert cell["verdict"] in line
            mine = row["cells"][CLEAN]["rate"] if what == "clean" else row["axes_together"]["value"]
            assert f"{100 * mine:.0f}{NBSP}% against" in line


def test_contexts_are_told_apart_and_equal_answers_told_once():
    two = (Data(name="clean", clean=8), Data(name="randomised", clean=0, randomised=8))
    both = made_up.results(made_up.study(data=two))
    same = wording.headlines(said(both, (2, 2, 2) * 2, (2, 2, 2) * 2))
    assert len(same) == 1
    assert same[0].startswith("Trained on clean data; trained on randomised data: the arms tie.")
    apart = said(both, (0, 2, 2, 2, 2, 2), (2, 2, 2, 2, 2, 2))
    assert [line.split(":")[0] for line in wording.headlines(apart)] == [
        "Trained on clean data",
        "Trained on randomised data",
    ]


def test_what_one_seed_and_clean_worlds_alone_cannot_say():
    one = made_up.results(made_up.study(seeds=(0,)), worlds={CLEAN: 30})
    assert wording.headlines(one)[-1] == wording.ONE_SEED
    assert wording.extent(one).startswith("One training seed, two tasks (reach and push), 60 clean")
    for text in (*wording.headlines(one), wording.meaning(one), wording.legend(one)):
        assert not re.search(r"\baxes\b|\bMeans\b", text)


def test_numbers_as_they_are_read():
    assert wording.signed(0.2583) == "+25.8"
    assert wording.signed(-0.031) == "−3.1"
    assert wording.signed(-0.0001) == "0.0"
    drawn = {"low": -0.01, "high": 0.025, "value": 0.007}
    assert wording.span({"with_seeds": drawn, "low": 0.0, "high": 0.1}) == "−1.0 to +2.5"
    assert wording.chance(3e-5) == f"p{NBSP}<{NBSP}0.0001"
    assert wording.chance(0.0416) == f"p{NBSP}={NBSP}0.042"
    assert wording.chance(1.0) == f"p{NBSP}={NBSP}1"


def test_what_is_not_matched_is_said_and_not_claimed(results):
    assert "the same windows" in wording.matched(results)
    apart = results | {"unmatched": {"windows": ["joint has data.seed 1, direct has 0"]}}
    assert "windows" not in wording.matched(apart)
    assert wording.not_matched(apart) == [
        (wording.UNMATCHED["windows"], ["joint has data.seed 1, direct has 0."])
    ]
    none = {"windows": ["a"], "parameters": ["b"], "budget": ["c"]}
    assert wording.matched(results | {"unmatched": none}) == "Arms are not matched."
