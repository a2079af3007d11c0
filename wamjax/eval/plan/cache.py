"""Reports on disk, by what they follow from: the case, the slice, the mesh and the versions.

Compiling takes minutes, and JAX's own cache does not serve programs for TPUs that are not here.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import pathlib
from typing import Any

from wamjax.core.files import read_json, write_json
from wamjax.core.runtime import versions
from wamjax.eval.plan.report import Report

FORMAT = 1


def folder() -> pathlib.Path:
    """$XDG_CACHE_HOME/wamjax/plan, else ~/.cache/wamjax/plan."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(base).expanduser() / "wamjax" / "plan"


def key_of(settings: dict[str, Any]) -> str:
    """The name of a report that follows from `settings` and the installed versions."""
    try:
        compiler = importlib.metadata.version("libtpu")
    except importlib.metadata.PackageNotFoundError:
        compiler = None
    whole = {"format": FORMAT, "settings": settings, "versions": versions(), "libtpu": compiler}
    text = json.dumps(whole, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def known(key: str) -> Report | None:
    """The report of that name, if it was made before."""
    path = folder() / f"{key}.json"
    if not path.is_file():
        return None
    table = read_json(path)
    return Report(**{**table, "mfu": tuple(table["mfu"])})


def keep(key: str, report: Report) -> None:
    """Write a report down."""
    write_json(folder() / f"{key}.json", dataclasses.asdict(report))
