"""Files that are either whole or absent."""

import json
import os
import pathlib
import tempfile
from typing import Any

from wamjax.core.errors import UserError


def write_text(path: str | os.PathLike, text: str) -> pathlib.Path:
    """Write through a temporary file in the same folder and an atomic rename."""
    target = pathlib.Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        pathlib.Path(temporary).unlink(missing_ok=True)
        raise
    return target


def write_json(path: str | os.PathLike, value: Any) -> pathlib.Path:
    """`value` as indented JSON; refuses NaN and infinity, which JSON does not have."""
    return write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """The parsed file.

    Raises:
        UserError: the file is missing or is not JSON.
    """
    source = pathlib.Path(path)
    if not source.is_file():
        raise UserError(f"{source} does not exist; check the path.")
    try:
        return json.loads(source.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{source} is not valid JSON ({error}); restore or remove it.") from error
