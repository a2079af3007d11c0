"""results.json, curves and pictures as one HTML file that loads nothing from elsewhere.

Every number on the page comes from the results, the metrics rows or the phase times handed in.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from wamjax.core.files import write_text
from wamjax.eval import figures, wording
from wamjax.eval.gallery import Foresight, Gallery, Strip
from wamjax.eval.pictures import data_uri
from wamjax.eval.worlds import CLEAN

COLOURS = 128
# Tops of the lanes of up to five policies in a row of the chart, per cent of its height.
LANES = {1: (50,), 2: (36, 70), 3: (30, 58, 80), 4: (22, 44, 64, 84), 5: (18, 36, 53, 70, 87)}


def page(template: str, values: Mapping[str, Any]) -> str:
    """A template of this package filled in; a missing value is an error, text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wamjax.eval"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)


def write_report(
    path: str | os.PathLike,
    results: Mapping[str, Any],
    *,
    title: str,
    command: str,
    metrics: Sequence[Mapping[str, Any]],
    phases: Mapping[str, float],
    galleries: Sequence[Gallery],
    main: str = "trained",
) -> pathlib.Path:
    """Write report.html.

    Args:
        path: where.
        results: the content of results.json.
        title: what was run.
        command: how to run it again.
        metrics: rows of metrics.jsonl; empty leaves the section out.
        phases: name of a phase -> wall seconds.
        galleries: pictures per task; empty leaves those sections out.
        main: the policy the report is about.
    """
    table = results["policies"]
    policies = [main, *(name for name in table if name != main)]
    tasks = list(table[main])
    values = {
        "title": title,
        "verdicts": [wording.verdict(task, table, main) for task in tasks],
        "policies": policies,
        "tasks": [_task(task, results, policies) for task in tasks],
        "curves": figures.learning_curves(metrics),
        "foresight": [
            foresight_values(item) for gallery in galleries for item in gallery.foresight
        ],
        "strips": [strip_values(strip) for gallery in galleries for strip in gallery.axes],
        "failures": [strip_values(s, last=True) for g in galleries for s in g.failures],
        "costs": _costs(results, phases),
        "command": command,
        "manifest": results["manifest_sha256"],
        "seed": results["seed"],
        "device": results["device"],
        "versions": ", ".join(f"{name} {number}" for name, number in results["versions"].items()),
    }
    return write_text(path, page("report.html.j2", values))


def _task(task: str, results: Mapping[str, Any], policies: list[str]) -> dict[str, Any]:
    table = results["policies"]
    mine = table[policies[0]][task]
    axes = [CLEAN] if mine["clean"] is not None else []
    axes += list(mine["axes"])
    bonus = list(mine["bonus"])
    means = []
    for label, key in (
        ("mean with clean", "mean_with_clean"),
        ("mean of axes", "mean_without_clean"),
    ):
        if mine[key] is not None:
            numbers = [wording.percent(table[name][task][key], 1000) for name in policies]
            means.append({"label": label, "numbers": numbers})
    return {
        "name": task,
        "rows": [_row(axis, [table[name][task] for name in policies], policies) for axis in axes],
        "bonus": [_row(axis, [table[name][task] for name in policies], policies) for axis in bonus],
        "levels": _levels(mine),
        "curve": figures.severity_curve({name: table[name][task] for name in policies}, task),
        "diverged": sum(table[name][task]["diverged"] for name in policies),
        "modes": [
            {"name": name, "count": count, "share": wording.percent(count / total, 100)}
            for total in [sum(mine["modes"].values())]
            for name, count in mine["modes"].items()
        ],
        "means": means,
        "paired": wording.paired(task, results["comparisons"], policies[0]),
    }


