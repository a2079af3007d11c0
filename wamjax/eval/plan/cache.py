"""Reports by what they follow from: settings, installed versions and our own sources."""

import dataclasses
from typing import Any

from wamjax.core.runtime import versions
from wamjax.eval.plan.report import Report
from wamjax.eval.plan.store import code, name_of, read, write

FORMAT = 2
"""Grows with the fields of a report."""


def key_of(settings: dict[str, Any]) -> str:
    """The name of a report that follows from `settings`."""
    whole = {"report": FORMAT, "settings": settings, "versions": versions(), "code": code()}
    return name_of(whole)


def known(key: str) -> Report | None:
    """The report of that name, if it was made before."""
    table = read(key)
    return None if table is None else Report(**{**table, "mfu": tuple(table["mfu"])})


def keep(key: str, report: Report) -> None:
    """Write a report down."""
    write(key, dataclasses.asdict(report))
