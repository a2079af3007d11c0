"""A finished study as Markdown: a page for docs/studies/, and its verdict for a README."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wamjax.eval.study import looks, wording
from wamjax.eval.study.fronts import FRONTS
from wamjax.eval.study.looks import Results
from wamjax.eval.study.page import arm_row, condition_row, cost_rows, rate_cell
from wamjax.eval.study.sections import diversity_view, transfer_view
from wamjax.eval.wording import NBSP
from wamjax.eval.worlds import CLEAN


def as_markdown(results: Results, *, command: str, figures: str = "figures") -> str:
    """The page for docs/studies/NAME.md.

    Args:
        results: the content of study.json.
        command: how to run it again.
        figures: path of the folder of SVG files from where the page will lie.
    """
    parts = [
        f"# {results['question']}",
        *(f"**{headline}**" for headline in wording.headlines(results)),
        wording.extent(results),
        *_findings(results),
        wording.meaning(results),
        "## Conditions",
        verdict_table(results),
        wording.legend(results),
        *_picture(results, figures, "rates_clean", "rates_axes", "differences"),
        *_earlier(results),
        *_axes(results, figures),
        "## What success costs",
        f"Success is {looks.success_of(results)}; a point is one per cent of it; "
        f"{wording.time_is(results)}.",
        _costs(results),
        *_picture(results, figures, *FRONTS),
        "## How episodes ended",
        *_picture(results, figures, "causes"),
        *_transfer(results, figures),
        *_diversity(results),
        "## The arms",
        wording.matched(results),
        *(f"- {says}: {' '.join(rows)}" for says, rows in wording.not_matched(results)),
        _arms(results),
        "## Again",
        f"```\n{command}\n```",
        f"Manifest `{results['manifest_sha256']}`; training seeds "
        f"{', '.join(map(str, results['seeds']))}; {', '.join(results['devices'])}; "
        f"{', '.join(f'{name} {value}' for name, value in results['versions'].items())}.",
    ]
    return "\n\n".join(part for part in parts if part).replace(NBSP, " ") + "\n"


def verdict_table(results: Results) -> str:
    """A row a condition: rates with counts and intervals, differences, verdicts."""
    return table(_head(results), _conditions(results, looks.final(results)))


def _head(results: Results) -> list[str]:
    clean, axes = looks.has_clean(results), bool(looks.axes_of(results))
    head = ["condition"]
    head += ["clean", "difference"] if clean else []
    head += ["mean of axes", "difference"] if axes else []
    return head + (["mean with clean"] if clean and axes else [])


def _conditions(results: Results, keys: Sequence[str]) -> list[list[str]]:
    clean, axes = looks.has_clean(results), bool(looks.axes_of(results))
    rows = []
    for key in keys:
        row = condition_row(results, key)
        cells = [row["label"]]
        cells += [_rate(row["clean"]), _difference(row["clean_difference"])] if clean else []
        cells += [_rate(row["axes"]), _difference(row["axes_difference"])] if axes else []
        cells += [_rate(row["together"])] if clean and axes else []
        rows.append(cells)
    return rows


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A GitHub table."""
    lines = [head, ["---"] * len(head), *rows]
    told = (" | ".join(str(cell).replace("|", "\\|") for cell in line) for line in lines)
    return "\n".join(f"| {line} |" for line in told).replace(NBSP, " ")


def _rate(cell: Mapping[str, str] | None) -> str:
    return "" if cell is None else f"{cell['percent']} ({cell['count']}; {cell['interval']})"


def _difference(cell: Mapping[str, str] | None) -> str:
    if cell is None:
        return ""
    return f"{cell['points']} ({cell['interval']}; {cell['p']}): {cell['verdict']}"


def _findings(results: Results) -> list[str]:
    return [
        "\n".join([f"{found.where}:", "", *(f"- {line}" for line in found.lines)])
        + (f"\n\n{found.note}" if found.note else "")
        for found in wording.findings(results)
    ]


