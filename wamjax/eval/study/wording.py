"""A study's result in words: which conditions are better or worse, by how much, and how sure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from wamjax.eval.study import looks
from wamjax.eval.study.looks import Results
from wamjax.eval.study.matching import WITHIN
from wamjax.eval.study.study import Aspect
from wamjax.eval.study.tables import LEVEL
from wamjax.eval.wording import NBSP, listed, percent
from wamjax.eval.worlds import CLEAN

Cell = Mapping[str, Any]
MINUS = "\N{MINUS SIGN}"
UNMATCHED: dict[Aspect, str] = {
    "windows": "Arms were not given the same windows in the same order",
    "parameters": "Arms differ in their number of weights",
    "budget": "Arms differ in what training they were given",
}
ONE_SEED = "One training seed: this is about these trainings, not yet about their arms."
FEW = 10
"""Seeds; a percentile interval over fewer is too narrow, see eval.statistics.bootstrap."""
NUMBERS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
)  # fmt: skip


class Compared(NamedTuple):
    """A condition beside its reference in one kind of worlds.

    Attributes:
        name: of the condition, within its context.
        reference: of what it is compared with.
        context: what both have in common, "" where the study has one such.
        where: the kind of worlds.
        cell: their difference, as of study.json.
        mine, theirs: their rates, per cent.
    """

    name: str
    reference: str
    context: str
    where: str
    cell: Cell
    mine: str
    theirs: str


class Finding(NamedTuple):
    """What was found in one kind of worlds.

    Attributes:
        where: the kind of worlds, and the context.
        lines: a condition each.
        note: how wide the intervals are of those without a difference shown; or "".
    """

    where: str
    lines: list[str]
    note: str


SIGHT = (
    "A line for each run of tokens and whom it sees, columns in the same order: # all, + some, "
    ". none."
)


def number(count: int) -> str:
    """ "two", "12"."""
    return NUMBERS[count] if count < len(NUMBERS) else f"{count:,}"


def counted(count: int, name: str) -> str:
    """ "one seed", "three seeds"."""
    return f"{number(count)} {name}{'' if count == 1 else 's'}"


def signed(share: float) -> str:
    """Points of a difference: "+25.8", "−3.1", "0.0"."""
    text = f"{100 * share:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", MINUS)


def span(cell: Cell) -> str:
    """ "+14.2 to +37.5", the interval that draws the training seeds."""
    drawn = cell["with_seeds"]
    return f"{signed(drawn['low'])} to {signed(drawn['high'])}"


def chance(p: float) -> str:
    """ "p = 0.012", "p < 0.0001"."""
    if p < 1e-4:
        return f"p{NBSP}<{NBSP}0.0001"
    return f"p{NBSP}={NBSP}{p:.2g}" if p < 0.995 else f"p{NBSP}={NBSP}1"


def name_of(results: Results, row: Mapping[str, Any]) -> str:
    """The arm, with the mode where it has several."""
    arm = [other for other in results["conditions"].values() if other["arm"] == row["arm"]]
    several = len({other["mode"] for other in arm}) > 1
    return f"{row['arm']} {row['mode']}" if several else row["arm"]


def context_of(results: Results, row: Mapping[str, Any]) -> str:
    """Training data and domain, where the study has several."""
    rows, parts = results["conditions"].values(), []
    if len({other["data"] for other in rows}) > 1:
        parts.append(f"trained on {row['data']} data")
    if len({other["domain"] for other in rows}) > 1:
        parts.append(f"tried in the {row['domain']} domain")
    return ", ".join(parts)


def over_axes(results: Results) -> str:
    """ "the seven axes", or those that were tried."""
    axes = looks.axes_of(results)
    return f"the {number(len(axes))} axes" if len(axes) > 1 else "".join(axes)


def comparisons(results: Results) -> list[Compared]:
    """Final conditions beside their references, on clean worlds and over the axes together."""
    rows, found = results["conditions"], []
    for key in looks.final(results):
        row, against = rows[key], rows[key]["against"]
        if against is None:
            continue
        other = rows[against["key"]]
        names = name_of(results, row), name_of(results, other), context_of(results, row)
        if CLEAN in against["cells"]:
            cells = [one["cells"][CLEAN] for one in (row, other)]
            pair = [percent(cell["rate"], cell["episodes"]) for cell in cells]
            found.append(Compared(*names, "clean worlds", against["cells"][CLEAN], *pair))
        if against["axes_together"] is not None:
            cells = [one["axes_together"] for one in (row, other)]
            pair = [percent(cell["value"], cell["episodes"]) for cell in cells]
            found.append(Compared(*names, over_axes(results), against["axes_together"], *pair))
    return found


def headlines(results: Results) -> list[str]:
    """The answer without numbers: a paragraph a context, contexts of equal answers together."""
    pairs = comparisons(results)
    if not pairs:
        return ["Nothing is compared here: every condition is its own reference."]
    answers: dict[str, list[str]] = {}
    for context in dict.fromkeys(pair.context for pair in pairs):
        answer = _answer([pair for pair in pairs if pair.context == context])
        answers.setdefault(answer, []).append(context)
    told = [
        f"{_upper('; '.join(contexts))}: {answer}" if contexts != [""] else _upper(answer)
        for answer, contexts in answers.items()
    ]
    return [*told, ONE_SEED] if len(results["seeds"]) == 1 else told


def _answer(pairs: list[Compared]) -> str:
    """Who is better and who is worse, and where; or that all tie."""
    names = list(dict.fromkeys(pair.name for pair in pairs))
    places = list(dict.fromkeys(pair.where for pair in pairs))
    reference = listed(list(dict.fromkeys(pair.reference for pair in pairs)))
    said, silent = [], set(names)
    for verdict in ("better", "worse"):
        groups: dict[str, list[str]] = {}
        for name in names:
            mine = [p.where for p in pairs if p.name == name and p.cell["verdict"] == verdict]
            if mine:
                groups.setdefault(listed(mine), []).append(name)
                silent.discard(name)
        if groups:
            told = [f"{listed(group)} on {where}" for where, group in groups.items()]
            said.append(f"{verdict} than {reference}: {'; '.join(told)}.")
    if not said:
        who = f"{names[0]} and {reference} tie" if len(names) == 1 else "the arms tie"
        return (
            f"{who}. On {listed(places)} nothing is shown to be better or worse than {reference}."
        )
    if silent:
        said.append(f"no difference shown: {listed([name for name in names if name in silent])}.")
    return " ".join([said[0], *map(_upper, said[1:])])


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def findings(results: Results) -> list[Finding]:
    """Every difference with its interval and test, by kind of worlds and context."""
    groups: dict[tuple[str, str], list[Compared]] = {}
    for pair in comparisons(results):
        groups.setdefault((pair.context, pair.where), []).append(pair)
    return [
        Finding(
            where=f"{_upper(where)}; {context}" if context else _upper(where),
            lines=[_line(pair) for pair in pairs],
            note=_width([p for p in pairs if p.cell["verdict"] == "no difference shown"]),
        )
        for (context, where), pairs in groups.items()
    ]


def _line(pair: Compared) -> str:
    return (
        f"{pair.name}: {pair.cell['verdict']}, {pair.mine} against {pair.theirs} of "
        f"{pair.reference}, {signed(pair.cell['value'])} points (95{NBSP}% interval "
        f"{span(pair.cell)}, {chance(pair.cell['p_holm'])})"
    )


def _width(level: list[Compared]) -> str:
    if not level:
        return ""
    low = min(pair.cell["with_seeds"]["low"] for pair in level)
    high = max(pair.cell["with_seeds"]["high"] for pair in level)
    most = max(pair.cell["pairs"] for pair in level)
    return (
        f"Where no difference is shown the intervals reach from {signed(low)} to {signed(high)} "
        f"points with {most:,} pairs of episodes; a difference within them is not ruled out."
    )


def extent(results: Results) -> str:
    """How many trainings, tasks and episodes."""
    row = results["conditions"][looks.final(results)[0]]
    seeds, tasks = results["seeds"], results["tasks"]
    told = []
    if CLEAN in row["cells"]:
        told.append(f"{row['cells'][CLEAN]['episodes']:,} clean")
    if row["axes_together"] is not None:
        told.append(f"{row['axes_together']['episodes']:,} perturbed")
    repeats = results["worlds"]["repeats"]
    again = f", each world {repeats} times" if repeats > 1 else ""
    return (
        f"{_upper(counted(len(seeds), 'training seed'))}, {counted(len(tasks), 'task')} "
        f"({listed(tasks)}), {listed(told)} episodes a condition (seeds and tasks together{again})."
    )


def meaning(results: Results) -> str:
    """What a verdict says, and what it does not."""
    seeds, axes = len(results["seeds"]), looks.axes_of(results)
    corrected = ", Holm-corrected over clean and the axes," if axes else ""
    text = (
        "All conditions meet the same worlds, paired by seed. Better or worse is said where an "
        f"exact McNemar test on the pairs{corrected} is below {LEVEL:g}, and a bootstrap interval "
        "that draws the training seeds, too, excludes 0. "
        f"{'Over the axes together it is one test. ' if axes else ''}"
        "There is no correction over conditions: of many that are alike, some may come out better "
        "or worse by chance."
    )
    if seeds == 1:
        return f"{text} With one seed that interval draws episodes alone."
    if seeds < FEW:
        return f"{text} Drawn from {number(seeds)} seeds, such an interval is rather too narrow."
    return text


def legend(results: Results) -> str:
    """What the numbers of the table of conditions are."""
    means = " Means weigh their parts equally, and their intervals draw the episodes of each anew."
    return (
        f"Rates have their count and Wilson 95{NBSP}% interval."
        f"{means if looks.axes_of(results) else ''} Differences are to the reference, in points, "
        "with the interval that draws the training seeds, too, and the corrected p."
    )


def not_matched(results: Results) -> list[tuple[str, list[str]]]:
    """(what arms do not have in common, a sentence each)."""
    return [
        (UNMATCHED[aspect], [f"{row}." for row in rows])
        for aspect, rows in results["unmatched"].items()
    ]


def matched(results: Results) -> str:
    """What arms have in common."""
    aspects = {
        "windows": "the same windows in the same order",
        "parameters": f"as many weights (within {100 * WITHIN:g}{NBSP}%)",
        "budget": {"steps": "as many optimizer steps", "flops": "the same training FLOPs"}[
            results["match"]
        ],
    }
    kept = [says for aspect, says in aspects.items() if aspect not in results["unmatched"]]
    return f"All arms have {listed(kept)}." if kept else "Arms are not matched."


def time_is(results: Results) -> str:
    """What training time means here."""
    times = results["times"]
    if times is None:
        return "time is a training's as it ran, mean over seeds"
    return (
        f"time is that of the steps by the median of {times['steps']}, taken in turn by all arms "
        f"on {times['device']}"
    )
