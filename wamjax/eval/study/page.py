"""study.json as one HTML file that loads nothing from elsewhere, and its figures as files beside.

Every number on the page is in study.json, rounded.
"""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from wamjax.core.files import write_text
from wamjax.eval import wording as numbers
from wamjax.eval.report import page
from wamjax.eval.study import looks, wording
from wamjax.eval.study.figures import CAUSE_SERIES, Drawn, figures
from wamjax.eval.study.fronts import FRONTS, on_front
from wamjax.eval.study.looks import ENDS, Results
from wamjax.eval.study.pictures import Pictures, gathered
from wamjax.eval.study.sections import sections
from wamjax.eval.study.tables import CAUSES
from wamjax.eval.svg import MARKS, Entry
from wamjax.eval.worlds import CLEAN

SPELL = {"train_flops": numbers.big, "train_seconds": numbers.duration, "memory": numbers.size}


def write_page(
    folder: str | os.PathLike,
    results: Results,
    *,
    command: str,
    pictures: Sequence[tuple[str, Pictures]] = (),
) -> pathlib.Path:
    """Write study.html, and figures/NAME.svg and .csv; the path of the page.

    Args:
        folder: where.
        results: the content of study.json.
        command: how to run it again.
        pictures: (label of a condition, its pictures); empty leaves the sections out.
    """
    drawn = figures(results)
    write_figures(folder, drawn)
    values = page_values(results, drawn, command, pictures)
    return write_text(pathlib.Path(folder) / "study.html", page("study.html.j2", values))


def write_figures(folder: str | os.PathLike, drawn: Mapping[str, Drawn]) -> None:
    """figures/NAME.svg and figures/NAME.csv."""
    for figure in drawn.values():
        write_text(pathlib.Path(folder) / "figures" / f"{figure.name}.svg", figure.svg)
        write_text(pathlib.Path(folder) / "figures" / f"{figure.name}.csv", figure.csv)


def page_values(
    results: Results,
    drawn: Mapping[str, Drawn],
    command: str,
    pictures: Sequence[tuple[str, Pictures]],
) -> dict[str, Any]:
    """What the template shows."""
    final, before = looks.final(results), looks.earlier(results)
    columns = ([CLEAN] if looks.has_clean(results) else []) + looks.axes_of(results)
    return {
        "name": results["name"],
        "question": results["question"],
        "against": results["against"],
        "headlines": wording.headlines(results),
        "findings": wording.findings(results),
        "extent": wording.extent(results),
        "table_legend": wording.legend(results),
        "meaning": wording.meaning(results),
        "matched": wording.matched(results),
        "unmatched": wording.not_matched(results),
        "success": looks.success_of(results),
        "has_axes": bool(looks.axes_of(results)),
        "legend_rows": _legend(looks.legend(results, looks.at_home(results, final))),
        "rows": [condition_row(results, key) for key in final],
        "earlier": [condition_row(results, key) for key in before],
        "columns": columns,
        "heat_rows": _heat(results, final, columns),
        "overview": _inline(drawn, ["rates_clean", "rates_axes", "differences"]),
        "severity": _inline(drawn, [name for name in drawn if name.startswith("severity")]),
        "severity_legend": _legend(looks.legend(results, looks.leading(results))),
        "crowded": looks.leading(results) != final,
        "fronts": _inline(drawn, list(FRONTS)),
        "costs": cost_rows(results),
        "time_is": wording.time_is(results),
        "tasks": [_task(results, final, columns, task) for task in results["tasks"]],
        "causes": _inline(drawn, ["causes"])[0],
        "causes_legend": _legend([Entry(s, CAUSE_SERIES[c], "s") for c, s in CAUSES.items()]),
        "ways": ways(results, final),
        "sections": sections(results),
        "transfer_figure": "".join(_inline(drawn, ["transfer"])),
        **gathered(pictures),
        "sight": wording.SIGHT,
        "arms": [arm_row(name, arm) for name, arm in results["arms"].items()],
        "command": command,
        "manifest": results["manifest_sha256"],
        "seeds": ", ".join(str(seed) for seed in results["seeds"]),
        "devices": ", ".join(results["devices"]),
        "versions": ", ".join(f"{name} {number}" for name, number in results["versions"].items()),
    }


def _inline(drawn: Mapping[str, Drawn], names: Sequence[str]) -> list[str]:
    return [drawn[name].inline for name in names if name in drawn]


