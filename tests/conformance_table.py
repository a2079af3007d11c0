"""The table of conformance: which law holds for which recipe, out of the tests that ran.

    a  visibility is the published rule      f  noise laws have their quantiles
    b  what is hidden changes nothing        g  actions come back, masked ones as zero
    c  a cache changes nothing               h  every input and every weight has a gradient
    d  predictions are equivalent            i  the tiny form learns from demonstrations
    e  solvers have a closed form and order  j  the video block is Wan's

A test says what it shows by `@pytest.mark.law(letter, *names)`. Laws a, b, c, g, h and i are shown
recipe by recipe; without names a test is about the recipe and form that it is parametrised by. The
others are laws of shared parts: the names are those of parts (a prediction, a solver, a noise law,
a block), and they count for every recipe that is made of them.
"""

import collections
import dataclasses
from collections.abc import Generator, Iterable, Mapping, Sequence

import pytest

LAWS = {
    "a": "visibility is the published rule",
    "b": "what is hidden changes nothing",
    "c": "a cache changes nothing",
    "d": "predictions are equivalent",
    "e": "solvers have a closed form and their order",
    "f": "noise laws have their quantiles",
    "g": "actions come back, masked ones as zero",
    "h": "every input and every weight has a gradient",
    "i": "the tiny form learns from demonstrations",
    "j": "the video block is Wan's",
}
SHARED = "defj"
# Of several parts, the first that is found here is what holds.
ORDER = ("FAIL", "-", "skip", "slow", "part", "pass")
PROPERTY = "law"
# (letter, what the test is about, how it ended)
Outcome = tuple[str, str, str]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "law(letter, *names): shows a law, see conformance_table")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Says in each report, which travels between processes, what the test shows."""
    for item in items:
        for mark in item.iter_markers("law"):
            letter, *names = mark.args
            for name in names or [subject(item)]:
                item.user_properties.append((PROPERTY, (letter, name)))


def subject(item: pytest.Item) -> str:
    """The recipe and form that a test is parametrised by."""
    values = item.callspec.params  # pyright: ignore[reportAttributeAccessIssue]
    return row(values["name"], values.get("form"))


def row(name: str, form: str | None) -> str:
    """What a row is called; the usual form where none is named."""
    from wamjax.recipes.registry import RECIPES

    forms = RECIPES[name].forms
    chosen = form or (forms[0] if forms else None)
    return name if chosen is None else f"{name} {chosen}"


def parts(name: str, form: str | None) -> dict[str, set[str]]:
    """The shared parts that a recipe is made of, by law; empty where it has none of the kind."""
    from wamjax.recipes.backbones import wan
    from wamjax.recipes.registry import RECIPES

    build = RECIPES[name].build
    blueprint = build("tiny") if form is None else build("tiny", form)
    noisy = {s.stream for s in blueprint.training.segments if s.copy == "noisy"}
    said = {**dict.fromkeys(noisy, "velocity"), **dict(blueprint.walk.predictions)}
    laws = blueprint.learning.levels.laws
    experts = [expert for stack in blueprint.model.stacks for expert in stack.experts]
    of_wan = any(
        dataclasses.replace(wan(e.name, e.width, e.mlp), cross=e.cross) == e for e in experts
    )
    return {
        "d": {said[stream] for stream in noisy},
        "e": {blueprint.walk.solver} if noisy else set(),
        "f": {laws[stream].law for stream in noisy},
        "j": {"wan"} if of_wan else set(),
    }


def ending(outcomes: Iterable[str]) -> str:
    """A cell: how all tests of a law and a subject ended together."""
    found = set(outcomes)
    if len(found) > 1 and "FAIL" not in found:
        return "part" if "pass" in found else "skip"
    return min(found, key=ORDER.index, default="-")


def table(outcomes: Sequence[Outcome], rows: Mapping[str, Mapping[str, set[str]]]) -> list[str]:
    """Lines of the table.

    Args:
        outcomes: of the tests that ran.
        rows: name of a row -> the shared parts that it is made of, by law. What tests are about
            and no row is named after gets a row of its own.
    """
    bare: dict[str, set[str]] = {letter: set() for letter in SHARED}
    own = {name: bare for letter, name, _ in outcomes if letter not in SHARED}
    rows = {**rows, **{name: made_of for name, made_of in own.items() if name not in rows}}
    found = collections.defaultdict(list)
    for letter, name, how in outcomes:
        found[letter, name].append(how)
    width = max(map(len, rows)) + 1
    lines = ["recipe".ljust(width) + "".join(letter.rjust(5) for letter in LAWS)]
    for name, made_of in rows.items():
        cells = []
        for letter in LAWS:
            if letter not in SHARED:
                cells.append(ending(found[letter, name]))
            elif made_of[letter]:
                each = [ending(found[letter, part]) for part in sorted(made_of[letter])]
                cells.append(min(each, key=ORDER.index))
            else:
                cells.append("")
        lines.append((name.ljust(width) + "".join(cell.rjust(5) for cell in cells)).rstrip())
    return lines


def ended(report: pytest.TestReport) -> str:
    """How a test ended: pass, FAIL, slow (left to --slow) or skip (for another reason)."""
    if report.failed:
        return "FAIL"
    if report.passed:
        return "pass"
    return "slow" if "slow" in report.keywords else "skip"


def outcomes(reports: Iterable[pytest.TestReport]) -> list[Outcome]:
    """Of every law that a report tells of; passing set-ups and tear-downs say nothing."""
    return [
        (letter, name, ended(report))
        for report in reports
        if report.when == "call" or report.outcome != "passed"
        for key, value in report.user_properties
        if key == PROPERTY
        for letter, name in [value]  # pyright: ignore[reportGeneralTypeIssues]
    ]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Generator[None, object, object]:
    result = yield
    told = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport)
    ]
    found = outcomes(told)
    if found:
        from wamjax.recipes.registry import RECIPES

        rows = {
            row(name, form): parts(name, form)
            for name, recipe in RECIPES.items()
            for form in recipe.forms or (None,)
        }
        terminalreporter.section("conformance, recipe by recipe")
        for line in table(found, rows):
            terminalreporter.write_line(line)
        for letter, meaning in LAWS.items():
            whose = " (of the shared parts that a recipe is made of)" if letter in SHARED else ""
            terminalreporter.write_line(f"{letter}  {meaning}{whose}")
        terminalreporter.write_line(
            "slow: left to --slow; part: the rest is; skip: for another reason; -: no such test "
            "ran;"
        )
        terminalreporter.write_line(
            "blank: has no such part, as a policy that is read out in one pass has no solver"
        )
    return result
