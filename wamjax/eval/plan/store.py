"""Results on disk by what they follow from. Compiling takes minutes, and JAX's own cache does not
serve programs for TPUs that are not here.
"""

import functools
import hashlib
import importlib.metadata
import json
import os
import pathlib
from typing import Any

import wamjax
from wamjax.core.files import read_json, write_json

FORMAT = 3
"""Grows when `eval.plan` reads something else off the same program."""
# What programs are made of; the rest of the package only asks for them.
CODE = ("codec", "core", "flow", "model", "parallel", "recipes", "train")


def folder() -> pathlib.Path:
    """$XDG_CACHE_HOME/wamjax/plan, else ~/.cache/wamjax/plan."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(base).expanduser() / "wamjax" / "plan"


def libtpu() -> str | None:
    """The version of the compiler; None where there is none."""
    try:
        return importlib.metadata.version("libtpu")
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def code() -> str:
    """A digest of our own sources."""
    root, found = pathlib.Path(wamjax.__file__).parent, hashlib.blake2b(digest_size=12)
    for path in sorted(path for part in CODE for path in (root / part).rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


def name_of(values: dict[str, Any]) -> str:
    """The name of what follows from `values`."""
    whole = {"format": FORMAT, "libtpu": libtpu(), **values}
    text = json.dumps(whole, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def read(name: str) -> Any | None:
    """What stands under a name; None for nothing."""
    path = folder() / f"{name}.json"
    return read_json(path) if path.is_file() else None


def write(name: str, value: Any) -> None:
    """Write it down."""
    write_json(folder() / f"{name}.json", value)