def _levels(table: Mapping[str, Any]) -> dict[str, Any] | None:
    """Axis by severity for the policy the report is about; nothing where one severity was tried."""
    numbers = sorted({level for cells in table["severities"].values() for level in cells})
    if len(numbers) < 2:
        return None

    def cell(cells: Mapping[str, Any], level: str) -> dict[str, Any] | None:
        if level not in cells:
            return None
        found = cells[level]
        return {
            "percent": wording.percent(found["rate"], found["episodes"]),
            "interval": wording.interval(found),
            "count": wording.count(found),
            "shade": round(100 * found["rate"]),
        }

    rows = [{"axis": axis, "cells": cells} for axis, cells in table["severities"].items()]
    rows.append({"axis": "all seven", "cells": table["by_severity"]})
    return {
        "numbers": numbers,
        "rows": [
            {"axis": row["axis"], "cells": [cell(row["cells"], level) for level in numbers]}
            for row in rows
        ],
    }


def _row(axis: str, tables: list[Mapping[str, Any]], policies: list[str]) -> dict[str, Any]:
    cells = [{CLEAN: table["clean"], **table["axes"], **table["bonus"]}[axis] for table in tables]
    drawn = [
        {
            "percent": wording.percent(cell["rate"], cell["episodes"]),
            "count": wording.count(cell),
            "interval": wording.interval(cell),
            "at": round(100 * cell["rate"], 2),
            "low": round(100 * cell["wilson95"][0], 2),
            "width": round(100 * (cell["wilson95"][1] - cell["wilson95"][0]), 2),
            "lane": LANES[len(cells)][place],
        }
        for place, cell in enumerate(cells)
    ]
    spoken = ", ".join(f"{name} {cell['percent']}" for name, cell in zip(policies, drawn))
    return {"axis": axis, "cells": drawn, "spoken": f"{axis}: {spoken}"}


def strip_values(strip: Strip, whose: str = "", *, last: bool = False) -> dict[str, Any]:
    """What templates/pictures.html.j2 shows of a strip; `last` keeps the last picture only."""
    shown = strip.pictures[-1:] if last else strip.pictures
    return {
        "whose": whose,
        "task": strip.task,
        "axis": strip.axis,
        "instruction": strip.instruction,
        "success": strip.success,
        "cause": strip.cause,
        "where": where(strip.row),
        "pictures": [data_uri(picture, COLOURS) for picture in shown],
    }


def where(row: Mapping[str, Any]) -> str:
    """ "azimuth, severity 3, seed 17", as far as the manifest's row tells."""
    parts = []
    if row["axis"] != CLEAN:
        if "sub_axis" in row:
            parts.append(str(row["sub_axis"]).replace("_", " "))
        if "severity" in row:
            parts.append(f"severity {row['severity']}")
    if "seed" in row:
        parts.append(f"seed {row['seed']}")
    return ", ".join(parts)


def foresight_values(item: Foresight, whose: str = "") -> dict[str, Any]:
    """What templates/pictures.html.j2 shows of a foresight."""
    return {
        "whose": whose,
        "task": item.task,
        "axis": item.axis,
        "instruction": item.instruction,
        "success": item.success,
        "cause": item.cause,
        "columns": [
            {"step": step, "truth": data_uri(truth), "predicted": data_uri(predicted)}
            for step, truth, predicted in zip(item.steps, item.truth, item.predicted)
        ],
    }


def _costs(results: Mapping[str, Any], phases: Mapping[str, float]) -> list[dict[str, str]]:
    rows = [(name, wording.duration(value), "") for name, value in phases.items()]
    if len(phases) > 1:
        rows.append(("all phases", wording.duration(sum(phases.values())), ""))
    rows += [
        ("optimisation", wording.duration(results["train_seconds"]), "wall time of the train loop"),
        ("training FLOPs", wording.big(results["train_flops"]), "model FLOPs, counted by hand"),
        ("parameters", wording.big(results["parameters"]), f"{results['parameters']:,}"),
        (
            "one chunk of actions",
            f"{results['ms_per_chunk']:.1f} ms",
            f"median for one robot; 95th percentile {results['ms_per_chunk_p95']:.1f} ms",
        ),
        (
            "evaluation",
            f"{wording.big(results['env_steps_per_second'])} steps/s",
            "control steps of all worlds, policy and drawing included",
        ),
    ]
    return [{"label": label, "value": value, "note": note} for label, value, note in rows]