def _picture(results: Results, folder: str, *names: str) -> list[str]:
    """Those of the figures that there are."""
    drawn = {
        "rates_clean": looks.has_clean(results),
        "rates_axes": bool(looks.axes_of(results)),
        "severity": looks.has_severity(results),
        "differences": bool(looks.compared(results)),
    }
    lacking = {name for name, there in drawn.items() if not there}
    there = [name for name in names if name not in lacking]
    return [" ".join(f"![{name.replace('_', ' ')}]({folder}/{name}.svg)" for name in there)]


def _axes(results: Results, figures: str) -> list[str]:
    if not looks.axes_of(results):
        return []
    columns = ([CLEAN] if looks.has_clean(results) else []) + looks.axes_of(results)
    rows = []
    for key in looks.final(results):
        row = results["conditions"][key]
        told = [rate_cell(row["cells"][axis]) for axis in columns]
        cells = [f"{cell['percent']} ({cell['interval']})" for cell in told if cell]
        rows.append([row["label"], *cells])
    return [
        "## Under each axis",
        table(["condition", *columns], rows),
        *_picture(results, figures, "heat_map", "severity"),
    ]


def _earlier(results: Results) -> list[str]:
    keys = looks.earlier(results)
    told = table(_head(results), _conditions(results, keys))
    return ["## Earlier checkpoints", told] if keys else []


def _transfer(results: Results, figures: str) -> list[str]:
    if results["transfer"] is None:
        return []
    found = transfer_view(results)
    gaps = [
        [row["label"]]
        + [f"{c['points']} ({c['interval']}; {c['p']}; {c['rates']})" for c in row["cells"]]
        for row in found["rows"]
    ]
    agreement = [
        [row["where"], row["policies"], row["worlds"], *(_estimated(c) for c in row["cells"])]
        for row in found["agreement"]
    ]
    told = [
        "## Source and target domain",
        found["lead"],
        *_picture(results, figures, "transfer"),
        table(["condition", *found["columns"]], gaps),
    ]
    if agreement:
        told += [
            found["order_lead"],
            table(["", "policies", "worlds", *found["names"]], agreement),
        ]
    return told


def _diversity(results: Results) -> list[str]:
    if results["diversity"] is None:
        return []
    found = diversity_view(results)
    rows = [
        [task["name"], row["label"], row["count"]]
        + [_estimated(row[name], "too few") for name in ("entropy", "given_state", "trajectories")]
        for task in found["tasks"]
        for row in task["rows"]
    ]
    return [
        "## How many ways",
        found["lead"],
        table(
            ["task", "condition", "solved, way seen", "entropy", "given the state", "paths"], rows
        ),
    ]


def _estimated(cell: Mapping[str, str] | None, without: str = "not defined") -> str:
    return without if cell is None else f"{cell['value']} ({cell['interval']})"


def _costs(results: Results) -> str:
    head = ["condition", "FLOPs", "a point", "time", "a point", "memory", "a point", "a chunk"]
    rows = []
    for row in cost_rows(results):
        costs = [cost[name] for cost in row["costs"] for name in ("whole", "per_point")]
        rows.append([row["label"], *costs, row["chunk"], row["fronts"]])
    return table([*head, "on the front of"], rows)


def _arms(results: Results) -> str:
    rows = []
    for name, arm in results["arms"].items():
        told: dict[str, Any] = arm_row(name, arm)
        differs = "; ".join(
            f"`{row['setting']}` {row['own']} instead of {row['reference']}"
            for row in told["differs"]
        )
        facts = dict(told["facts"])
        rows.append(
            [name, told["says"], differs or "the reference"]
            + [facts[fact] for fact in ("weights", "steps", "batch", "training FLOPs")]
        )
    head = ["arm", "what it is", "differs", "weights", "steps", "batch", "FLOPs"]
    return f"{table(head, rows)}\n\n{_sights(results)}"


def _sights(results: Results) -> str:
    """Who sees whom, arms that are alike together."""
    whose: dict[str, list[str]] = {}
    for name, arm in results["arms"].items():
        for stage, drawn in arm_row(name, arm)["sees"]:
            told = f"`{name}`" if len(arm["sees"]) == 1 else f"`{name}` ({stage})"
            whose.setdefault(drawn, []).append(told)
    blocks = [f"{', '.join(names)}:\n\n```\n{drawn}\n```" for drawn, names in whose.items()]
    return "\n\n".join([f"Who sees whom in training. {wording.SIGHT}", *blocks])
