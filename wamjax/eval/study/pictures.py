"""What a study shows of the worlds: for each arm an episode of every task, failures by how they
ended, and what was expected beside what happened. Kept as JSON beside the trials."""

from collections.abc import Mapping, Sequence
from typing import Any

from wamjax.eval.gallery import Gallery
from wamjax.eval.report import foresight_values, strip_values
from wamjax.eval.study.tables import CAUSES
from wamjax.eval.worlds import CLEAN

Pictures = Mapping[str, Sequence[Mapping[str, Any]]]
"""strips, failures (each with its kind) and foresight, as the templates show them."""


def told(galleries: Sequence[Gallery]) -> dict[str, list[dict[str, Any]]]:
    """The galleries of a condition, one a task, as JSON."""
    return {
        "strips": [
            strip_values(strip) for one in galleries for strip in one.axes if strip.axis == CLEAN
        ],
        "failures": [
            {**strip_values(strip, last=True), "kind": strip.kind}
            for one in galleries
            for strip in one.failures
        ],
        "foresight": [foresight_values(item) for one in galleries for item in one.foresight],
    }


def gathered(pictures: Sequence[tuple[str, Pictures]]) -> dict[str, Any]:
    """What the page shows of (label of the condition, its pictures)."""
    found = {
        name: [{**item, "whose": label} for label, mine in pictures for item in mine[name]]
        for name in ("strips", "failures", "foresight")
    }
    by_kind = [
        (says, [item for item in found["failures"] if item["kind"] == kind])
        for kind, says in CAUSES.items()
    ]
    return {**found, "failures": [(says, items) for says, items in by_kind if items]}