def _legend(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    return [entry._asdict() | {"outline": MARKS[entry.mark]} for entry in entries]


def rate_cell(cell: Mapping[str, Any] | None) -> dict[str, str] | None:
    """A rate or a mean of rates: per cent, count and interval."""
    if cell is None:
        return None
    value, low, high = (
        (cell["rate"], *cell["wilson95"]) if "rate" in cell else (cell[end] for end in ENDS)
    )
    count = {**cell, "wilson95": [low, high]}
    return {
        "percent": numbers.percent(value, cell["episodes"]),
        "count": numbers.count(count),
        "interval": numbers.interval(count),
    }


def difference_cell(cell: Mapping[str, Any] | None) -> dict[str, str] | None:
    """A paired difference: points, interval with seeds, test and verdict."""
    if cell is None:
        return None
    return {
        "points": wording.signed(cell["value"]),
        "interval": wording.span(cell),
        "p": wording.chance(cell["p_holm"]),
        "verdict": cell["verdict"],
    }


def condition_row(results: Results, key: str) -> dict[str, Any]:
    """A condition in the table of all."""
    row = results["conditions"][key]
    against = row["against"] or {"cells": {}, "axes_together": None}
    clean, apart = (found.get(CLEAN) for found in (row["cells"], against["cells"]))
    return {
        "label": row["label"],
        "reference": row["against"] is None,
        "clean": rate_cell(clean),
        "axes": rate_cell(row["axes_together"]),
        "together": rate_cell(row["together"]),
        "clean_difference": difference_cell(apart),
        "axes_difference": difference_cell(against["axes_together"]),
    }


def _heat(results: Results, keys: Sequence[str], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Conditions by clean and axes; a mark where the difference to the reference is shown."""
    rows, found = results["conditions"], []
    signs = {"better": "▲", "worse": "▼", "no difference shown": ""}
    for key in keys:
        against = rows[key]["against"]
        cells = []
        for axis in columns:
            cell = rows[key]["cells"][axis]
            verdict = against["cells"][axis]["verdict"] if against else "no difference shown"
            shade = round(45 * cell["rate"], 1)
            cells.append({**_told(cell), "shade": shade, "sign": signs[verdict]})
        found.append({"label": rows[key]["label"], "cells": cells})
    return found


def _told(cell: Mapping[str, Any]) -> dict[str, str]:
    found = rate_cell(cell)
    assert found is not None
    return found


def _task(
    results: Results, keys: Sequence[str], columns: Sequence[str], task: str
) -> dict[str, Any]:
    rows = [
        {
            "label": results["conditions"][key]["label"],
            "cells": [
                {**_told(cell), "shade": round(45 * cell["rate"], 1), "sign": ""}
                for axis in columns
                for cell in [results["conditions"][key]["tasks"][task][axis]]
            ],
        }
        for key in keys
    ]
    return {"name": task, "rows": rows}


def cost_rows(results: Results) -> list[dict[str, Any]]:
    """What conditions cost, whole and for each per cent of success; which lie on a front."""
    rows, fronts = results["conditions"], {name: on_front(results, name) for name in FRONTS}
    found = []
    for key in looks.at_home(results, looks.final(results)):
        row = rows[key]
        per, chunk = row["cost_per_point"], row["cost"]["ms_per_chunk"]
        best = [front.short for name, front in FRONTS.items() if fronts[name][key]]
        found.append(
            {
                "label": row["label"],
                "costs": [
                    {
                        "whole": spell(row["cost"][name]),
                        "per_point": "—" if per is None else spell(per[name]),
                    }
                    for name, spell in SPELL.items()
                ],
                "chunk": f"{chunk:.1f} ms",
                "actions": row["cost"]["actions_per_chunk"],
                "tail": f"{row['cost']['ms_per_chunk_p95']:.1f} ms",
                "device": row["cost"]["device"],
                "fronts": ", ".join(best) or "none",
            }
        )
    return found


def ways(results: Results, keys: Sequence[str]) -> list[dict[str, Any]]:
    """How solved episodes were solved: a table a task, of the ways that showed."""
    rows = results["conditions"]
    names = sorted({mode for key in keys for mode in rows[key]["modes"]})
    found = []
    for task in results["tasks"]:
        mine = [name for name in names if name.startswith(f"{task}: ")]
        if mine:
            table = [
                {
                    "label": rows[key]["label"],
                    "counts": [
                        f"{rows[key]['modes'][name]:,}" if name in rows[key]["modes"] else "0"
                        for name in mine
                    ],
                }
                for key in keys
            ]
            found.append(
                {"task": task, "ways": [m.removeprefix(f"{task}: ") for m in mine], "rows": table}
            )
    return found


def arm_row(name: str, arm: Mapping[str, Any]) -> dict[str, Any]:
    """What an arm is."""
    trained = arm["trained"]
    return {
        "name": name,
        "says": arm["says"],
        "differs": [
            {"setting": path, "own": _value(own), "reference": _value(theirs)}
            for path, own, theirs in arm["differs"]
        ],
        "facts": [
            ("weights", f"{arm['parameters']:,}"),
            *((f"trained in {stage}", f"{count:,}") for stage, count in trained.items()),
            ("steps", f"{arm['steps']:,}"),
            ("batch", f"{arm['batch']:,}"),
            ("training FLOPs", numbers.big(arm["flops"])),
            ("memory", numbers.size(arm["memory"])),
        ],
        "sees": [(stage, "\n".join(rows)) for stage, rows in arm["sees"].items() if rows],
    }


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
