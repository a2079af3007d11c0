"""How far our networks are from the original implementations, collected into one table.

A test asks for `parity` and hands over what both gave. The rows travel with the reports, so that
`bash launch/test.sh --slow tests/pretrained tests/codec` ends with the table however many processes
there are; `--parity docs/weights.md` keeps it there, between its marks, if all tests passed.
"""

import collections
import importlib.metadata
import importlib.util
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from wamjax.core.files import write_text
from wamjax.core.runtime import device_name
from wamjax.pretrained.originals.base import far

PROPERTY = "parity"
BEGIN, END = "<!-- parity -->\n", "<!-- end parity -->\n"
PACKAGES = ("jax", "torch", "diffusers", "transformers")


class Row(NamedTuple):
    """One comparison.

    Attributes:
        family, part: of the weights: "Wan 2.1 VAE", "encode".
        seed: of weights and input.
        shape: of the input.
        difference: max |ours - truth| over the root mean square of the truth.
        tolerance: the most that it may be.
    """

    family: str
    part: str
    seed: int
    shape: tuple[int, ...]
    difference: float
    tolerance: float


@pytest.fixture
def parity(record_property: Callable[[str, Any], None]) -> Callable[..., float]:
    """compare(family, part, seed, shape, ours, truth, tolerance): asserts, and adds a row."""

    def compare(
        family: str,
        part: str,
        seed: int,
        shape: Iterable[int],
        ours: Any,
        truth: Any,
        tolerance: float,
    ) -> float:
        found = far(ours, truth)
        row = Row(family, part, seed, tuple(shape), found, tolerance)
        record_property(PROPERTY, tuple(row))
        assert found <= tolerance, row
        return found

    return compare


def rows(reports: Iterable[pytest.TestReport]) -> list[Row]:
    """Of all tests that ran."""
    return [
        Row(*value)  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
        for report in reports
        if report.when == "call"
        for key, value in report.user_properties
        if key == PROPERTY
    ]


def table(found: Iterable[Row]) -> Iterator[str]:
    """Lines: a family's part, its seeds and shapes, the largest difference and the tolerance."""
    groups: dict[tuple[str, str], list[Row]] = collections.defaultdict(list)
    for row in found:
        groups[row.family, row.part].append(row)
    yield "| family | part | seeds | shapes | max difference | tolerance |"
    yield "|---|---|---|---|---|---|"
    for (family, part), own in sorted(groups.items()):
        seeds, shapes = len({row.seed for row in own}), len({tuple(row.shape) for row in own})
        # NaN is the largest of all.
        worst = max(own, key=lambda row: (np.isnan(row.difference), row.difference))
        yield (
            f"| {family} | {part} | {seeds} | {shapes} | {worst.difference:.1e} | "
            f"{worst.tolerance:.0e} |"
        )


def between_marks(page: str, lines: Iterable[str]) -> str:
    """The page with these lines in the place of what stands between its marks.

    Raises:
        ValueError: it has not one of each mark, in this order.
    """
    before, begun, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended or BEGIN in rest or END in after:
        raise ValueError(f"the page needs {BEGIN.strip()} and {END.strip()}, once each")
    return "".join([before, BEGIN, *(f"{line}\n" for line in lines), END, after])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--parity",
        metavar="FILE",
        type=pathlib.Path,
        help="write the table of parity between the marks of this page, if all tests passed",
    )


def pytest_configure(config: pytest.Config) -> None:
    if (page := config.getoption("--parity")) is None:
        return
    try:
        between_marks(page.read_text(), ())
    except (OSError, ValueError) as error:
        raise pytest.UsageError(f"--parity {page}: {error}") from error


def _machine() -> str:
    there = [name for name in PACKAGES if importlib.util.find_spec(name)]
    told = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in there)
    return f"Device: {device_name()}; {told}."


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> Iterator[None]:
    result = yield
    found = rows(
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport)
    )
    if found:
        terminalreporter.section("parity with the original implementations")
        lines = [*table(found)]
        for line in lines:
            terminalreporter.write_line(line)
        page: pathlib.Path | None = config.getoption("--parity")
        # Of several processes each knows its own tests; the one that gathers them all writes.
        whole = not hasattr(config, "workerinput")
        if page is not None and whole and exitstatus == pytest.ExitCode.OK:
            write_text(page, between_marks(page.read_text(), [*lines, "", _machine()]))
    return result
