"""Sections of the page that only some studies have: a row of SECTIONS each."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from wamjax.eval import wording as numbers
from wamjax.eval.study import wording
from wamjax.eval.study.diversity import WIDTH
from wamjax.eval.study.looks import Results

AGREEMENT = {
    "pearson": "Pearson",
    "spearman": "Spearman",
    "mmrv": "MMRV",
}
"""Field of the agreement -> its name."""


class Section(NamedTuple):
    """Of the page.

    Attributes:
        template: which is given `found`.
        view: study.json -> `found`.
    """

    template: str
    view: Callable[[Results], Mapping[str, Any]]


def estimated(cell: Mapping[str, Any] | None) -> dict[str, str] | None:
    """A number with its interval, two decimals."""
    if cell is None:
        return None
    low, high = (f"{cell[end]:.2f}".replace("-", wording.MINUS) for end in ("low", "high"))
    value = f"{cell['value']:.2f}".replace("-", wording.MINUS)
    return {"value": value, "interval": f"{low} to {high}"}


def transfer_view(results: Results) -> dict[str, Any]:
    """Gaps and agreement of two domains."""
    found = results["transfer"]
    columns = list(next(iter(found["gaps"].values()))["cells"])
    return {
        "lead": "Target minus source in the same worlds at the same seed, in points, with the 95 % "
        "interval of paired differences and the exact McNemar test; then both rates.",
        "order_lead": "Do the domains order policies alike? A policy is a condition at a training "
        "seed; intervals draw the worlds anew. MMRV: how far a policy lies in the target from one "
        "that the source puts the other way round, at most; mean over policies, 0 at best.",
        "columns": columns,
        "rows": [
            {
                "label": row["label"],
                "cells": [
                    {
                        "points": wording.signed(cell["value"]),
                        "interval": f"{wording.signed(cell['low'])} to "
                        f"{wording.signed(cell['high'])}",
                        "p": wording.chance(cell["p_mcnemar"]),
                        "rates": " → ".join(
                            numbers.percent(cell[side]["rate"], cell[side]["episodes"])
                            for side in ("source", "target")
                        ),
                    }
                    for cell in row["cells"].values()
                ],
            }
            for row in found["gaps"].values()
        ],
        "names": list(AGREEMENT.values()),
        "agreement": [
            {
                "where": where,
                "policies": row["policies"],
                "worlds": row["worlds"],
                "cells": [estimated(row[name]) for name in AGREEMENT],
            }
            for where, row in found["agreement"].items()
        ],
    }


def diversity_view(results: Results) -> dict[str, Any]:
    """Entropies by task."""
    found = results["diversity"]
    tasks = list(dict.fromkeys(task for row in found.values() for task in row["tasks"]))
    return {
        "lead": "Entropy of the ways taken in solved episodes over the log of their number: 0 is "
        "one way, 1 all alike. Given the state: in each world by itself, rolled out "
        f"{results['worlds']['repeats']} times, so that what the world decides does not count. "
        "Paths: entropy of the tool's paths given the state, in nats: 0 is one path, log "
        f"{results['worlds']['repeats']} that none is like another; paths {100 * WIDTH:g} cm apart "
        "are 0.61 alike. 95 % intervals.",
        "tasks": [
            {
                "name": task,
                "rows": [
                    {
                        "label": row["label"],
                        "count": f"{cell['successes']:,} / {cell['episodes']:,}",
                        "entropy": estimated(cell["entropy"]),
                        "given_state": estimated(cell["given_state"]),
                        "trajectories": estimated(cell["trajectories"]),
                    }
                    for row in found.values()
                    if task in row["tasks"]
                    for cell in [row["tasks"][task]]
                ],
            }
            for task in tasks
        ],
    }


SECTIONS: dict[str, Section] = {
    "transfer": Section("study_transfer.html.j2", transfer_view),
    "diversity": Section("study_diversity.html.j2", diversity_view),
}
"""Key of study.json, which is null in other studies -> its section."""


def sections(results: Results) -> list[dict[str, Any]]:
    """Those that a study has."""
    return [
        {"template": section.template, "found": section.view(results)}
        for key, section in SECTIONS.items()
        if results[key] is not None
    ]
