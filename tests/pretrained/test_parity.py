"""The table of parity tells the worst of every part, and is kept between the marks of a page."""

import pathlib

import pytest

from tests.pretrained.parity import BEGIN, END, Row, between_marks, table

pytest_plugins = ["pytester"]

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS = [
    Row("A", "encode", 0, (1, 2), 1e-6, 1e-5),
    Row("A", "encode", 1, (1, 2), 3e-6, 1e-5),
    Row("A", "decode", 0, (1, 2), float("nan"), 1e-5),
]
PAGE = f"before\n{BEGIN}old\n{END}after\n"
TESTS = """
import pytest

def test_one(parity):
    parity("A", "encode", 0, (2, 3), [1.0, 1.0], [1.0, 1.0], 1e-5)

def test_two(parity):
    parity("A", "encode", 1, (2, 3), [1.0, %s], [1.0, 1.0], 1e-5)
"""


def test_the_worst_is_told():
    assert [*table(ROWS)][2:] == [
        "| A | decode | 1 | 1 | nan | 1e-05 |",
        "| A | encode | 2 | 1 | 3.0e-06 | 1e-05 |",
    ]


def test_only_what_is_between_the_marks_changes():
    assert between_marks(PAGE, ["new", "rows"]) == f"before\n{BEGIN}new\nrows\n{END}after\n"


@pytest.mark.parametrize("page", ["", BEGIN, END, END + BEGIN, 2 * (BEGIN + END), BEGIN + 2 * END])
def test_a_page_without_its_marks_is_refused(page):
    with pytest.raises(ValueError, match="once each"):
        between_marks(page, ())


def run(pytester, second: str, *flags: str):
    pytester.makepyfile(TESTS % second)
    page = pytester.path / "page.md"
    page.write_text(PAGE)
    plugin = ("-p", "tests.pretrained.parity", "-p", "no:cacheprovider")
    pytester.syspathinsert(ROOT)
    return pytester.runpytest_inprocess(*plugin, "--parity", "page.md", *flags), page


def test_a_run_that_passed_writes_the_page(pytester):
    found, page = run(pytester, "1.000001")
    assert found.ret == pytest.ExitCode.OK
    told = page.read_text()
    assert "| A | encode | 2 | 1 | 1.0e-06 | 1e-05 |\n" in told
    assert "\nDevice: cpu" in told
    assert told.startswith(f"before\n{BEGIN}|")
    assert told.endswith(f"{END}after\n")


@pytest.mark.parametrize("flags", [(), ("-n", "2")])
def test_a_run_that_failed_prints_and_does_not_write(pytester, flags):
    found, page = run(pytester, "1.1", *flags)
    found.stdout.fnmatch_lines(["| A | encode | 2 | 1 | 1.0e-01 | 1e-05 |"])
    assert page.read_text() == PAGE


def test_another_page_is_refused_before_anything_runs(pytester):
    found, _ = run(pytester, "1.0", "--parity", "none.md")
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    found.stderr.fnmatch_lines(["*--parity none.md: *"])
