"""The table says what the tests that ran have shown, and no more."""

import pytest

from tests import conformance_table
from tests.conformance_table import ending, parts, table

pytest_plugins = ["pytester"]

ROWS = {
    "first": {"d": {"velocity"}, "e": {"euler", "heun"}, "f": {"beta"}, "j": {"wan"}},
    "second": {"d": set(), "e": set(), "f": set(), "j": set()},
}
ONE_OF_EACH = """
import pytest

law = pytest.mark.law


@law("a")
@pytest.mark.parametrize(("name", "form"), [("uwm", None), ("uwm", "joint")])
def test_good(name, form):
    pass


@law("b", "uwm policy")
def test_bad():
    assert False


@law("c", "uwm policy")
@pytest.mark.slow
@pytest.mark.skip(reason="slow")
def test_slow():
    pass


@pytest.fixture
def broken():
    raise RuntimeError


@law("h", "uwm policy")
def test_never_begun(broken):
    pass


def test_without_a_law():
    pass
"""


def cells(lines: list[str], name: str) -> list[str]:
    return next(line for line in lines if line.startswith(name))[len(name) :].split()


@pytest.mark.parametrize(
    ("found", "cell"),
    [
        ([], "-"),
        (["pass", "pass"], "pass"),
        (["pass", "slow"], "part"),
        (["slow"], "slow"),
        (["skip", "slow"], "skip"),
        (["pass", "FAIL", "slow"], "FAIL"),
    ],
)
def test_a_cell_is_no_better_than_its_tests(found, cell):
    assert ending(found) == cell


def test_a_shared_law_holds_where_every_part_has_been_shown():
    seen = [("e", "euler", "pass"), ("d", "velocity", "pass"), ("f", "beta", "FAIL")]
    _, first, second = table([*seen, ("a", "second", "pass")], ROWS)
    assert first.split() == ["first", *"---", "pass", "-", "FAIL", *"----"]
    # Nothing is said of parts that a recipe does not have.
    assert second.split() == ["second", "pass", *"-----"]
    _, first, _ = table([*seen, ("e", "heun", "slow")], ROWS)
    assert first.split()[5] == "slow"


def test_no_outcome_is_lost():
    lines = table([("a", "nobody", "FAIL")], ROWS)
    assert lines[-1].split()[:2] == ["nobody", "FAIL"]


def test_a_recipe_is_made_of_what_it_says():
    assert parts("octo", None)["e"] == {"ddpm"}
    assert parts("openvla_oft", None)["e"] == set()
    assert parts("x_vla", None)["d"] == {"clean"}
    assert parts("dreamzero", "flash")["f"] == {"beta", "uniform"}
    assert parts("fast_wam", "idm")["j"] == {"wan"}
    assert parts("pi0", None)["j"] == set()


def test_the_table_stands_at_the_end_of_a_run(pytester):
    pytester.makepyfile(ONE_OF_EACH)
    pytester.makeini("[pytest]\nmarkers = slow: slow")
    run = pytester.runpytest_inprocess(plugins=[conformance_table])
    lines = run.outlines
    assert cells(lines, "uwm policy")[:3] == ["pass", "FAIL", "slow"]
    assert cells(lines, "uwm policy").count("FAIL") == 2
    assert cells(lines, "uwm joint")[:3] == ["pass", "-", "-"]
    assert "1 error" in lines[-1]
    heading = next(i for i, line in enumerate(lines) if "conformance, recipe by recipe" in line)
    assert heading > next(i for i, line in enumerate(lines) if "short test summary" in line)


def test_other_tests_are_not_followed_by_a_table(pytester):
    pytester.makepyfile("def test_plain():\n    pass")
    run = pytester.runpytest_inprocess(plugins=[conformance_table])
    assert not any("conformance" in line for line in run.outlines)
